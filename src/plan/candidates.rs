//! Who may lose service: managed, gone by two complete readings that agree, grace over, not protected (R5, R8, R12, R15).

use k8s_openapi::jiff::Timestamp;

use super::records::Records;
use super::subjects::{Absence, Finding, Subject};
use crate::api::{Managed, RemovalAction, RunOperation};

/// How somebody who is no longer called for stands on the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Candidacy {
    /// Never: unmanaged, protected, not gone by two readings, or under Retain.
    Not,
    /// Until the grace period ends.
    InGrace(Timestamp),
    /// The policy's action decides.
    Ripe,
}

/// What the policy does with a candidate; `None` under Retain. With the policy itself goes whoever it added, whatever its action.
/// Where a row names another person the old pair must go, or the new one could never come. Who is replaced loses nothing that Retain
/// would keep.
pub(super) fn operation(records: &Records<'_>, subject: &Subject<'_>) -> Option<RunOperation> {
    if subject.gone == Some(Absence::Policy) {
        return Some(RunOperation::Delete);
    }
    if subject.successor.is_some() {
        return Some(RunOperation::Replace);
    }
    match records.observed.spec.removal.action {
        RemovalAction::Retain => None,
        RemovalAction::Disable if matches!(subject.gone, Some(Absence::Person(_))) => Some(RunOperation::Delete),
        RemovalAction::Disable => Some(RunOperation::Disable),
        RemovalAction::Remove => Some(RunOperation::Delete),
    }
}

/// When the connector accepted the newest write of a removal whose effect it does not show: the reading is newer than the write.
pub(super) fn unshown(subject: &Subject<'_>) -> Option<Timestamp> {
    let (change, pair) = (subject.last_change()?, subject.pair?);
    let is_of_run = subject.known?.spec.leaving.as_deref() == Some(change.run.as_str());
    let is_shown = match change.action {
        RunOperation::Disable => !pair.enabled,
        RunOperation::Delete | RunOperation::Replace => pair.enabled,
        RunOperation::Put | RunOperation::Enable => true,
    };
    (is_of_run && !is_shown).then_some(change.at.0)
}

/// How the user stands. Whose user it is and since when nobody calls for him is taken from the stored spec only.
pub(super) fn of(records: &Records<'_>, subject: &Subject<'_>) -> Candidacy {
    let (Some(op), Some(known), Some(pair)) = (operation(records, subject), subject.known, subject.pair) else {
        return Candidacy::Not;
    };
    let is_gone = subject.gone.is_some() && matches!(subject.finding, Finding::Retained(_));
    let is_ours = records.owns(subject.managed, known, pair) && known.spec.managed != Managed::None;
    let is_left = pair.enabled || op.removes();
    if subject.is_half() && records.is_vetoed(subject) {
        return Candidacy::Not;
    }
    if !is_gone || !is_ours || !is_left || subject.protected_by.is_some() {
        return Candidacy::Not;
    }
    if records.observed.deleting {
        // Nobody but those who go with the policy.
        return if subject.gone == Some(Absence::Policy) { Candidacy::Ripe } else { Candidacy::Not };
    }
    if op == RunOperation::Replace {
        let is_licensed = subject.successor.as_ref().is_some_and(|successor| successor.is_licensed);
        return if is_licensed { Candidacy::Ripe } else { Candidacy::Not };
    }
    let grace = records.observed.spec.removal.grace_period.signed();
    let Some(since) = &known.spec.unmatched_since else {
        return Candidacy::InGrace(records.now.saturating_add(grace).unwrap_or(Timestamp::MAX));
    };
    let end = since.0.saturating_add(grace).unwrap_or(Timestamp::MAX);
    if end <= records.now { Candidacy::Ripe } else { Candidacy::InGrace(end) }
}
