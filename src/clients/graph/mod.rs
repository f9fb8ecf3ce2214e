//! Client of Microsoft Graph. It writes nothing but the domain and the temporary user of the set-up.

mod pages;
mod permissions;
mod set_up;
pub mod wire;

use k8s_openapi::jiff::Timestamp;
use url::Url;

use super::channel::Channel;
use super::error::ApiError;
use super::http::Call;
use super::listing::{Complete, Incomplete};
use super::route::{Api, Route};
use crate::domain::EntraObjectId;
use wire::{NumberAssignment, Page, ServicePrincipal, SubscribedSku, User, UserConfiguration};

pub use pages::{DeltaCursor, DeltaRound};
pub use permissions::{Granted, GraphPermission, NEEDED_PERMISSIONS, SET_UP_PERMISSIONS};
pub use set_up::TemporaryUser;

/// Application id of Microsoft Graph, the same in every tenant.
pub const GRAPH_APP_ID: &str = "00000003-0000-0000-c000-000000000000";

/// What is read of a user; bound into the cursor of a delta round.
const USER_PROPERTIES: &str =
    "id,userPrincipalName,mail,displayName,accountEnabled,userType,usageLocation,assignedPlans";

const SERVICE_PRINCIPAL: Route =
    Route::new(Api::Graph, "GET /servicePrincipals(appId={appId})", "Application.Read.All");
const APP_ROLE_ASSIGNMENTS: Route =
    Route::new(Api::Graph, "GET /servicePrincipals/{id}/appRoleAssignments", "Application.Read.All");
const SUBSCRIBED_SKUS: Route = Route::new(Api::Graph, "GET /subscribedSkus", "LicenseAssignment.Read.All");
const USERS_DELTA: Route = Route::new(Api::Graph, "GET /users/delta", "User.Read.All");
const USER: Route = Route::new(Api::Graph, "GET /users/{id}", "User.Read.All");
const NUMBER_ASSIGNMENTS: Route = Route::new(
    Api::GraphTeams,
    "GET /admin/teams/telephoneNumberManagement/numberAssignments",
    "TeamsTelephoneNumber.Read.All",
);
const USER_CONFIGURATIONS: Route =
    Route::new(Api::GraphTeams, "GET /admin/teams/userConfigurations", "TeamsUserConfiguration.Read.All");

/// Client of Graph with one credential; cheap to clone.
///
/// The `map` of a listing turns each item into the caller's compact record, or drops it; it may see an item twice when a
/// listing is restarted.
#[derive(Clone)]
pub struct GraphClient {
    channel: Channel,
    /// `{graph}/v1.0`.
    base: Url,
}

impl GraphClient {
    pub(super) fn new(channel: Channel, graph: &Url) -> Self {
        let mut base = graph.clone();
        if let Ok(mut segments) = base.path_segments_mut() {
            segments.pop_if_empty().push("v1.0");
        }
        Self { channel, base }
    }

    /// The permissions of Graph that the tenant has consented to for the application `app_id`.
    pub async fn own_permissions(&self, app_id: &str) -> Result<Granted, Incomplete> {
        let own = self.service_principal(app_id).await?;
        let graph = self.service_principal(GRAPH_APP_ID).await?.id;
        let call =
            self.get(APP_ROLE_ASSIGNMENTS, &["servicePrincipals", &own.id.to_string(), "appRoleAssignments"], &[]);
        let mut of_graph = |row: wire::AppRoleAssignment| (row.resource_id == graph).then_some(row.app_role_id);
        Ok(Granted::new(self.link_pages(call, &mut of_graph).await?.into_items()))
    }

    /// An application in the tenant. Not found: not installed or not consented there.
    pub async fn service_principal(&self, app_id: &str) -> Result<ServicePrincipal, ApiError> {
        let segment = permissions::by_app_id(SERVICE_PRINCIPAL, app_id)?;
        self.channel.json(&self.get(SERVICE_PRINCIPAL, &[&segment], &[("$select", "id,appId")])).await
    }

    /// Subscriptions of the tenant; this listing has one page.
    pub async fn subscribed_skus(&self) -> Result<Complete<SubscribedSku>, Incomplete> {
        self.link_pages(self.get(SUBSCRIBED_SKUS, &["subscribedSkus"], &[]), &mut Some).await
    }

    /// Users of the tenant: all of them without a cursor, else what changed since. After a resync (class
    /// [`super::Class::Resync`]) the caller drops the cursor and lists everything.
    pub async fn users_delta<R: Send>(
        &self,
        cursor: Option<&DeltaCursor>,
        mut map: impl FnMut(User) -> Option<R> + Send,
    ) -> Result<DeltaRound<R>, Incomplete> {
        self.delta_round(cursor, &mut map).await
    }

    /// One user.
    pub async fn user(&self, id: EntraObjectId) -> Result<User, ApiError> {
        self.channel.json(&self.get(USER, &["users", &id.to_string()], &[("$select", USER_PROPERTIES)])).await
    }

    /// Telephone numbers of the tenant.
    pub async fn number_assignments<R: Send>(
        &self,
        mut map: impl FnMut(NumberAssignment) -> Option<R> + Send,
    ) -> Result<Complete<R>, Incomplete> {
        self.skip_pages(&mut map).await
    }

    /// Voice state of every user that Teams has provisioned.
    pub async fn user_configurations<R: Send>(
        &self,
        mut map: impl FnMut(UserConfiguration) -> Option<R> + Send,
    ) -> Result<Complete<R>, Incomplete> {
        let call = self.get(USER_CONFIGURATIONS, &["admin", "teams", "userConfigurations"], &[]);
        self.link_pages(pages::with_unknown_members(call), &mut map).await
    }

    /// Until when Microsoft wants no calls; `None` while all gates are open.
    #[must_use]
    pub fn closed_until(&self) -> Option<Timestamp> {
        self.channel.closed_until(&[Api::EntraToken, Api::Graph, Api::GraphTeams])
    }

    fn get(&self, route: Route, path: &[&str], query: &[(&str, &str)]) -> Call {
        pages::identified(Call::get(route, &self.base, path, query))
    }

    async fn page<T: serde::de::DeserializeOwned>(&self, call: &Call) -> Result<Page<T>, ApiError> {
        self.channel.json(call).await
    }
}

#[cfg(test)]
mod tests;
