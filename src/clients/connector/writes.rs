//! What changes something at the connector. None of these calls is ever repeated here; one that ended with
//! [`ApiError::may_have_had_effect`] is decided by reading.

use axum::http::{HeaderValue, Method};

use super::wire::{BatchOperation, BatchReply, BatchRequest, PushAuthorization, StartSync, Sync};
use super::{ConnectorClient, route};
use crate::clients::error::ApiError;
use crate::clients::http::Call;
use crate::clients::route::{Api, Route};
use crate::domain::OrganizationId;

const BIND_PBX: Route = route("PUT /accounts/{accountKey}/pbxs/{organizationId}");
const START_VERIFICATION: Route = route("POST /accounts/{accountKey}/pbxs/{organizationId}/verifications");
const START_SYNC: Route = route("POST /accounts/{accountKey}/syncs");
const REQUEST_PUSH_AUTHORIZATION: Route = route("POST /accounts/{accountKey}/push-authorization/requests");
const BATCH: Route = route("POST /accounts/{accountKey}/pbxs/{organizationId}/users:batch");

/// Most operations of one [`ConnectorClient::batch`].
pub const BATCH_LIMIT: usize = 25;

impl ConnectorClient {
    /// Binds a PBX; done already is success too.
    pub async fn bind_pbx(&self, pbx: OrganizationId) -> Result<(), ApiError> {
        let call = self.write(BIND_PBX, Method::PUT, &["pbxs", &pbx.to_string()]);
        self.channel.sent(&call).await.map(drop)
    }

    /// Starts a verification of a PBX; the same key within 24 h starts no second one.
    pub async fn start_verification(&self, pbx: OrganizationId, idempotency_key: &str) -> Result<(), ApiError> {
        let call = self.write(START_VERIFICATION, Method::POST, &["pbxs", &pbx.to_string(), "verifications"]);
        self.channel.sent(&keyed(call, idempotency_key)?).await.map(drop)
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

    fn write(&self, route: Route, method: Method, path: &[&str]) -> Call {
        Call::new(route, method, &self.base, &self.path(path), &[])
    }
}

fn keyed(call: Call, key: &str) -> Result<Call, ApiError> {
    let route = call.route;
    let invalid = |_| ApiError::InvalidInput { route, why: "the idempotency key cannot be sent in a header" };
    Ok(call.header("idempotency-key", HeaderValue::from_str(key).map_err(invalid)?))
}
