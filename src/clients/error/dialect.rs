//! From an answer that is no success to an [`ApiError`]: the five error dialects.
//!
//! Decided by status and code, never by a text. A code and a reference are kept only if they have the form of one.

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::credentials::{EntraVerdict, entra_verdict, goto_problem};
use super::{Answer, ApiError, CredentialsProblem, Undecodable};
use crate::clients::connector::wire as connector;
use crate::clients::goto::wire as goto;
use crate::clients::graph::wire as graph;
use crate::clients::route::{Api, Route};

/// An answer that is no success.
pub(crate) struct Refusal<'a> {
    pub(crate) route: Route,
    pub(crate) status: u16,
    /// `Retry-After` as a moment of business time.
    pub(crate) until: Option<Timestamp>,
    /// Microsoft's `request-id` header.
    pub(crate) request_id: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

/// What the answer means.
pub(crate) fn fault(refusal: &Refusal<'_>) -> ApiError {
    match refusal.route.api {
        Api::GotoToken => goto_token(refusal),
        Api::EntraToken => entra_token(refusal),
        Api::GotoAdmin => goto_admin(refusal),
        Api::GotoUsers | Api::GotoVoiceAdmin => by_status(refusal, goto_answer(refusal)),
        Api::Graph | Api::GraphTeams => graph_api(refusal),
        Api::Connector => connector_api(refusal),
    }
}

fn goto_token(refusal: &Refusal<'_>) -> ApiError {
    let parsed: Option<goto::TokenError> = parse(refusal);
    let answer = refusal.answer(parsed.as_ref().map(|error| error.error.as_str()), None);
    match parsed {
        Some(error) if refusal.blames_the_caller() => {
            ApiError::CredentialsRefused { answer, problem: goto_problem(&error.error) }
        }
        None if refusal.blames_the_caller() => refusal.undecodable(answer),
        _ => by_status(refusal, answer),
    }
}

fn entra_token(refusal: &Refusal<'_>) -> ApiError {
    let Some(error) = parse::<graph::TokenError>(refusal) else {
        let answer = refusal.answer(None, None);
        return if refusal.blames_the_caller() { refusal.undecodable(answer) } else { by_status(refusal, answer) };
    };
    let number = error.error_codes.first().map(|number| format!("AADSTS{number}"));
    let answer = refusal.answer(number.as_deref().or(Some(&error.error)), None);
    if !refusal.blames_the_caller() {
        return by_status(refusal, answer);
    }
    match entra_verdict(&error.error, &error.error_codes) {
        EntraVerdict::Credentials(problem) => ApiError::CredentialsRefused { answer, problem },
        EntraVerdict::Retry => ApiError::Unavailable { answer, until: refusal.until },
        EntraVerdict::Throttled => ApiError::RateLimited { answer, until: refusal.until },
    }
}

/// 401 and 403 are not reliably told apart on this host.
fn goto_admin(refusal: &Refusal<'_>) -> ApiError {
    let answer = goto_answer(refusal);
    if refusal.status == 403 { ApiError::TokenRefused(answer) } else { by_status(refusal, answer) }
}

fn goto_answer(refusal: &Refusal<'_>) -> Answer {
    let error: Option<goto::ErrorBody> = parse(refusal);
    let (code, reference) = error.map_or((None, None), |error| (Some(error.error_code), error.reference));
    refusal.answer(code.as_deref(), reference.as_deref())
}

fn connector_api(refusal: &Refusal<'_>) -> ApiError {
    let error: Option<connector::ErrorBody> = parse(refusal);
    let (code, reference) = error.map_or((None, None), |error| (Some(error.error_code), error.reference));
    let answer = refusal.answer(code.as_deref(), reference.as_deref());
    match (refusal.status, code.as_deref()) {
        (403, Some("ConsentRequired" | "SignInRequired")) => ApiError::Conflict(answer),
        _ => by_status(refusal, answer),
    }
}

fn graph_api(refusal: &Refusal<'_>) -> ApiError {
    let codes = parse::<graph::ErrorBody>(refusal).map(|body| graph_codes(&body.error)).unwrap_or_default();
    let has = |wanted: &str| codes.iter().any(|code| code == wanted);
    let answer = refusal.answer(codes.first().map(String::as_str), None);
    match refusal.status {
        400 | 404 | 410 if codes.iter().any(|code| is_cursor_code(code)) => ApiError::CursorExpired(answer),
        410 => ApiError::CursorExpired(answer),
        400..=499 if codes.iter().any(|code| code.ends_with("ExpiredPageToken")) => ApiError::PageTokenExpired(answer),
        400 if has("ObjectConflict") => ApiError::Conflict(answer),
        401 | 403 if has("Authorization_IdentityNotFound") => {
            ApiError::CredentialsRefused { answer, problem: CredentialsProblem::Propagating }
        }
        400 | 403 if has("Directory_QuotaExceeded") => {
            ApiError::Forbidden { answer, needs: "room in the directory's object quota" }
        }
        403 if has("Directory_ResourceSizeExceeded") => ApiError::Refused(answer),
        409 if has("Directory_ConcurrencyViolation") => ApiError::Unavailable { answer, until: refusal.until },
        _ => by_status(refusal, answer),
    }
}

/// The outer code first, then the more precise ones; an `UnknownError` may carry the real one as JSON in its message.
fn graph_codes(error: &graph::ErrorDetail) -> Vec<String> {
    let mut codes = vec![error.code.clone()];
    codes.extend(error.details.iter().map(|detail| detail.code.clone()));
    let mut inner = error.inner_error.as_ref();
    while let Some(value) = inner {
        codes.extend(value.get("code").and_then(Value::as_str).map(str::to_owned));
        inner = value.get("innerError").or_else(|| value.get("innererror"));
    }
    if error.code == "UnknownError" {
        let message: Option<Value> = serde_json::from_str(&error.message).ok();
        let code = message.as_ref().and_then(|value| value.get("code")).and_then(Value::as_str);
        codes.splice(0..0, code.map(str::to_owned));
    }
    codes
}

fn is_cursor_code(code: &str) -> bool {
    code.starts_with("syncState") || code.starts_with("resync") || code.to_ascii_lowercase().contains("deltatoken")
}

fn by_status(refusal: &Refusal<'_>, answer: Answer) -> ApiError {
    let until = refusal.until;
    match refusal.status {
        300..=399 => ApiError::Redirected(answer),
        401 => ApiError::TokenRefused(answer),
        403 => ApiError::Forbidden { answer, needs: refusal.route.needs },
        404 | 410 => ApiError::NotFound(answer),
        409 | 412 => ApiError::Conflict(answer),
        429 => ApiError::RateLimited { answer, until },
        408 | 425 => ApiError::Unavailable { answer, until },
        400..=499 | 501 => ApiError::Refused(answer),
        _ => ApiError::Unavailable { answer, until },
    }
}

impl Refusal<'_> {
    fn blames_the_caller(&self) -> bool {
        (400..=499).contains(&self.status) && self.status != 429 && self.status != 408
    }

    fn answer(&self, code: Option<&str>, reference: Option<&str>) -> Answer {
        Answer {
            route: self.route,
            status: self.status,
            code: code.and_then(word),
            reference: reference.or(self.request_id).and_then(word),
        }
    }

    fn undecodable(&self, answer: Answer) -> ApiError {
        let html = self.body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<');
        ApiError::Undecodable { answer, what: if html { Undecodable::Html } else { Undecodable::Malformed } }
    }
}

fn parse<T: serde::de::DeserializeOwned>(refusal: &Refusal<'_>) -> Option<T> {
    serde_json::from_slice(refusal.body).ok()
}

/// The text, if it has the form of a code or an id; anything else might be personal data.
pub(crate) fn word(text: &str) -> Option<Box<str>> {
    let shaped = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let fits = (1..=64).contains(&text.len()) && text.bytes().all(shaped);
    fits.then(|| text.into())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
