//! `Idempotency-Key`: the same key on the same route returns the first answer for 24 hours.

use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;

use super::invalid;
use crate::domain::AccountKey;
use crate::sim::Call;
use crate::sim::reply::{Answer, Refused, json_reply};
use crate::sim::world::World;
use crate::sim::world::connector::Answer as Remembered;

/// A first answer.
pub(super) struct First {
    status: StatusCode,
    location: Option<String>,
    body: Value,
}

impl First {
    pub(super) fn new(status: StatusCode, body: &impl Serialize) -> Self {
        Self { status, location: None, body: serde_json::to_value(body).unwrap_or_default() }
    }

    pub(super) fn at(self, location: String) -> Self {
        Self { location: Some(location), ..self }
    }
}

/// Answers a POST: from memory when the key is known, else by doing it. A refusal is not kept.
pub(super) fn answer(
    call: &Call,
    world: &mut World,
    account: &AccountKey,
    route: &str,
    headers: &HeaderMap,
    act: impl FnOnce(&mut World) -> Result<First, Refused>,
) -> Answer {
    let key = key(headers)?.map(|key| format!("{route} {key}"));
    if let Some(kept) = key.as_ref().and_then(|key| world.remembered(account, key, call.now())) {
        call.wrote(false);
        return Ok(reply(kept));
    }
    let First { status, location, body } = act(world)?;
    let answer = Remembered { at: call.now(), status: status.as_u16(), location, body };
    let response = reply(&answer);
    if let Some(key) = key {
        world.remember(account, key, answer);
    }
    Ok(response)
}

fn key(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=255).contains(&key.len()));
    key.map(Some).ok_or_else(|| invalid("Idempotency-Key needs 1 to 255 visible characters".to_owned()))
}

fn reply(answer: &Remembered) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = json_reply(status, &answer.body);
    let location = answer.location.as_deref().and_then(|text| HeaderValue::from_str(text).ok());
    if let Some(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}
