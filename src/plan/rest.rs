//! Removals rest after every user object and run of the policy has vanished: the guard no longer knows who lost service within
//! its window, and grace periods may be shorter than that (R2, R10).
//!
//! The signal is taken from what survives such a loss, and no status is asked:
//! - a pair with our mark that is older than the oldest user object and run. A run is stored before its first write and a user
//!   object stays as long as its pair, so while nothing is lost the oldest of them is older than every such pair;
//! - the mark of the first complete plan, older than the oldest object: the mark and the objects of that plan have one time. It
//!   tells of policies that only adopted.
//!
//! Where the runs alone were deleted nothing rests: the guard counts what the user objects tell.
//!
//! Where a policy that only adopted lost the mark too, nothing tells. Before the first new object is stored nobody is a candidate,
//! for ownership and grace are taken from stored specs alone.
//!
//! The age of the policy itself is no signal: a policy may wait for days for its first complete reading. Where a signal is wrong
//! (the clock of the connector is behind, or whoever was there from the beginning left) removals only come a window later.

use k8s_openapi::jiff::Timestamp;

use super::reading::Reading;
use super::records::Records;

/// Until when nobody loses service without an approval; `None`: nothing was lost, or the window is over.
///
/// Who goes with a deleted policy waits for an approval anyway.
pub(super) fn until(records: &Records<'_>, reading: &Reading<'_>) -> Option<Timestamp> {
    if records.observed.deleting {
        return None;
    }
    let first = records.first?;
    let ours = reading.pairs.values().filter(|pair| records.is_ours(pair));
    let oldest = ours.map(|pair| pair.updated_at).chain(records.adoption.marked_at).min()?;
    let end = first.saturating_add(records.observed.spec.removal.guard.window.signed()).unwrap_or(Timestamp::MAX);
    (oldest < first && records.now < end).then_some(end)
}
