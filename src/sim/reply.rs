//! Replies in each vendor's dialect.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Api;

/// A JSON reply.
pub(super) fn json_reply(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => (status, [(CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// 200 with JSON.
pub(super) fn ok(body: &impl Serialize) -> Response {
    json_reply(StatusCode::OK, body)
}

/// An HTML page.
pub(super) fn html(status: StatusCode, page: String) -> Response {
    (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

/// An error of GoTo's APIs or of the connector.
pub(super) fn goto_error(status: StatusCode, code: &str, message: &str) -> Response {
    let reference = Uuid::new_v4();
    let body = json!({"errorCode": code, "message": message, "reference": reference, "constraintViolations": []});
    json_reply(status, &body)
}

/// An error of GoTo's token endpoint.
pub(super) fn goto_token_error(status: StatusCode, error: &str, description: &str) -> Response {
    json_reply(status, &json!({"error": error, "error_description": description}))
}

/// An error of Microsoft Graph.
pub(super) fn graph_error(status: StatusCode, code: &str, message: &str, now: Timestamp) -> Response {
    graph_error_with(status, code, message, &[], now)
}

/// An error of Microsoft Graph with more precise errors inside.
pub(super) fn graph_error_with(
    status: StatusCode,
    code: &str,
    message: &str,
    details: &[Value],
    now: Timestamp,
) -> Response {
    let inner = json!({"date": graph_date(now), "request-id": Uuid::new_v4(), "client-request-id": Uuid::new_v4()});
    let mut error = json!({"code": code, "message": message, "innerError": inner});
    if !details.is_empty() {
        error["details"] = json!(details);
    }
    json_reply(status, &json!({"error": error}))
}

fn graph_date(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// An error of Entra's token endpoint; the description begins with the AADSTS number.
pub(super) fn entra_error(status: StatusCode, error: &str, number: u64, text: &str, now: Timestamp) -> Response {
    let timestamp = now.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    let (trace, correlation) = (Uuid::new_v4(), Uuid::new_v4());
    let description =
        format!("AADSTS{number}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}");
    let body = json!({
        "error": error,
        "error_description": description,
        "error_codes": [number],
        "timestamp": timestamp,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": format!("https://login.microsoftonline.com/error?code={number}"),
    });
    json_reply(status, &body)
}

/// A status that no handler decided on, in the dialect of its API.
pub(super) fn injected(api: Api, status: StatusCode, retry_after: Option<u64>, now: Timestamp) -> Response {
    let mut response = match api {
        Api::GotoAuth | Api::GotoAdmin | Api::GotoApi => goto_injected(status),
        Api::Connector => goto_error(status, connector_code(status), "injected by the simulator"),
        Api::Entra => entra_injected(status, now),
        Api::Graph => graph_error(status, graph_code(status), graph_message(status), now),
    };
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn goto_injected(status: StatusCode) -> Response {
    match status.as_u16() {
        401 => goto_error(status, "AUTHN_EXPIRED_TOKEN", "The access token has expired."),
        403 => goto_error(status, "AUTHZ_INSUFFICIENT_SCOPE", "The scope is not sufficient."),
        404 => goto_error(status, "NOT_FOUND", "Not found."),
        409 => goto_error(status, "CONFLICT", "Conflict."),
        500 => goto_error(status, "UNKNOWN_ERROR", "An unknown error occurred."),
        502..=504 => html(status, gateway_page(status)),
        _ => (status, Body::empty()).into_response(),
    }
}

/// The page of a gateway in front of an API.
pub(super) fn gateway_page(status: StatusCode) -> String {
    format!("<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>")
}

fn connector_code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "InvalidToken",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        412 => "PreconditionFailed",
        429 => "TooManyRequests",
        503 => "Maintenance",
        _ => "InternalError",
    }
}

fn entra_injected(status: StatusCode, now: Timestamp) -> Response {
    if status == StatusCode::TOO_MANY_REQUESTS {
        return entra_error(status, "temporarily_unavailable", 90055, "The tenant is throttled.", now);
    }
    entra_error(status, "temporarily_unavailable", 90033, "A transient error occurred. Please try again.", now)
}

fn graph_code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "InvalidAuthenticationToken",
        403 => "Authorization_RequestDenied",
        404 => "Request_ResourceNotFound",
        409 => "Directory_ConcurrencyViolation",
        410 => "syncStateNotFound",
        429 => "TooManyRequests",
        503 => "Directory_ReplicaUnavailable",
        504 => "GatewayTimeout",
        _ => "Service_InternalServerError",
    }
}

fn graph_message(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "Lifetime validation failed, the token is expired.",
        403 => "Insufficient privileges to complete the operation.",
        429 => "Please retry again later.",
        _ => "An error occurred.",
    }
}

/// The field of a reply that holds the items of a page.
pub(super) fn items_of(body: &mut Value) -> Option<&mut Vec<Value>> {
    ["items", "results", "value"].into_iter().find(|field| body.get(*field).is_some_and(Value::is_array)).and_then(
        |field| match body.get_mut(field) {
            Some(Value::Array(items)) => Some(items),
            _ => None,
        },
    )
}

/// A refusal on the way to a handler's answer.
pub(super) struct Refused(Box<Response>);

impl From<Response> for Refused {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// What a handler returns.
pub(super) type Answer = Result<Response, Refused>;
