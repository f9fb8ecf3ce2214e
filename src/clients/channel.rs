//! Gate, access token and call together, and the repetition of reads.
//!
//! **Invariant:** a call that may change something is never repeated, but for one answered by "bad token", which had no effect.

use std::sync::Arc;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::de::DeserializeOwned;

use super::error::{ApiError, Class};
use super::gate::{Gate, Gates, LONGEST_WAIT, backoff};
use super::http::{Call, Http, Reply};
use super::route::Api;
use super::token::TokenSource;

/// A read is sent at most this often.
const ATTEMPTS: u32 = 4;

/// The way to the APIs of one vendor with one credential.
#[derive(Clone)]
pub(crate) struct Channel {
    http: Http,
    gates: Arc<Gates>,
    /// Whose bucket: see [`Gates::for_key`].
    key: String,
    tokens: TokenSource,
}

impl Channel {
    pub(crate) fn new(http: Http, gates: Arc<Gates>, key: String, tokens: TokenSource) -> Self {
        Self { http, gates, key, tokens }
    }

    pub(crate) fn tokens(&self) -> &TokenSource {
        &self.tokens
    }

    pub(crate) fn gate(&self, api: Api) -> Arc<Gate> {
        self.gates.for_key(api, &self.key)
    }

    /// Until when the other side wants no calls: the latest of the given APIs.
    pub(crate) fn closed_until(&self, apis: &[Api]) -> Option<Timestamp> {
        apis.iter().filter_map(|api| self.gate(*api).closed_until()).max()
    }

    /// Sends a call and decodes its answer; a read is repeated while that may help.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, ApiError> {
        let mut repetition = Repetition::of(&self.http, call);
        loop {
            match self.authorized(call).await.and_then(Reply::json) {
                Ok(value) => return Ok(value),
                Err(error) => repetition.after(error).await?,
            }
        }
    }

    /// Sends a call once; its answer is the caller's to read.
    pub(crate) async fn sent(&self, call: &Call) -> Result<Reply, ApiError> {
        self.authorized(call).await
    }

    /// One forced refresh and one repetition when the token is refused, not more.
    async fn authorized(&self, call: &Call) -> Result<Reply, ApiError> {
        let token = self.tokens.token().await?;
        let gate = self.gate(call.route.api);
        match gated(&self.http, &gate, call, Some(&token)).await {
            Err(refused @ ApiError::TokenRefused(_)) => match self.tokens.instead_of(&token).await? {
                Some(fresh) => gated(&self.http, &gate, call, Some(&fresh)).await,
                None => Err(refused),
            },
            other => other,
        }
    }
}

/// Sends a call once the gate lets it, and tells the gate how it ended.
pub(crate) async fn gated(
    http: &Http,
    gate: &Gate,
    call: &Call,
    token: Option<&SecretString>,
) -> Result<Reply, ApiError> {
    let permit = gate.pass().await.map_err(|until| ApiError::GateClosed { route: call.route, until })?;
    match http.exchange(call, token).await {
        Err(ApiError::RateLimited { answer, until }) => {
            Err(ApiError::RateLimited { answer, until: Some(permit.throttled(until)) })
        }
        Err(ApiError::Unavailable { answer, until: Some(until) }) => {
            Err(ApiError::Unavailable { answer, until: Some(permit.throttled(Some(until))) })
        }
        // Nothing is known about the other side's mood then: a closed gate stays closed.
        Err(
            unwell @ (ApiError::Unreachable { .. } | ApiError::DeadlineExceeded { .. } | ApiError::Unavailable { .. }),
        ) => Err(unwell),
        other => {
            permit.answered();
            other
        }
    }
}

/// Repeats a read on 429, 5xx, lost and undecodable answers; a wait of more than a minute is the caller's.
pub(crate) struct Repetition<'a> {
    http: &'a Http,
    call: &'a Call,
    done: u32,
}

impl<'a> Repetition<'a> {
    pub(crate) fn of(http: &'a Http, call: &'a Call) -> Self {
        Self { http, call, done: 0 }
    }

    /// Returns when the call may be sent again, or the error if it may not.
    pub(crate) async fn after(&mut self, error: ApiError) -> Result<(), ApiError> {
        self.done += 1;
        // An error of another route is that of the token call, which has its own rule.
        if !self.call.repeatable || self.done == ATTEMPTS || error.route() != self.call.route {
            return Err(error);
        }
        let now = self.http.clock().now();
        let pause = backoff(self.done, self.call.route.operation, now);
        let Some(at) = next_attempt(&error, now, pause.try_into().unwrap_or(SignedDuration::ZERO)) else {
            return Err(error);
        };
        self.http.clock().sleep_until(at).await;
        Ok(())
    }
}

fn next_attempt(error: &ApiError, now: Timestamp, pause: SignedDuration) -> Option<Timestamp> {
    if matches!(error, ApiError::GateClosed { .. } | ApiError::NotStored { .. } | ApiError::Redirected(_)) {
        return None;
    }
    match error.class() {
        Class::Retry | Class::Throttled { until: None } => now.checked_add(pause).ok(),
        Class::Throttled { until: Some(until) } => (until.duration_since(now) <= LONGEST_WAIT).then_some(until),
        Class::Credentials(_)
        | Class::Permission(_)
        | Class::Absent
        | Class::Conflict(_)
        | Class::Permanent
        | Class::Resync => None,
    }
}
