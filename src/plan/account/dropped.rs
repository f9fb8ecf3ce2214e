//! PBXs that were taken from the list: each stays bound until no policy names it and nobody of it is connected (R16).
//!
//! Which they are is told by the status alone. Where that was lost they stay bound: one that was never in the spec is never unbound.

use super::finding::Finding;
use super::graph;
use super::steps::{AccountStep, may_for_one};
use super::view::{View, is_current};
use crate::api::{PbxStatus, Reason, TeamsConnectorAccountSpec, TeamsConnectorAccountStatus};
use crate::domain::OrganizationId;
use crate::plan::snapshot::Source;

/// The PBXs that were bound when the status was written, and are not in the spec.
#[must_use]
pub fn dropped_pbxs(spec: &TeamsConnectorAccountSpec, status: &TeamsConnectorAccountStatus) -> Vec<OrganizationId> {
    let listed: Vec<OrganizationId> = spec.pbxs.iter().filter_map(|pbx| pbx.organization_id.parse().ok()).collect();
    let bound = status.pbxs.iter().filter(|pbx| pbx.bound).filter_map(|pbx| pbx.organization_id.parse().ok());
    bound.filter(|id| !listed.contains(id)).collect()
}

/// The same without those that were unbound since.
fn all(view: &View) -> impl Iterator<Item = OrganizationId> {
    let record = view.snapshot.record.known();
    let is_bound = move |id: &OrganizationId| {
        record.is_none_or(|record| record.as_ref().is_some_and(|it| it.bound.contains_key(id)))
    };
    dropped_pbxs(view.observed.spec, view.observed.status).into_iter().filter(is_bound)
}

/// How many of it are connected.
fn users(view: &View, id: OrganizationId) -> Option<u32> {
    let users = view.snapshot.dropped_pbxs.get(&id).and_then(Source::known)?;
    Some(u32::try_from(users.len()).unwrap_or(u32::MAX))
}

/// The policy that names the PBX.
fn policy<'v>(view: &'v View<'_>, id: OrganizationId) -> Option<&'v str> {
    view.observed.policies.iter().find(|policy| policy.pbx == id).map(|policy| policy.name.as_str())
}

/// Unbinds what nobody uses. The connector refuses it too where somebody is connected.
pub(super) fn steps<'v>(view: &'v View<'_>) -> impl Iterator<Item = AccountStep> + 'v {
    let is_read = is_current(&view.snapshot.record);
    let is_free = |id: &OrganizationId| {
        let users = view.snapshot.dropped_pbxs.get(id).and_then(Source::current);
        policy(view, *id).is_none() && users.is_some_and(Vec::is_empty)
    };
    let may = may_for_one(view, &[graph::ENTITLED]);
    all(view).filter(move |id| is_read && may && is_free(id)).map(|pbx| AccountStep::UnbindPbx { pbx })
}

/// Why one of them stays bound.
pub(super) fn in_use(view: &View) -> Option<Finding> {
    let id = all(view).next()?;
    let users = users(view, id);
    let detail = match (policy(view, id), users) {
        (Some(name), _) => format!("{id}: the policy {name} names it."),
        (None, Some(1..)) => format!("{id}: users of it are connected."),
        (None, Some(0)) => format!("{id}: it is being unbound."),
        (None, None) => format!("{id}: its users were not read yet."),
    };
    Some(Finding { reason: Reason::PbxInUse, detail, actor: None })
}

/// Their lines of the status.
pub(super) fn statuses<'v>(view: &'v View<'_>) -> impl Iterator<Item = PbxStatus> + 'v {
    all(view).map(|id| PbxStatus {
        organization_id: id.to_string(),
        bound: true,
        policy: policy(view, id).map(str::to_owned),
        licenses_total: None,
        licenses_in_use: None,
        users: users(view, id),
        verification: None,
    })
}
