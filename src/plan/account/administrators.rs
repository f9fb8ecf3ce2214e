//! Further administrators of the connector (guide step 14): added, invited, given their roles, and removed where the spec says so.

use super::finding::Verdict;
use super::graph;
use super::setup::resend;
use super::steps::{AccountStep, key, may_for_one};
use super::view::{Pbx, View};
use crate::api::{AdministratorRole, AdministratorSpec, Reason};
use crate::domain::Address;
use crate::plan::snapshot::{Administrator, InvitationState};

/// Whether every administrator of the spec is active in the role, and with `pruneAdministrators` nobody else is one.
pub(super) fn ready(view: &View, _: &[Pbx]) -> Verdict {
    let Some(known) = view.snapshot.administrators.known() else { return Verdict::Unread };
    if invalid(view) {
        return Verdict::unmet(Reason::InvalidSpec, "An entry of spec.administrators has no e-mail address.");
    }
    let of_spec = view.observed.spec.administrators.iter().map(|wanted| one(view, known, wanted));
    Verdict::all(of_spec.chain([pruned(view, known)]))
}

fn invalid(view: &View) -> bool {
    view.observed.spec.administrators.iter().any(|wanted| address(&wanted.email).is_none())
}

fn one(view: &View, all: &[Administrator], wanted: &AdministratorSpec) -> Verdict {
    let Some(known) = find(all, &wanted.email) else {
        return Verdict::unmet(Reason::Progressing, "An administrator is being added.");
    };
    if known.role != wanted.role.as_str() {
        return if is_last_owner(all, known) {
            Verdict::unmet(Reason::LastOwner, Reason::LastOwner.info().cause)
        } else {
            Verdict::unmet(Reason::Progressing, "The role of an administrator is being changed.")
        };
    }
    let told = |reason: Reason| Verdict::unmet(reason, reason.info().cause);
    match state(view, known) {
        InvitationState::Accepted => Verdict::Holds,
        InvitationState::NotSent => Verdict::unmet(Reason::Progressing, "An administrator is being invited."),
        InvitationState::Sent => told(Reason::AdministratorPending),
        InvitationState::Expired => told(Reason::AdministratorExpired),
    }
}

fn pruned(view: &View, all: &[Administrator]) -> Verdict {
    let detail = || "Administrators whom the spec does not list are being removed.".to_owned();
    Verdict::require(unlisted(view, all).next().is_none(), Reason::Progressing, detail)
}

/// One step for each administrator that is not as the spec says.
pub(super) fn steps(view: &View) -> Vec<AccountStep> {
    let Some(all) = view.snapshot.administrators.current() else { return Vec::new() };
    let onboarded = [graph::ENTITLED, graph::MANAGER_ONBOARDED];
    if invalid(view) || !may_for_one(view, &onboarded) {
        return Vec::new();
    }
    let mut taken = false;
    let of_spec = view.observed.spec.administrators.iter().filter_map(|wanted| step(view, all, wanted));
    let removed = unlisted(view, all).map(|known| AccountStep::RemoveAdministrator { email: known.email.clone() });
    // One owner at a time: the next reading tells who is left.
    let one_owner = |step: &AccountStep| !takes_an_owner(all, step) || !std::mem::replace(&mut taken, true);
    of_spec.chain(removed).filter(one_owner).collect()
}

fn takes_an_owner(all: &[Administrator], step: &AccountStep) -> bool {
    let (email, keeps) = match step {
        AccountStep::RemoveAdministrator { email } => (email, false),
        AccountStep::PutAdministrator { administrator } => {
            (&administrator.email, administrator.role == AdministratorRole::Owner)
        }
        _ => return false,
    };
    !keeps && find(all, email).is_some_and(|known| known.role == AdministratorRole::Owner.as_str())
}

fn step(view: &View, all: &[Administrator], wanted: &AdministratorSpec) -> Option<AccountStep> {
    let put = || AccountStep::PutAdministrator { administrator: wanted.clone() };
    let Some(known) = find(all, &wanted.email) else { return Some(put()) };
    if known.role != wanted.role.as_str() {
        return (!is_last_owner(all, known)).then(put);
    }
    let token = match state(view, known) {
        InvitationState::NotSent => format!("first/{}", view.observed.generation),
        InvitationState::Expired => format!("again/{}", resend(view)?),
        InvitationState::Sent | InvitationState::Accepted => return None,
    };
    let key = key(view, "InviteAdministrator", &format!("{}/{token}", known.email));
    Some(AccountStep::InviteAdministrator { email: known.email.clone(), key })
}

/// Those who are to be removed: the spec does not list them and wants that. The managing user and the last owner stay.
fn unlisted<'v>(view: &'v View<'_>, all: &'v [Administrator]) -> impl Iterator<Item = &'v Administrator> {
    let spec = view.observed.spec;
    let is_manager = |known: &Administrator| address(&known.email) == address(&spec.manager.email);
    let listed = |known: &Administrator| {
        spec.administrators.iter().any(|wanted| address(&wanted.email) == address(&known.email))
    };
    let stays = move |known: &Administrator| listed(known) || is_manager(known) || is_last_owner(all, known);
    all.iter().filter(move |known| spec.prune_administrators && !stays(known))
}

/// R15: whether no other administrator is known to be an owner; one who has not accepted is none yet.
fn is_last_owner(all: &[Administrator], known: &Administrator) -> bool {
    let owner = AdministratorRole::Owner.as_str();
    let other =
        |it: &Administrator| it.email != known.email && it.role == owner && it.state == InvitationState::Accepted;
    known.role == owner && !all.iter().any(other)
}

/// Whether an invitation of the spec's administrators waits to be sent again.
pub(super) fn any_expired(view: &View) -> bool {
    let known = view.snapshot.administrators.known().map(Vec::as_slice).unwrap_or_default();
    let of_spec = view.observed.spec.administrators.iter().filter_map(|wanted| find(known, &wanted.email));
    of_spec.into_iter().any(|it| state(view, it) == InvitationState::Expired)
}

pub(super) fn state(view: &View, known: &Administrator) -> InvitationState {
    known.state.at(view.now, known.expires_at)
}

/// The administrator with this address.
pub(super) fn find<'a>(all: &'a [Administrator], email: &str) -> Option<&'a Administrator> {
    let wanted = address(email)?;
    all.iter().find(|known| address(&known.email).as_ref() == Some(&wanted))
}

fn address(email: &str) -> Option<Address> {
    email.parse().ok()
}
