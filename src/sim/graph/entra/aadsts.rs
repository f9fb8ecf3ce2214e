//! The AADSTS errors of the contract (2.4) in Entra's words.

use axum::http::StatusCode;
use k8s_openapi::jiff::Timestamp;

use crate::sim::reply::{Refused, entra_error};

/// The word that a client branches on, and the text.
fn row(number: u64) -> (&'static str, &'static str) {
    match number {
        7_000_215 => ("invalid_client", "Invalid client secret provided."),
        7_000_222 => ("invalid_client", "The provided client secret keys are expired."),
        7_000_218 => ("invalid_client", "The request body must contain 'client_assertion' or 'client_secret'."),
        50_012 => {
            ("invalid_client", "Authentication failed: the signature of the assertion or its certificate is not valid.")
        }
        700_024 => ("invalid_client", "Client assertion is not within its valid time range."),
        7_000_112 => ("unauthorized_client", "Application is disabled."),
        700_016 => ("unauthorized_client", "The application was not found in the directory."),
        500_011 => ("invalid_resource", "The resource principal was not found in the tenant."),
        90_002 => ("invalid_request", "Tenant not found. Check the tenant ID."),
        90_038 => ("invalid_request", "The tenant is in another national cloud."),
        53_003 => ("interaction_required", "Access has been blocked by Conditional Access policies."),
        70_011 => ("invalid_scope", "The provided value for the input parameter 'scope' is not valid."),
        700_022 => ("invalid_scope", "The provided value for scope holds several resources."),
        70_003 => ("unsupported_grant_type", "The app requested an unsupported grant type."),
        70_021 => ("invalid_request", "No matching federated identity record found for presented assertion."),
        700_211 => ("invalid_request", "No matching federated identity record found for presented assertion issuer."),
        700_213 => ("invalid_request", "No matching federated identity record found for presented assertion subject."),
        7_002_121 => {
            ("invalid_request", "No matching federated identity record found for presented assertion audience.")
        }
        50_027 => ("invalid_request", "JWT token is invalid or malformed."),
        900_144 => ("invalid_request", "The request body is no form with the fields that it needs."),
        90_055 => ("temporarily_unavailable", "The tenant is throttled."),
        _ => ("temporarily_unavailable", "A transient error occurred. Please try again."),
    }
}

/// Every number of the table in the contract.
#[cfg(test)]
pub(in crate::sim) const NUMBERS: [u64; 23] = [
    7_000_215, 7_000_222, 7_000_112, 700_016, 500_011, 90_002, 90_038, 50_012, 53_003, 7_000_218, 70_011, 700_022,
    700_024, 70_021, 700_211, 7_002_121, 700_213, 90_055, 90_006, 90_012, 90_024, 90_033, 90_090,
];

/// An error by its number; `client_status` is the switch `graph.invalid_client_status`.
pub(super) fn error(number: u64, client_status: u16, now: Timestamp) -> Refused {
    let (word, text) = row(number);
    let status = match (number, word) {
        (90_055, _) => StatusCode::TOO_MANY_REQUESTS,
        (_, "temporarily_unavailable") => StatusCode::SERVICE_UNAVAILABLE,
        (_, "invalid_client") => StatusCode::from_u16(client_status).unwrap_or(StatusCode::UNAUTHORIZED),
        _ => StatusCode::BAD_REQUEST,
    };
    entra_error(status, word, number, text, now).into()
}
