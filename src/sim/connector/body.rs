//! Request bodies, strictly: an unknown field is an error.

use axum::body::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::invalid;
use crate::sim::reply::Refused;

/// The body of a call.
pub(super) fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))
}

/// The body of a call that takes none: nothing, or an empty object.
pub(super) fn none(body: &Bytes) -> Result<(), Refused> {
    if body.is_empty() { Ok(()) } else { parse::<Nothing>(body).map(|_| ()) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// `PATCH P/users/{gotoUserKey}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PatchUser {
    pub(super) enabled: bool,
}
