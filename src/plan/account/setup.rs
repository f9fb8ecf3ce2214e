//! Cards 1 to 3 of the guide: what is entered, sent, bound, switched on and asked for, each once the part before it was read back.

use super::steps::{AccountStep, key, may, may_for_one};
use super::view::{Pbx, View, is_current};
use super::{administrators, dropped, gates, graph};
use crate::plan::snapshot::{Consent, ConsentState, InvitationState, Service};

/// Every step of the set-up that can be taken now.
pub(super) fn wanted<'v>(view: &'v View<'_>) -> impl Iterator<Item = AccountStep> + 'v {
    let bindings = view.pbxs.iter().filter_map(|pbx| binding(view, pbx));
    let switches = view.pbxs.iter().filter_map(|pbx| switch(view, pbx));
    record(view)
        .into_iter()
        .chain(invitation(view))
        .chain(bindings)
        .chain(dropped::steps(view))
        .chain(administrators::steps(view))
        .chain(switches)
        .chain(consents(view))
}

/// Card 1 can be filled in as soon as the integration is bought for one PBX. Whoever accepted stays.
fn record(view: &View) -> Option<AccountStep> {
    let record = view.snapshot.record.current()?.as_ref();
    let wanted = gates::manager(view)?;
    let done = record.is_some_and(|known| known.manager.is(&wanted) || known.is_accepted());
    let entitled = |pbx: &Pbx| is_current(&pbx.reading.entitlement) && may(view, pbx, &[graph::ENTITLED]);
    (!done && view.pbxs.iter().any(entitled)).then_some(AccountStep::PutRecord { manager: wanted })
}

/// The invitation is sent once for a managing user, and again only when it expired and somebody asks for it.
///
/// The generation tells two intents apart when the spec names another person and then the first again.
fn invitation(view: &View) -> Option<AccountStep> {
    let record = view.snapshot.record.current()?.as_ref()?;
    let invited = record.manager.address() == gates::manager(view)?.address();
    if !invited || !may_for_one(view, &[graph::ENTITLED]) {
        return None;
    }
    let token = match record.invitation.state_at(view.now) {
        InvitationState::NotSent => format!("first/{}", view.observed.generation),
        InvitationState::Expired => format!("again/{}", resend(view)?),
        InvitationState::Sent | InvitationState::Accepted => return None,
    };
    Some(AccountStep::SendInvitation { key: key(view, "SendInvitation", &token) })
}

/// The value of the annotation `resendInvitation`, unless it was acted upon.
pub(super) fn resend<'a>(view: &View<'a>) -> Option<&'a str> {
    let handled = view.observed.status.last_handled_resend.as_deref();
    view.observed.resend_invitation.filter(|value| Some(*value) != handled)
}

/// The value of `resendInvitation` that was acted upon: once no invitation is expired, there is nothing left to send for it.
pub(super) fn handled_resend(view: &View) -> Option<String> {
    let expired = match view.snapshot.record.known() {
        None => true,
        Some(record) => record.as_ref().is_some_and(|it| it.invitation.state_at(view.now) == InvitationState::Expired),
    };
    let spent = !expired && !administrators::any_expired(view) && !view.observed.suspended;
    let value = view.observed.resend_invitation.filter(|_| spent).map(str::to_owned);
    value.or_else(|| view.observed.status.last_handled_resend.clone())
}

fn binding(view: &View, pbx: &Pbx) -> Option<AccountStep> {
    let record = view.snapshot.record.current()?.as_ref()?;
    let prepared = is_current(&pbx.reading.entitlement) && may(view, pbx, &[graph::ENTITLED]);
    (prepared && !record.bound.contains_key(&pbx.id)).then_some(AccountStep::BindPbx { pbx: pbx.id })
}

/// Enable Sync, then Enable Service: turned on, never off.
fn switch(view: &View, pbx: &Pbx) -> Option<AccountStep> {
    let service = pbx.reading.service.current()?.unwrap_or(Service { user_import_enabled: false, enabled: false });
    if !may(view, pbx, &[graph::ENTITLED, graph::PBXS_BOUND]) {
        return None;
    }
    match service {
        Service { user_import_enabled: false, .. } => Some(AccountStep::EnableSync { pbx: pbx.id }),
        Service { enabled: false, .. } => Some(AccountStep::EnableService { pbx: pbx.id }),
        Service { .. } => None,
    }
}

/// A link that stopped working looks like the one before it, so its expiry and the hour tell one request from the next.
fn consents(view: &View) -> Option<AccountStep> {
    let consents = view.snapshot.consents.current()?;
    let waits = |consent: &Consent| consent.state != ConsentState::Granted && !consent.link_works(view.now);
    let before = [graph::ENTITLED, graph::PBXS_BOUND, graph::SERVICE_ENABLED];
    if !may_for_one(view, &before) || !(consents.is_empty() || consents.iter().any(waits)) {
        return None;
    }
    let group = |it: &Consent| format!("{}:{:?}:{:?}:{:?}", it.group, it.state, it.granted_at, it.link_expires_at);
    let groups: Vec<_> = consents.iter().map(group).collect();
    let hour = view.now.as_second().div_euclid(3600);
    let key = key(view, "RequestConsents", &format!("{}/{hour}", groups.join("/")));
    Some(AccountStep::RequestConsents { key })
}
