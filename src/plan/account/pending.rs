//! What humans must do now, in the order of the set-up.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::finding::Finding;
use super::graph::{Basis, Judged};
use super::view::View;
use super::{push, words};
use crate::api::{Actor, PendingAction, Reason};
use crate::plan::snapshot::Consent;

/// Name of the action that waits for the Global Administrator's sign-in.
pub(super) const SIGN_IN_FOR_PUSH: &str = "SignInForPush";

/// The pending actions, one for each part of the set-up that a human must act on.
pub(super) fn actions(view: &View, judged: &[Judged]) -> Vec<PendingAction> {
    if view.observed.suspended {
        return Vec::new();
    }
    let action = |one: &Judged| match &one.basis {
        Basis::Read(finding) => action(view, finding.as_ref()?),
        Basis::Kept if one.draft.status == Some(false) => known(view, words::of(one.draft.reason)?.id).cloned(),
        Basis::Kept | Basis::Waits => None,
    };
    judged.iter().filter_map(action).collect()
}

/// The action as it was shown before.
pub(super) fn known<'a>(view: &View<'a>, id: &str) -> Option<&'a PendingAction> {
    view.observed.status.pending_actions.iter().find(|action| action.id == id)
}

/// The action that a reason asks for, if it asks a human.
pub(super) fn action(view: &View, finding: &Finding) -> Option<PendingAction> {
    let words = words::of(finding.reason)?;
    let (link, expires_at) = link(view, finding.reason);
    let told = finding.detail == finding.reason.info().cause;
    Some(PendingAction {
        id: words.id.to_owned(),
        actor: finding.actor().unwrap_or(Actor::PlatformTeam),
        action: if told { words.path.to_owned() } else { format!("{} {}", words.path, finding.detail) },
        link: link.or(words.link.map(str::to_owned)),
        since: known(view, words.id).map_or(Time(view.now), |action| action.since.clone()),
        expires_at: expires_at.map(Time),
    })
}

fn link(view: &View, reason: Reason) -> (Option<String>, Option<Timestamp>) {
    match reason {
        Reason::AwaitingPushSignIn => push_link(view),
        Reason::AwaitingConsent | Reason::ConsentRevoked => consent_link(view),
        Reason::InvitationPending => {
            let record = view.snapshot.record.known().and_then(Option::as_ref);
            (None, record.and_then(|record| record.invitation.expires_at))
        }
        _ => (None, None),
    }
}

fn push_link(view: &View) -> (Option<String>, Option<Timestamp>) {
    let authorization = view.snapshot.push_authorization.known();
    let working = authorization.and_then(|it| Some((push::working_link(it, view.now)?.to_owned(), it.valid_until)));
    working.map_or((None, None), |(link, end)| (Some(link), end))
}

fn consent_link(view: &View) -> (Option<String>, Option<Timestamp>) {
    let works = |consent: &&Consent| consent.link_works(view.now);
    let consent = view.snapshot.consents.known().and_then(|consents| consents.iter().find(works));
    consent.map_or((None, None), |consent| (consent.link.clone(), consent.link_expires_at))
}

/// One line for the column: who must do what now.
pub(super) fn in_short(actions: &[PendingAction]) -> Option<String> {
    let first = actions.first()?;
    let mut reasons = Reason::ALL.iter().filter_map(|reason| words::of(*reason));
    let words = reasons.find(|words| words.id == first.id)?;
    Some(format!("{}: {}", first.actor, words.short))
}
