//! One reading: every source of the wanted kind, the three vendors side by side.

use std::hash::Hash;
use std::str::FromStr as _;

use k8s_openapi::jiff::Timestamp;

use super::doubts::{Doubts, Name};
use super::users::TenantUsers;
use super::{connector, domains, goto, graph};
use crate::api::{Reason, TeamsConnectorAccount};
use crate::clients::error::ApiError;
use crate::clients::listing::{Complete, Incomplete};
use crate::controllers::error::{incomplete, source_failure};
use crate::controllers::session::Session;
use crate::domain::OrganizationId;
use crate::plan::account::dropped_pbxs;
use crate::plan::observed::ReadingKind;
use crate::plan::snapshot::{Snapshot, Source, SourceFailure};
use crate::runtime::metrics::Metrics;

/// What one reading needs.
pub(super) struct Reader<'a> {
    pub(super) session: &'a Session,
    pub(super) metrics: &'a Metrics,
    /// What the readings before missed once.
    pub(super) doubts: &'a Doubts,
    /// Whether the operator sets the domains up.
    pub(super) manages_domains: bool,
    /// When the reading began: what was written later is not in it for sure.
    pub(super) began: Timestamp,
}

impl Reader<'_> {
    /// Reads the sources of `kind`; the others stay as they are in `old`.
    pub(super) async fn read(
        &self,
        account: &TeamsConnectorAccount,
        kind: ReadingKind,
        old: &Snapshot,
        tenant: &mut TenantUsers,
    ) -> Snapshot {
        let mut snapshot = old.clone();
        let named = account.spec.pbxs.iter().filter_map(|pbx| OrganizationId::from_str(&pbx.organization_id).ok());
        let pbxs: Vec<OrganizationId> = named.collect();
        snapshot.pbxs.retain(|pbx, _| pbxs.contains(pbx));
        let dropped = account.status.as_ref().map(|status| dropped_pbxs(&account.spec, status)).unwrap_or_default();
        snapshot.dropped_pbxs.retain(|pbx, _| dropped.contains(pbx));
        let (directory, tenant, numbers, portal) = tokio::join!(
            async { if kind == ReadingKind::Full { Some(goto::read(self, old).await) } else { None } },
            async { if kind == ReadingKind::Full { Some(graph::directory(self, old, tenant).await) } else { None } },
            async { if kind == ReadingKind::Account { None } else { Some(graph::voice(self, old).await) } },
            connector::read(self, kind, old, (&pbxs, &dropped)),
        );
        for part in [directory, tenant, numbers, Some(portal)].into_iter().flatten() {
            part(&mut snapshot);
        }
        snapshot.tenant_domains = domains::read(self, &snapshot).await;
        snapshot
    }

    /// The source after this try to read it.
    pub(super) fn source<T>(&self, name: &'static str, old: &Source<T>, read: Result<T, SourceFailure>) -> Source<T> {
        match read {
            Ok(value) => Source::complete(value, self.began),
            Err(failure) => {
                self.metrics.source_incomplete(name);
                tracing::info!(source = name, cause = failure.cause, "a source was read incompletely");
                old.failed(failure)
            }
        }
    }

    /// The same for a listing whose end nothing proves: what it lacks for the first time makes it incomplete.
    pub(super) fn confirmed<T, K: Hash>(
        &self,
        source: Name,
        old: &Source<Vec<T>>,
        read: Result<Vec<T>, SourceFailure>,
        id: impl Fn(&T) -> Option<K>,
    ) -> Source<Vec<T>> {
        let read = read.and_then(|items| {
            let settled = self.doubts.settled(source, old.known(), &items, id);
            if settled { Ok(items) } else { Err(fewer_than_before()) }
        });
        self.source(source.0, old, read)
    }

    /// The same for a single answer.
    pub(super) fn single<T>(&self, name: &'static str, old: &Source<T>, read: Result<T, ApiError>) -> Source<T> {
        self.source(name, old, read.map_err(|error| source_failure(&error)))
    }
}

fn fewer_than_before() -> SourceFailure {
    SourceFailure { reason: Reason::SourceIncomplete, cause: "fewer_than_before".to_owned(), retry_at: None }
}

/// The records of a listing, or how it shows that it is none.
pub(super) fn listed<T>(read: Result<Complete<T>, Incomplete>) -> Result<Vec<T>, SourceFailure> {
    read.map(Complete::into_items).map_err(|error| incomplete(&error))
}

/// Puts what one vendor answered into the snapshot.
pub(super) type Part = Box<dyn FnOnce(&mut Snapshot) + Send>;
