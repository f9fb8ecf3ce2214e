//! The observed account, made easy to look at.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::domain::OrganizationId;
use crate::plan::observed::ObservedAccount;
use crate::plan::snapshot::{PbxReading, Snapshot, Source};

/// Stands in for a reading that there is not yet.
#[derive(Default)]
pub(super) struct Empty {
    snapshot: Snapshot,
    pbx: PbxReading,
}

/// The observed account at one moment.
pub(super) struct View<'a> {
    pub(super) observed: &'a ObservedAccount<'a>,
    pub(super) snapshot: &'a Snapshot,
    /// The PBXs of the spec, in its order.
    pub(super) pbxs: Vec<Pbx<'a>>,
    pub(super) now: Timestamp,
}

/// One PBX of the spec.
#[derive(Clone, Copy)]
pub(super) struct Pbx<'a> {
    pub(super) id: OrganizationId,
    /// As people call it.
    pub(super) name: &'a str,
    pub(super) reading: &'a PbxReading,
}

impl<'a> View<'a> {
    pub(super) fn new(observed: &'a ObservedAccount<'a>, empty: &'a Empty, now: Timestamp) -> Self {
        let snapshot = observed.snapshot.unwrap_or(&empty.snapshot);
        let pbx = |spec: &'a crate::api::PbxSpec| {
            let id = spec.organization_id.parse().ok()?;
            let name = spec.display_name.as_deref().unwrap_or(&spec.organization_id);
            Some(Pbx { id, name, reading: snapshot.pbxs.get(&id).unwrap_or(&empty.pbx) })
        };
        Self { observed, snapshot, pbxs: observed.spec.pbxs.iter().filter_map(pbx).collect(), now }
    }

    /// Whether the annotation `requestedAt` has a value that was not acted upon yet.
    pub(super) fn requested(&self) -> bool {
        let last = self.observed.status.last_handled_reconcile_at.as_deref();
        self.observed.requested_at.is_some_and(|value| Some(value) != last)
    }

    /// How long ago that was, never negative.
    pub(super) fn age(&self, since: Timestamp) -> SignedDuration {
        self.now.duration_since(since).max(SignedDuration::ZERO)
    }

    /// Whether a reading was made, too long ago.
    pub(super) fn is_old(&self, read_at: Option<Timestamp>) -> bool {
        read_at.is_some_and(|at| self.age(at) > self.patience())
    }

    /// Readings older than this no longer tell how things are: three intervals.
    pub(super) fn patience(&self) -> SignedDuration {
        let interval = self.observed.spec.interval.signed();
        interval.checked_mul(3).unwrap_or(SignedDuration::MAX)
    }
}

/// Whether every try to read the source was complete at last.
pub(super) fn is_current<T>(source: &Source<T>) -> bool {
    source.current().is_some()
}
