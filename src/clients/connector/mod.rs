//! Client of the connector's contract (`driver: Api`).

mod pages;
pub mod wire;
mod writes;

use k8s_openapi::jiff::Timestamp;
use url::Url;

use super::channel::Channel;
use super::error::ApiError;
use super::http::Call;
use super::listing::{Complete, Incomplete};
use super::route::{Api, Route};
use crate::domain::{AccountKey, OrganizationId};
use wire::{
    AccountRecord, Administrator, Candidate, ConnectorUser, Consent, Domain, Entitlement, PushAuthorization, Sync,
    SyncResult, SyncState, TeamsService, Verification,
};

pub use writes::BATCH_LIMIT;

/// What a 403 of the connector names as missing when it is not a consent or a sign-in.
const ROLE: &str = "the connector's administrator role";

const fn route(operation: &'static str) -> Route {
    Route::new(Api::Connector, operation, ROLE)
}

const ENTITLEMENT: Route = route("GET /accounts/{accountKey}/pbxs/{organizationId}/entitlement");
const ACCOUNT: Route = route("GET /accounts/{accountKey}");
const ADMINISTRATORS: Route = route("GET /accounts/{accountKey}/administrators");
const SERVICES: Route = route("GET /accounts/{accountKey}/pbxs/{organizationId}/services/teams");
const CONSENTS: Route = route("GET /accounts/{accountKey}/consents");
const DOMAINS: Route = route("GET /accounts/{accountKey}/domains");
const LATEST_VERIFICATION: Route = route("GET /accounts/{accountKey}/pbxs/{organizationId}/verifications/latest");
const SYNC_STATE: Route = route("GET /accounts/{accountKey}/sync-state");
const SYNCS: Route = route("GET /accounts/{accountKey}/syncs");
const SYNC: Route = route("GET /accounts/{accountKey}/syncs/{id}");
const SYNC_RESULTS: Route = route("GET /accounts/{accountKey}/syncs/{id}/results");
const PUSH_AUTHORIZATION: Route = route("GET /accounts/{accountKey}/push-authorization");
const CANDIDATES: Route = route("GET /accounts/{accountKey}/pbxs/{organizationId}/candidates");
const USERS: Route = route("GET /accounts/{accountKey}/pbxs/{organizationId}/users");

/// Client of one account at one connector; cheap to clone.
///
/// The `map` of a listing turns each item into the caller's compact record, or drops it.
#[derive(Clone)]
pub struct ConnectorClient {
    channel: Channel,
    base: Url,
    account: AccountKey,
}

impl ConnectorClient {
    pub(super) fn new(channel: Channel, base: Url, account: AccountKey) -> Self {
        Self { channel, base, account }
    }

    /// What was bought for a PBX. Not found: the integration is not visible for it.
    pub async fn entitlement(&self, pbx: OrganizationId) -> Result<Entitlement, ApiError> {
        self.channel.json(&self.pbx_get(ENTITLEMENT, pbx, &["entitlement"])).await
    }

    /// The account record: managing user, invitation, bound PBXs.
    pub async fn account(&self) -> Result<AccountRecord, ApiError> {
        self.channel.json(&self.account_get(ACCOUNT, &[], &[])).await
    }

    /// Further administrators of the connector.
    pub async fn administrators(&self) -> Result<Complete<Administrator>, Incomplete> {
        self.pages(ADMINISTRATORS, &["administrators"], &[], &mut Some).await
    }

    /// The two switches of a PBX.
    pub async fn services(&self, pbx: OrganizationId) -> Result<TeamsService, ApiError> {
        self.channel.json(&self.pbx_get(SERVICES, pbx, &["services", "teams"])).await
    }

    /// The groups of permissions and whether each is consented to.
    pub async fn consents(&self) -> Result<Complete<Consent>, Incomplete> {
        self.pages(CONSENTS, &["consents"], &[], &mut Some).await
    }

    /// The domains that the connector allots to the tenant.
    pub async fn domains(&self) -> Result<Complete<Domain>, Incomplete> {
        self.pages(DOMAINS, &["domains"], &[], &mut Some).await
    }

    /// The newest verification of a PBX. Not found: there was none.
    pub async fn latest_verification(&self, pbx: OrganizationId) -> Result<Verification, ApiError> {
        self.channel.json(&self.pbx_get(LATEST_VERIFICATION, pbx, &["verifications", "latest"])).await
    }

    /// The ticks of directory import and tenant push.
    pub async fn sync_state(&self) -> Result<SyncState, ApiError> {
        self.channel.json(&self.account_get(SYNC_STATE, &["sync-state"], &[])).await
    }

    /// Directory imports and pushes that were accepted since `since`.
    pub async fn syncs(&self, since: Timestamp) -> Result<Complete<Sync>, Incomplete> {
        self.pages(SYNCS, &["syncs"], &[("since", &since.to_string())], &mut Some).await
    }

    /// One directory import or push.
    pub async fn sync(&self, id: &str) -> Result<Sync, ApiError> {
        self.channel.json(&self.account_get(SYNC, &["syncs", id], &[])).await
    }

    /// Outcomes of a push, one for each user.
    pub async fn sync_results<R: Send>(
        &self,
        id: &str,
        mut map: impl FnMut(SyncResult) -> Option<R> + Send,
    ) -> Result<Complete<R>, Incomplete> {
        self.pages(SYNC_RESULTS, &["syncs", id, "results"], &[], &mut map).await
    }

    /// The Global Administrator's sign-in for a push.
    pub async fn push_authorization(&self) -> Result<PushAuthorization, ApiError> {
        self.channel.json(&self.account_get(PUSH_AUTHORIZATION, &["push-authorization"], &[])).await
    }

    /// Users of a PBX with the setting that no public API shows.
    pub async fn candidates<R: Send>(
        &self,
        pbx: OrganizationId,
        mut map: impl FnMut(Candidate) -> Option<R> + Send,
    ) -> Result<Complete<R>, Incomplete> {
        self.pages(CANDIDATES, &["pbxs", &pbx.to_string(), "candidates"], &[], &mut map).await
    }

    /// Users of a PBX in the connector.
    pub async fn users<R: Send>(
        &self,
        pbx: OrganizationId,
        mut map: impl FnMut(ConnectorUser) -> Option<R> + Send,
    ) -> Result<Complete<R>, Incomplete> {
        self.pages(USERS, &["pbxs", &pbx.to_string(), "users"], &[], &mut map).await
    }

    /// Until when the connector wants no calls; `None` while its gate is open.
    #[must_use]
    pub fn closed_until(&self) -> Option<Timestamp> {
        self.channel.closed_until(&[Api::Connector])
    }

    fn account_get(&self, route: Route, path: &[&str], query: &[(&str, &str)]) -> Call {
        Call::get(route, &self.base, &self.path(path), query)
    }

    fn pbx_get(&self, route: Route, pbx: OrganizationId, path: &[&str]) -> Call {
        let pbx = pbx.to_string();
        let mut below = vec!["pbxs", pbx.as_str()];
        below.extend(path);
        self.account_get(route, &below, &[])
    }

    /// `/accounts/{accountKey}` and what follows.
    fn path<'a>(&'a self, below: &[&'a str]) -> Vec<&'a str> {
        let mut path = vec!["accounts", self.account.as_str()];
        path.extend(below);
        path
    }
}

#[cfg(test)]
mod tests;
