//! Request bodies, strictly: an unknown field is an error.

use axum::body::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::refused;
use crate::sim::Call;
use crate::sim::reply::Refused;

/// The body of a call. The error names no value: a password may be among them.
pub(super) fn parse<T: DeserializeOwned>(call: &Call, body: &Bytes) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| {
        let category = error.classify();
        refused(call, 400, &format!("Invalid request body ({category:?} at column {}).", error.column()))
    })
}

/// The body of a call that takes none: nothing, or an empty object.
pub(super) fn none(call: &Call, body: &Bytes) -> Result<(), Refused> {
    if body.is_empty() { Ok(()) } else { parse::<Nothing>(call, body).map(|_| ()) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}
