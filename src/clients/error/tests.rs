//! Every error class of every dialect.

use serde_json::{Value, json};

use super::*;
use crate::clients::error::{AADSTS, Class, GOTO_TOKEN_ERRORS};

fn refuse(api: Api, status: u16, body: &Value) -> ApiError {
    refuse_text(api, status, &body.to_string())
}

fn refuse_text(api: Api, status: u16, body: &str) -> ApiError {
    let route = Route::new(api, "GET /thing", "the.permission");
    fault(&Refusal { route, status, until: None, request_id: Some("req-1"), body: body.as_bytes() })
}

fn goto_body(code: &str) -> Value {
    json!({"errorCode": code, "message": "for ann@example.test", "reference": "ref-1", "constraintViolations": []})
}

fn graph_body(code: &str) -> Value {
    json!({"error": {"code": code, "message": "for ann@example.test", "innerError": {"request-id": "r"}}})
}

/// Each row of the table, at both statuses that the vendor may use.
#[test]
fn every_token_error_of_goto_asks_a_person() {
    for (error, problem) in GOTO_TOKEN_ERRORS {
        for status in [400, 401] {
            let found = refuse(Api::GotoToken, status, &json!({"error": error, "error_description": "text"}));
            assert_eq!(found.class(), Class::Credentials(*problem), "{error}");
            assert_eq!(found.code(), Some(*error));
        }
    }
    let unknown = refuse(Api::GotoToken, 400, &json!({"error": "brand_new"}));
    assert_eq!(unknown.class(), Class::Credentials(CredentialsProblem::Other));
}

/// Each row of the AADSTS table; a number beyond it is safely a matter for a person.
#[test]
fn every_aadsts_number_has_its_class() {
    for (number, verdict) in AADSTS {
        let body = json!({"error": "invalid_client", "error_description": "AADSTS", "error_codes": [number]});
        let expected = match verdict {
            EntraVerdict::Credentials(problem) => Class::Credentials(*problem),
            EntraVerdict::Retry => Class::Retry,
            EntraVerdict::Throttled => Class::Throttled { until: None },
        };
        for status in [400, 401] {
            assert_eq!(refuse(Api::EntraToken, status, &body).class(), expected, "{number}");
        }
    }
    let unknown = refuse(Api::EntraToken, 400, &json!({"error": "invalid_grant", "error_codes": [999_999]}));
    assert_eq!(unknown.class(), Class::Credentials(CredentialsProblem::Other));
    assert_eq!(unknown.code(), Some("AADSTS999999"));
    let later = refuse(Api::EntraToken, 400, &json!({"error": "temporarily_unavailable", "error_codes": [999_999]}));
    assert_eq!(later.class(), Class::Retry);
}

/// The rows of contracts/graph.md, 2.4, by their class there.
#[test]
fn the_aadsts_table_has_the_rows_of_the_contract() {
    let transient = [700_024, 90_006, 90_012, 90_024, 90_033, 90_090];
    let config = [
        7_000_215, 7_000_222, 7_000_112, 700_016, 500_011, 90_002, 90_038, 50_012, 53_003, 7_000_218, 70_011, 700_022,
        70_021, 700_211, 7_002_121, 700_213,
    ];
    let of = |wanted: fn(&EntraVerdict) -> bool| -> std::collections::BTreeSet<u64> {
        AADSTS.iter().filter(|(_, verdict)| wanted(verdict)).map(|(number, _)| *number).collect()
    };
    assert_eq!(of(|verdict| *verdict == EntraVerdict::Retry), transient.into());
    assert_eq!(of(|verdict| *verdict == EntraVerdict::Throttled), [90_055].into());
    assert_eq!(of(|verdict| matches!(verdict, EntraVerdict::Credentials(_))), config.into());
    assert_eq!(AADSTS.len(), transient.len() + config.len() + 1);
}

#[test]
fn a_token_endpoint_that_is_not_well_is_no_bad_credential() {
    for api in [Api::GotoToken, Api::EntraToken] {
        assert_eq!(refuse_text(api, 503, "<html>").class(), Class::Retry);
        assert_eq!(refuse_text(api, 403, "<html>blocked by proxy").class(), Class::Retry);
        assert_eq!(refuse(api, 500, &json!({"error": "invalid_client"})).class(), Class::Retry);
        assert_eq!(refuse(api, 429, &json!({"error": "invalid_client"})).class(), Class::Throttled { until: None });
    }
}

#[test]
fn every_status_of_gotos_apis_has_its_class() {
    let permission = Class::Permission("the.permission".to_owned());
    let rows = [
        (400, "MALFORMED_REQUEST", Class::Permanent),
        (401, "AUTHN_EXPIRED_TOKEN", Class::Credentials(CredentialsProblem::TokenRefused)),
        (403, "AUTHZ_INSUFFICIENT_SCOPE", permission),
        (404, "NOT_FOUND", Class::Absent),
        (409, "CONFLICT", Class::Conflict("CONFLICT".to_owned())),
        (429, "LIMIT", Class::Throttled { until: None }),
        (500, "UNKNOWN_ERROR", Class::Retry),
        (502, "BAD_GATEWAY", Class::Retry),
        (302, "MOVED", Class::Retry),
    ];
    for (status, code, class) in rows {
        assert_eq!(refuse(Api::GotoVoiceAdmin, status, &goto_body(code)).class(), class, "{status}");
    }
    assert_eq!(refuse_text(Api::GotoUsers, 400, "").class(), Class::Permanent);
}

/// T28: on the Admin host 401 and 403 are the same.
#[test]
fn the_admin_host_says_401_and_403_for_one_thing() {
    for status in [401, 403] {
        let error = refuse_text(Api::GotoAdmin, status, "not.authenticated");
        assert!(matches!(error, ApiError::TokenRefused(_)));
        assert_eq!(error.class(), Class::Credentials(CredentialsProblem::ScopeOrRoleMissing));
    }
}

#[test]
fn every_code_of_graph_has_its_class() {
    let rows = [
        (401, "InvalidAuthenticationToken", Class::Credentials(CredentialsProblem::TokenRefused)),
        (401, "Authorization_IdentityNotFound", Class::Credentials(CredentialsProblem::Propagating)),
        (403, "Authorization_IdentityNotFound", Class::Credentials(CredentialsProblem::Propagating)),
        (403, "Authorization_RequestDenied", Class::Permission("the.permission".to_owned())),
        (403, "Directory_QuotaExceeded", Class::Permission("room in the directory's object quota".to_owned())),
        (403, "Directory_ResourceSizeExceeded", Class::Permanent),
        (404, "Request_ResourceNotFound", Class::Absent),
        (400, "Request_BadRequest", Class::Permanent),
        (400, "Request_UnsupportedQuery", Class::Permanent),
        (400, "Directory_ExpiredPageToken", Class::Resync),
        (409, "Directory_ConcurrencyViolation", Class::Retry),
        (409, "Other", Class::Conflict("Other".to_owned())),
        (500, "Service_InternalServerError", Class::Retry),
        (503, "Directory_ReplicaUnavailable", Class::Retry),
        (429, "TooManyRequests", Class::Throttled { until: None }),
        (501, "NotImplemented", Class::Permanent),
    ];
    for (status, code, class) in rows {
        assert_eq!(refuse(Api::Graph, status, &graph_body(code)).class(), class, "{status} {code}");
    }
}

/// T34: the documented code and the assumed pattern around it.
#[test]
fn whatever_a_dead_cursor_is_called_asks_for_a_full_listing() {
    for (status, code) in [
        (410, "syncStateNotFound"),
        (400, "resyncRequired"),
        (404, "syncStateInvalid"),
        (400, "Directory_ExpiredDeltaToken"),
        (410, "Gone"),
    ] {
        assert_eq!(refuse(Api::Graph, status, &graph_body(code)).class(), Class::Resync, "{code}");
    }
}

#[test]
fn nested_codes_of_graph_count() {
    let conflict =
        json!({"error": {"code": "Request_BadRequest", "message": "", "details": [{"code": "ObjectConflict"}]}});
    assert!(matches!(refuse(Api::Graph, 400, &conflict), ApiError::Conflict(_)));
    let inner =
        json!({"error": {"code": "x", "innererror": {"code": "y", "innerError": {"code": "syncStateNotFound"}}}});
    assert_eq!(refuse(Api::Graph, 400, &inner).class(), Class::Resync);
    let in_text =
        json!({"error": {"code": "UnknownError", "message": "{\"code\":\"Forbidden\",\"message\":\"Denied\"}"}});
    assert_eq!(refuse(Api::GraphTeams, 403, &in_text).code(), Some("Forbidden"));
}

#[test]
fn every_status_of_the_connector_has_its_class() {
    let conflict = |code: &str| Class::Conflict(code.to_owned());
    let rows = [
        (401, "Token", Class::Credentials(CredentialsProblem::TokenRefused)),
        (403, "Role", Class::Permission("the.permission".to_owned())),
        (403, "ConsentRequired", conflict("ConsentRequired")),
        (403, "SignInRequired", conflict("SignInRequired")),
        (404, "NotFound", Class::Absent),
        (409, "SyncRunning", conflict("SyncRunning")),
        (412, "EtagMismatch", conflict("EtagMismatch")),
        (422, "InvalidValue", Class::Permanent),
        (429, "TooMany", Class::Throttled { until: None }),
        (503, "Maintenance", Class::Retry),
    ];
    for (status, code, class) in rows {
        assert_eq!(refuse(Api::Connector, status, &goto_body(code)).class(), class, "{status} {code}");
    }
}

#[test]
fn retry_after_makes_an_outage_wait_as_long_as_told() {
    let route = Route::new(Api::Graph, "GET /thing", "");
    let until = Some("2026-08-20T10:00:00Z".parse().unwrap());
    let error = fault(&Refusal { route, status: 503, until, request_id: None, body: b"" });
    assert_eq!(error.class(), Class::Throttled { until });
}

/// S8: what might be personal data is not kept.
#[test]
fn an_error_keeps_code_and_reference_and_no_text() {
    let shown = refuse(Api::GotoUsers, 404, &goto_body("NOT_FOUND"));
    assert_eq!(shown.to_string(), "goto-users GET /thing: 404 NOT_FOUND (reference ref-1): not found");
    assert!(!format!("{shown:?}").contains("ann@"));
    let odd = refuse(Api::GotoUsers, 404, &goto_body("no user ann@example.test"));
    assert_eq!(odd.code(), None);
    let graph = refuse(Api::Graph, 404, &graph_body("Request_ResourceNotFound"));
    assert!(graph.to_string().contains("(reference req-1)"));
}

#[test]
fn only_a_lost_or_unclear_answer_may_hide_an_effect() {
    assert!(refuse(Api::Connector, 503, &goto_body("Maintenance")).may_have_had_effect());
    assert!(!refuse(Api::Connector, 409, &goto_body("NoLicense")).may_have_had_effect());
    assert!(!refuse(Api::Connector, 429, &goto_body("TooMany")).may_have_had_effect());
}
