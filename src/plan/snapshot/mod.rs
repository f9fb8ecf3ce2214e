//! A reading of all sources of one account, in domain words. The observer builds it; plans only look at it.

mod connector;
mod goto;
mod microsoft;
mod sources;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use crate::api::Reason;
use crate::domain::OrganizationId;

pub use connector::*;
pub use goto::*;
pub use microsoft::*;
pub use sources::SourceLine;

/// One source: its newest complete value, and what became of the newest try to read it.
#[derive(Clone, Debug)]
pub struct Source<T> {
    /// The newest complete value; absent until there was one.
    pub value: Option<Arc<T>>,
    /// When the reading of `value` began.
    pub read_at: Option<Timestamp>,
    /// Why the newest try was incomplete; absent when it was complete.
    pub failure: Option<SourceFailure>,
}

/// Why a source could not be read completely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFailure {
    /// How it shows in conditions.
    pub reason: Reason,
    /// Cause in a few words, without personal data.
    pub cause: String,
    /// Not read again before this time.
    pub retry_at: Option<Timestamp>,
}

impl<T> Default for Source<T> {
    fn default() -> Self {
        Self { value: None, read_at: None, failure: None }
    }
}

impl<T> Source<T> {
    /// A complete value.
    #[must_use]
    pub fn complete(value: T, read_at: Timestamp) -> Self {
        Self { value: Some(Arc::new(value)), read_at: Some(read_at), failure: None }
    }

    /// The same source after a try that failed: the newest complete value stays.
    #[must_use]
    pub fn failed(&self, failure: SourceFailure) -> Self {
        Self { value: self.value.clone(), read_at: self.read_at, failure: Some(failure) }
    }

    /// The value, if the newest try was complete.
    #[must_use]
    pub fn current(&self) -> Option<&T> {
        if self.failure.is_none() { self.value.as_deref() } else { None }
    }

    /// The newest complete value, however old.
    #[must_use]
    pub fn known(&self) -> Option<&T> {
        self.value.as_deref()
    }
}

/// A reading of all sources of one account.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Counts the readings of all sources; a partial reading keeps the number.
    pub round: u64,
    /// When the newest reading of all sources ended.
    pub full_reading_at: Option<Timestamp>,
    /// Who the GoTo credentials are.
    pub goto_access: Source<GotoAccess>,
    /// Users of the GoTo account.
    pub goto_users: Source<Vec<GotoUser>>,
    /// Lines of the users.
    pub lines: Source<Vec<UserLines>>,
    /// Extensions of the PBXs.
    pub extensions: Source<Vec<PbxExtension>>,
    /// Telephone numbers of the PBXs.
    pub numbers: Source<Vec<PbxNumber>>,
    /// Permissions of the operator's app registration.
    pub graph_permissions: Source<Vec<Permission>>,
    /// Users of the tenant.
    pub teams_users: Source<Vec<TeamsUser>>,
    /// Seats of the tenant by service plan.
    pub seats: Source<Seats>,
    /// Telephone numbers of the tenant.
    pub number_assignments: Source<Vec<TeamsNumber>>,
    /// Voice state of the users of the tenant.
    pub voice: Source<Vec<VoiceState>>,
    /// The account record of the connector; `None`: there is none.
    pub record: Source<Option<AccountRecord>>,
    /// Further administrators of the connector.
    pub administrators: Source<Vec<Administrator>>,
    /// Consents of the connector.
    pub consents: Source<Vec<Consent>>,
    /// Direct Routing domains.
    pub domains: Source<Vec<Domain>>,
    /// The same domains in the tenant, those that the operator is setting up.
    pub tenant_domains: Source<Vec<TenantDomain>>,
    /// Directory imports and pushes, and the ticks.
    pub activity: Source<Activity>,
    /// The Global Administrator's sign-in for the push.
    pub push_authorization: Source<PushAuthorization>,
    /// What belongs to one PBX, for each PBX of the account's spec.
    pub pbxs: BTreeMap<OrganizationId, PbxReading>,
    /// The connected users of each PBX that was taken from the account's spec and is still bound: nothing but how many they are.
    pub dropped_pbxs: BTreeMap<OrganizationId, Source<Vec<()>>>,
}

/// What belongs to one PBX.
#[derive(Clone, Debug, Default)]
pub struct PbxReading {
    /// What was bought; `None`: the integration is not visible for the PBX.
    pub entitlement: Source<Option<Entitlement>>,
    /// The two switches; `None`: not available yet.
    pub service: Source<Option<Service>>,
    /// The last verification; `None`: there was none.
    pub verification: Source<Option<Verification>>,
    /// Secure calling of the users.
    pub candidates: Source<Vec<Candidate>>,
    /// Users in the connector.
    pub users: Source<Vec<ConnectorUser>>,
}
