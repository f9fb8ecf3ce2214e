//! Entra's token endpoint and Microsoft Graph v1.0.
//!
//! Functions answer with and without parentheses and by their qualified names, as Microsoft's own SDKs call them.

mod body;
pub(super) mod delta;
mod directory;
mod domains;
pub(super) mod entra;
mod link;
mod odata;
mod people;
mod skus;
mod teams;
mod users;

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use axum::routing::{get, post};

use super::query::BadQuery;
use super::reply::{Answer, Refused, graph_error, graph_error_with, json_reply};
use super::world::World;
use super::world::applications::Application;
use super::{Call, SimState};
use crate::domain::EntraObjectId;

/// The token endpoint.
pub fn entra_router() -> Router<SimState> {
    Router::new().route("/{tenant}/oauth2/v2.0/token", post(entra::issue))
}

/// Microsoft Graph.
pub fn router() -> Router<SimState> {
    let mut router = Router::new()
        .route("/v1.0/organization", get(directory::organization))
        .route("/v1.0/servicePrincipals/{id}/appRoleAssignments", get(directory::app_role_assignments))
        .route("/v1.0/subscribedSkus", get(skus::list))
        .route("/v1.0/domains", get(domains::list).post(domains::add))
        .route("/v1.0/domains/{id}", get(domains::one).patch(domains::change).delete(domains::delete))
        .route("/v1.0/domains/{id}/verificationDnsRecords", get(domains::verification_records))
        .route("/v1.0/domains/{id}/domainNameReferences", get(domains::references))
        .route("/v1.0/users", get(users::list).post(people::create))
        .route("/v1.0/users/{id}", get(users::one).patch(people::change).delete(people::delete))
        .route("/v1.0/users/{id}/licenseDetails", get(people::license_details))
        .route("/v1.0/directory/deletedItems/{id}", get(people::deleted_one).delete(people::purge))
        .route(&format!("{TELEPHONE}/numberAssignments"), get(teams::number_assignments))
        .route("/v1.0/admin/teams/userConfigurations", get(teams::user_configurations))
        .route("/v1.0/admin/teams/userConfigurations/{id}", get(teams::user_configuration))
        .route("/v1.0/{function}", get(function));
    for spelling in ["delta", "delta()", "microsoft.graph.delta", "microsoft.graph.delta()"] {
        router = router.route(&format!("/v1.0/users/{spelling}"), get(delta::users));
    }
    for cast in ["microsoft.graph.user", "graph.user"] {
        router = router.route(&format!("/v1.0/directory/deletedItems/{cast}"), get(people::deleted));
    }
    for spelling in ["", "microsoft.graph."] {
        router = router
            .route(&format!("/v1.0/users/{{id}}/{spelling}assignLicense"), post(people::assign_license))
            .route(&format!("/v1.0/directory/deletedItems/{{id}}/{spelling}restore"), post(people::restore))
            .route(&format!("/v1.0/domains/{{id}}/{spelling}verify"), post(domains::verify))
            .route(&format!("/v1.0/domains/{{id}}/{spelling}forceDelete"), post(domains::force_delete));
    }
    router.fallback(not_routed)
}

const TELEPHONE: &str = "/v1.0/admin/teams/telephoneNumberManagement";

/// The route template for journal and fault script: one for every spelling of a function.
#[must_use]
pub fn template(matched: &str, path: &str) -> String {
    if matched.starts_with("/v1.0/users/") && matched.contains("delta") {
        return "/v1.0/users/delta".to_owned();
    }
    if matched == "/v1.0/{function}" && path.starts_with("/v1.0/servicePrincipals(") {
        return "/v1.0/servicePrincipals(appId='{appId}')".to_owned();
    }
    if matched.ends_with("/graph.user") {
        return matched.replace("/graph.user", "/microsoft.graph.user");
    }
    if matched.ends_with("/microsoft.graph.user") {
        return matched.to_owned();
    }
    matched.replace("/microsoft.graph.", "/")
}

/// Functions with arguments, which no router knows.
async fn function(call: Call, Path(text): Path<String>, uri: Uri) -> Answer {
    let app_id = text.strip_prefix("servicePrincipals(appId='").and_then(|rest| rest.strip_suffix("')"));
    match app_id {
        Some(app_id) => directory::service_principal(&call, app_id, &uri),
        None => Err(not_found(&call, &text)),
    }
}

async fn not_routed(call: Call) -> Response {
    graph_error(StatusCode::BAD_REQUEST, "BadRequest", "Resource not found for the segment.", call.now())
}

/// Permissions of section 3 of the contract: any of those named is enough for a call.
#[derive(Debug, Clone, Copy)]
struct Permission {
    name: &'static str,
    id: &'static str,
}

mod permission {
    use super::Permission;

    macro_rules! permissions {
        ($($constant:ident = $name:literal $id:literal;)*) => {
            $(pub(super) const $constant: Permission = Permission { name: $name, id: $id };)*
        };
    }

    permissions! {
        ORGANIZATION_READ = "Organization.Read.All" "498476ce-e0fe-48b0-b801-37ba7e2685c6";
        LICENSE_WRITE = "LicenseAssignment.ReadWrite.All" "5facf0c1-8979-4e95-abcf-ff3d079771c0";
        USER_DELETE = "User.DeleteRestore.All" "eccc023d-eccf-4e7b-9683-8813ab36cecc";
        LICENSE_READ = "LicenseAssignment.Read.All" "e2f98668-2877-4f38-a2f4-8202e0717aa1";
        DOMAIN_READ = "Domain.Read.All" "dbb9058a-0e50-45d7-ae91-66909b5d4664";
        DOMAIN_WRITE = "Domain.ReadWrite.All" "7e05723c-0bb0-42da-be95-ae9f08a6e53c";
        USER_READ = "User.Read.All" "df021288-bdef-4463-88db-98f22de89214";
        USER_WRITE = "User.ReadWrite.All" "741f803b-c850-494e-b5df-cde7c675a1ca";
        APPLICATION_READ = "Application.Read.All" "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30";
        NUMBER_READ = "TeamsTelephoneNumber.Read.All" "39b17d18-680c-41f4-b9c2-5f30629e7cb6";
        NUMBER_WRITE = "TeamsTelephoneNumber.ReadWrite.All" "0a42382f-155c-4eb1-9bdc-21548ccaa387";
        CONFIGURATION_READ = "TeamsUserConfiguration.Read.All" "a91eadaf-2c3c-4362-908b-fb172d208fc6";
    }
}

/// The application of a call.
fn application<'a>(world: &'a World, call: &Call) -> Result<&'a Application, Refused> {
    let text = call.bearer().unwrap_or_default();
    world.tenant.token(text, call.now()).ok_or_else(|| {
        let known = world.tenant.access_tokens.contains_key(text);
        let message = if known {
            "Lifetime validation failed, the token is expired."
        } else {
            "Access token is empty or not valid."
        };
        graph_error(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", message, call.now()).into()
    })
}

fn has_any(application: &Application, permissions: &[Permission]) -> bool {
    let consented = |permission: &Permission| {
        permission.id.parse::<EntraObjectId>().is_ok_and(|id| application.app_roles.contains(&id))
    };
    permissions.iter().any(consented)
}

/// Refuses a call whose application has none of the permissions.
fn permitted(world: &World, call: &Call, permissions: &[Permission]) -> Result<(), Refused> {
    if has_any(application(world, call)?, permissions) {
        return Ok(());
    }
    Err(forbidden(call))
}

fn forbidden(call: &Call) -> Refused {
    let message = "Insufficient privileges to complete the operation.";
    graph_error(StatusCode::FORBIDDEN, "Authorization_RequestDenied", message, call.now()).into()
}

/// The same in the words of `/admin/teams`.
fn permitted_in_teams(world: &World, call: &Call, permissions: &[Permission]) -> Result<(), Refused> {
    if has_any(application(world, call)?, permissions) {
        return Ok(());
    }
    let names: Vec<&str> = permissions.iter().map(|permission| permission.name).collect();
    let message = format!(
        "Insufficient permission(s) for the request. API requires any of the following permission(s): {}.",
        names.join(",")
    );
    Err(teams_error(call, StatusCode::FORBIDDEN, "forbidden", &message))
}

fn teams_error(call: &Call, status: StatusCode, code: &str, message: &str) -> Refused {
    let inner = serde_json::json!({
        "code": code,
        "message": null,
        "target": null,
        "additionalData": {"action": "Add the required roles/permissions and try again."},
        "date": call.now().strftime("%Y-%m-%dT%H:%M:%S").to_string(),
        "request-id": uuid::Uuid::new_v4(),
    });
    json_reply(status, &serde_json::json!({"error": {"code": code, "message": message, "innerError": inner}})).into()
}

fn not_found(call: &Call, id: &str) -> Refused {
    let message =
        format!("Resource '{id}' does not exist or one of its queried reference-property objects are not present.");
    graph_error(StatusCode::NOT_FOUND, "Request_ResourceNotFound", &message, call.now()).into()
}

/// A refusal with the code that Graph has for its status.
fn refused(call: &Call, status: u16, message: &str) -> Refused {
    let code = match status {
        404 => "Request_ResourceNotFound",
        409 => "Request_Conflict",
        _ => "Request_BadRequest",
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    graph_error(status, code, message, call.now()).into()
}

/// Another object has that value.
fn conflict(call: &Call, property: &str) -> Refused {
    let message = format!("Another object with the same value for property {property} already exists.");
    let detail = serde_json::json!({"code": "ObjectConflict", "message": message, "target": property});
    graph_error_with(StatusCode::BAD_REQUEST, "Request_BadRequest", &message, &[detail], call.now()).into()
}

fn unsupported(call: &Call, message: &str) -> Refused {
    graph_error(StatusCode::BAD_REQUEST, "Request_UnsupportedQuery", message, call.now()).into()
}

fn bad_query(call: &Call, error: &BadQuery) -> Refused {
    graph_error(StatusCode::BAD_REQUEST, "Request_BadRequest", &error.to_string(), call.now()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_function_has_one_template() {
        assert_eq!(template("/v1.0/users/microsoft.graph.delta()", ""), "/v1.0/users/delta");
        let path = "/v1.0/servicePrincipals(appId='x')";
        assert_eq!(template("/v1.0/{function}", path), "/v1.0/servicePrincipals(appId='{appId}')");
        assert_eq!(template("/v1.0/users/{id}", "/v1.0/users/1"), "/v1.0/users/{id}");
        assert_eq!(template("/v1.0/domains/{id}/microsoft.graph.verify", ""), "/v1.0/domains/{id}/verify");
    }
}
