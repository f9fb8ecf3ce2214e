//! The tenant itself and the applications in it.

use axum::extract::Path;
use axum::http::Uri;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{application, bad_query, not_found, odata, permission, permitted};
use crate::clients::graph::wire::{AppRoleAssignment, ServicePrincipal};
use crate::domain::EntraObjectId;
use crate::sim::Call;
use crate::sim::query::{BadQuery, Params, Plus};
use crate::sim::reply::{Answer, Refused, ok};
use crate::sim::world::{TenantDomain, World};

/// Client id of Microsoft Graph in every tenant.
const GRAPH_APP: &str = "00000003-0000-0000-c000-000000000000";

/// The `$select` of a call that takes nothing else.
pub(super) fn selected(call: &Call, uri: &Uri, known: &[&str]) -> Result<Option<Vec<String>>, Refused> {
    let params = Params::parse(uri, &["$select"], Plus::Space).map_err(|error| bad_query(call, &error))?;
    odata::select(params.get("$select"), known).map_err(|name| bad_query(call, &BadQuery::Unknown(name)))
}

/// `GET /organization`: exactly one.
pub(super) async fn organization(call: Call, uri: Uri) -> Answer {
    let known = ["id", "displayName", "countryLetterCode", "tenantType", "verifiedDomains", "assignedPlans"];
    let selected = selected(&call, &uri, &known)?;
    let world = call.world();
    permitted(&world, &call, &[permission::ORGANIZATION_READ])?;
    let item = json!({
        "id": world.tenant.id,
        "displayName": world.tenant.name,
        "countryLetterCode": "DE",
        "tenantType": "AAD",
        "verifiedDomains": domains(&world, call.now()),
        "assignedPlans": [],
    });
    Ok(ok(&json!({"value": [odata::project(item, selected.as_deref())]})))
}

/// The verified domains.
fn domains(world: &World, now: Timestamp) -> Vec<Value> {
    let verified = world.tenant.domains_at(now).into_iter().filter(|(_, domain)| *domain.verified.read(now));
    verified.map(|(name, domain)| verified_domain(&name, &domain)).collect()
}

fn verified_domain(name: &str, domain: &TenantDomain) -> Value {
    let services: Vec<&str> = domain.services.iter().map(String::as_str).collect();
    json!({
        "name": name,
        "isDefault": domain.default,
        "isInitial": domain.initial,
        "type": "Managed",
        "capabilities": services.join(", "),
    })
}

/// `GET /servicePrincipals(appId='…')`.
pub(super) fn service_principal(call: &Call, app_id: &str, uri: &Uri) -> Answer {
    let selected = selected(call, uri, &["id", "appId", "displayName", "accountEnabled"])?;
    let world = call.world();
    permitted(&world, call, &[permission::APPLICATION_READ])?;
    let own = world.tenant.applications.get(app_id).map(|app| (app.service_principal, app.name.as_str()));
    let graph = (app_id == GRAPH_APP).then_some((world.tenant.graph_service_principal, "Microsoft Graph"));
    let (id, name) = own.or(graph).ok_or_else(|| not_found(call, app_id))?;
    let app_id: EntraObjectId = app_id.parse().map_err(|_| not_found(call, app_id))?;
    let mut item = serde_json::to_value(ServicePrincipal { id, app_id }).unwrap_or_default();
    item["displayName"] = json!(name);
    item["accountEnabled"] = json!(true);
    Ok(ok(&odata::project(item, selected.as_deref())))
}

/// `GET /servicePrincipals/{id}/appRoleAssignments`: what was consented to.
pub(super) async fn app_role_assignments(call: Call, Path(id): Path<String>, uri: Uri) -> Answer {
    selected(&call, &uri, &["id", "appRoleId", "resourceId", "principalId"])?;
    let world = call.world();
    application(&world, &call)?;
    permitted(&world, &call, &[permission::APPLICATION_READ])?;
    let principal: EntraObjectId = id.parse().map_err(|_| not_found(&call, &id))?;
    let mut applications = world.tenant.applications.values();
    let application =
        applications.find(|app| app.service_principal == principal).ok_or_else(|| not_found(&call, &id))?;
    let resource_id = world.tenant.graph_service_principal;
    let row = |role: &EntraObjectId| {
        let mut row = serde_json::to_value(AppRoleAssignment { app_role_id: *role, resource_id }).unwrap_or_default();
        row["id"] = json!(Uuid::new_v4());
        row["principalId"] = json!(principal);
        row["principalType"] = json!("ServicePrincipal");
        row["principalDisplayName"] = json!(application.name);
        row["resourceDisplayName"] = json!("Microsoft Graph");
        row
    };
    let value: Vec<Value> = application.app_roles.iter().map(row).collect();
    Ok(ok(&json!({"value": value})))
}
