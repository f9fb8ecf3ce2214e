//! What changes something at the connector. None of these calls is ever repeated here; one that ended with
//! [`ApiError::may_have_had_effect`] is decided by reading.

use axum::http::{HeaderValue, Method};

use super::wire::{
    BatchOperation, BatchReply, BatchRequest, Manager, PatchServices, PushAuthorization, PutAccount, PutAdministrator,
    PutDomainText, StartSync, Sync,
};
use super::{ConnectorClient, route};
use crate::clients::error::ApiError;
use crate::clients::http::Call;
use crate::clients::route::{Api, Route};
use crate::domain::OrganizationId;

const PUT_ACCOUNT: Route = route("PUT /accounts/{accountKey}");
const SEND_INVITATION: Route = route("POST /accounts/{accountKey}/invitation");
const PUT_ADMINISTRATOR: Route = route("PUT /accounts/{accountKey}/administrators/{email}");
const DELETE_ADMINISTRATOR: Route = route("DELETE /accounts/{accountKey}/administrators/{email}");
const INVITE_ADMINISTRATOR: Route = route("POST /accounts/{accountKey}/administrators/{email}/invitation");
const PATCH_SERVICES: Route = route("PATCH /accounts/{accountKey}/pbxs/{organizationId}/services/teams");
const PUBLISH_DOMAIN_TEXT: Route = route("PUT /accounts/{accountKey}/domains/{name}/verification");
const REQUEST_CONSENTS: Route = route("POST /accounts/{accountKey}/consents/requests");
const BIND_PBX: Route = route("PUT /accounts/{accountKey}/pbxs/{organizationId}");
const UNBIND_PBX: Route = route("DELETE /accounts/{accountKey}/pbxs/{organizationId}");
const START_VERIFICATION: Route = route("POST /accounts/{accountKey}/pbxs/{organizationId}/verifications");
const START_SYNC: Route = route("POST /accounts/{accountKey}/syncs");
const REQUEST_PUSH_AUTHORIZATION: Route = route("POST /accounts/{accountKey}/push-authorization/requests");
const BATCH: Route = route("POST /accounts/{accountKey}/pbxs/{organizationId}/users:batch");

/// Most operations of one [`ConnectorClient::batch`].
pub const BATCH_LIMIT: usize = 25;

impl ConnectorClient {
    /// Enters the managing user of card 1, or another one before the invitation was accepted; no mail is sent.
    pub async fn put_account(&self, manager: Manager) -> Result<(), ApiError> {
        let call = self.write(PUT_ACCOUNT, Method::PUT, &[]).json(&PutAccount { manager })?;
        self.sent(call).await
    }

    /// Sends the invitation to the managing user; the same key within 24 h sends no second mail. `AlreadyAccepted`: done.
    pub async fn send_invitation(&self, idempotency_key: &str) -> Result<(), ApiError> {
        let call = self.write(SEND_INVITATION, Method::POST, &["invitation"]);
        self.sent(keyed(call, idempotency_key)?).await
    }

    /// Adds an administrator or changes the role; no mail is sent. `LastOwner`: nobody would own the account.
    pub async fn put_administrator(&self, email: &str, body: &PutAdministrator) -> Result<(), ApiError> {
        let call = self.write(PUT_ADMINISTRATOR, Method::PUT, &["administrators", email]).json(body)?;
        self.sent(call).await
    }

    /// Sends the invitation to an administrator; the same key within 24 h sends no second mail.
    pub async fn invite_administrator(&self, email: &str, idempotency_key: &str) -> Result<(), ApiError> {
        let call = self.write(INVITE_ADMINISTRATOR, Method::POST, &["administrators", email, "invitation"]);
        self.sent(keyed(call, idempotency_key)?).await
    }

    /// Removes an administrator. `LastOwner`: nobody would own the account.
    pub async fn delete_administrator(&self, email: &str) -> Result<(), ApiError> {
        let call = self.write(DELETE_ADMINISTRATOR, Method::DELETE, &["administrators", email]);
        self.sent(call).await
    }

    /// Turns switches of a PBX. `SyncMustBeEnabledFirst`: Enable Sync comes before Enable Service.
    pub async fn patch_services(&self, pbx: OrganizationId, body: &PatchServices) -> Result<(), ApiError> {
        let path = ["pbxs", &pbx.to_string(), "services", "teams"];
        let call = self.write(PATCH_SERVICES, Method::PATCH, &path).json(body)?;
        self.sent(call).await
    }

    /// Lets the connector publish the text by which Microsoft recognises the owner of a domain.
    pub async fn publish_domain_text(&self, name: &str, text: &str) -> Result<(), ApiError> {
        let body = PutDomainText { text: text.to_owned() };
        let call = self.write(PUBLISH_DOMAIN_TEXT, Method::PUT, &["domains", name, "verification"]).json(&body)?;
        self.sent(call).await
    }

    /// Asks for links at which the Global Administrator grants what is not granted yet.
    pub async fn request_consents(&self, idempotency_key: &str) -> Result<(), ApiError> {
        let call = self.write(REQUEST_CONSENTS, Method::POST, &["consents", "requests"]);
        self.sent(keyed(call, idempotency_key)?).await
    }

    /// Binds a PBX; done already is success too.
    pub async fn bind_pbx(&self, pbx: OrganizationId) -> Result<(), ApiError> {
        let call = self.write(BIND_PBX, Method::PUT, &["pbxs", &pbx.to_string()]);
        self.sent(call).await
    }

    /// Unbinds a PBX. `UsersConnected`: it is in use and stays bound.
    pub async fn unbind_pbx(&self, pbx: OrganizationId) -> Result<(), ApiError> {
        let call = self.write(UNBIND_PBX, Method::DELETE, &["pbxs", &pbx.to_string()]);
        self.sent(call).await
    }

    /// Starts a verification of a PBX; the same key within 24 h starts no second one.
    pub async fn start_verification(&self, pbx: OrganizationId, idempotency_key: &str) -> Result<(), ApiError> {
        let call = self.write(START_VERIFICATION, Method::POST, &["pbxs", &pbx.to_string(), "verifications"]);
        self.sent(keyed(call, idempotency_key)?).await
    }

    /// Starts a directory import or a push; the same key within 24 h returns the first one. `SyncRunning`: another is working.
    pub async fn start_sync(&self, body: &StartSync, idempotency_key: &str) -> Result<Sync, ApiError> {
        let call = self.write(START_SYNC, Method::POST, &["syncs"]).json(body)?;
        let reply = self.channel.sent(&keyed(call, idempotency_key)?).await?;
        match reply.id_in_location() {
            Some(id) if reply.is_empty() => self.sync(&id).await,
            _ => reply.json(),
        }
    }

    /// Asks for a link for the Global Administrator's sign-in.
    pub async fn request_push_authorization(&self, idempotency_key: &str) -> Result<PushAuthorization, ApiError> {
        let call = self.write(REQUEST_PUSH_AUTHORIZATION, Method::POST, &["push-authorization", "requests"]);
        self.channel.json(&keyed(call, idempotency_key)?).await
    }

    /// Up to 25 operations on users of a PBX, each on its own. One that is answered by 429 closes the gate for all.
    pub async fn batch(&self, pbx: OrganizationId, operations: Vec<BatchOperation>) -> Result<BatchReply, ApiError> {
        if operations.is_empty() || operations.len() > BATCH_LIMIT {
            return Err(ApiError::InvalidInput { route: BATCH, why: "a batch has 1 to 25 operations" });
        }
        let call = self.write(BATCH, Method::POST, &["pbxs", &pbx.to_string(), "users:batch"]);
        let reply: BatchReply = self.channel.json(&call.json(&BatchRequest { operations })?).await?;
        if reply.results.iter().any(|result| result.status == 429) {
            self.channel.gate(Api::Connector).throttled();
        }
        Ok(reply)
    }

    /// Sends a call whose answer says no more than that it was accepted.
    async fn sent(&self, call: Call) -> Result<(), ApiError> {
        self.channel.sent(&call).await.map(drop)
    }

    fn write(&self, route: Route, method: Method, path: &[&str]) -> Call {
        Call::new(route, method, &self.base, &self.path(path), &[])
    }
}

fn keyed(call: Call, key: &str) -> Result<Call, ApiError> {
    let route = call.route;
    let invalid = |_| ApiError::InvalidInput { route, why: "the idempotency key cannot be sent in a header" };
    Ok(call.header("idempotency-key", HeaderValue::from_str(key).map_err(invalid)?))
}
