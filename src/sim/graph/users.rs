//! `GET /users` and `GET /users/{id}`.

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::odata::{Comparison, comparisons, equals, project};
use super::{bad_query, link, not_found, odata, permission, permitted, unsupported};
use crate::clients::graph::wire::{AssignedPlan, User};
use crate::domain::EntraObjectId;
use crate::sim::Call;
use crate::sim::query::{BadQuery, Params, Plus};
use crate::sim::reply::{Answer, Refused, graph_error, ok};
use crate::sim::world::tenant::TenantUser;

/// What `$select` may name.
pub(super) const PROPERTIES: [&str; 28] = [
    "id",
    "userPrincipalName",
    "mail",
    "displayName",
    "accountEnabled",
    "userType",
    "usageLocation",
    "assignedPlans",
    "assignedLicenses",
    "proxyAddresses",
    "onPremisesSyncEnabled",
    "businessPhones",
    "givenName",
    "surname",
    "jobTitle",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "mailNickname",
    "department",
    "companyName",
    "employeeId",
    "employeeType",
    "city",
    "state",
    "country",
    "licenseAssignmentStates",
    "deletedDateTime",
];
const BY_DEFAULT: [&str; 11] = [
    "id",
    "userPrincipalName",
    "mail",
    "displayName",
    "businessPhones",
    "givenName",
    "surname",
    "jobTitle",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
];
const FILTERED: [&str; 12] = [
    "id",
    "userPrincipalName",
    "mail",
    "accountEnabled",
    "userType",
    "usageLocation",
    "displayName",
    "mailNickname",
    "department",
    "companyName",
    "employeeId",
    "employeeType",
];
const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 999;

/// A place in a listing.
#[derive(Serialize, Deserialize)]
struct SkipToken {
    after: EntraObjectId,
    ordinal: u64,
}

/// `GET /users`.
pub(super) async fn list(call: Call, headers: HeaderMap, uri: Uri) -> Answer {
    let known = ["$select", "$filter", "$top", "$count", "$skiptoken"];
    let params = Params::parse(&uri, &known, Plus::Space).map_err(|error| bad_query(&call, &error))?;
    let top = top(&call, &params)?;
    let selected = selected(&call, &params)?;
    let filter = filter(&call, &params)?;
    let from = match params.get("$skiptoken") {
        None => None,
        Some(text) => Some(link::decode::<SkipToken>(text).ok_or_else(|| {
            let code = "Directory_ExpiredPageToken";
            graph_error(StatusCode::BAD_REQUEST, code, "The specified page token value has expired.", call.now())
        })?),
    };
    let world = call.world();
    permitted(&world, &call, &[permission::USER_READ, permission::USER_WRITE])?;
    let ordinal = from.as_ref().map_or(0, |token| token.ordinal + 1);
    call.page(ordinal);
    let admits = |(id, user): &(&EntraObjectId, &TenantUser)| {
        filter.is_empty() || {
            let item = item(**id, user);
            filter.iter().all(|comparison| equals(&item, comparison))
        }
    };
    let mut admitted: Vec<(&EntraObjectId, &TenantUser)> = world.tenant.users_at(call.now()).filter(admits).collect();
    admitted.truncate(call.share().of(admitted.len()));
    let rest = admitted.iter().filter(|(id, _)| from.as_ref().is_none_or(|token| **id > token.after));
    let page: Vec<_> = rest.clone().take(call.page_size(top)).collect();
    let value: Vec<Value> = page.iter().map(|(id, user)| project(item(**id, user), Some(&selected))).collect();
    let mut body = json!({"value": value});
    if let Some((after, _)) = page.last().filter(|_| rest.count() > page.len()) {
        body["@odata.nextLink"] = json!(next_link(&headers, &params, &SkipToken { after: **after, ordinal }));
    }
    let counted = headers.get("ConsistencyLevel").is_some_and(|level| level == "eventual");
    if counted && from.is_none() && params.get("$count") == Some("true") {
        body["@odata.count"] = json!(admitted.len());
    }
    Ok(ok(&body))
}

fn next_link(headers: &HeaderMap, params: &Params, token: &SkipToken) -> String {
    let mut next = format!("{}/v1.0/users?", link::base(headers));
    for name in ["$select", "$filter", "$top", "$count"] {
        if let Some(value) = params.get(name) {
            next.extend([name, "=", &urlencoding::encode(value), "&"]);
        }
    }
    next + "$skiptoken=" + &link::encode(token)
}

fn top(call: &Call, params: &Params) -> Result<usize, Refused> {
    let top = params.number("$top").map_err(|error| bad_query(call, &error))?.unwrap_or(PAGE_DEFAULT);
    if (1..=PAGE_MAX).contains(&top) {
        return Ok(top);
    }
    let text = format!("Invalid page size specified: '{top}'. Must be between 1 and 999 inclusive.");
    Err(unsupported(call, &text))
}

fn selected(call: &Call, params: &Params) -> Result<Vec<String>, Refused> {
    let selected = odata::select(params.get("$select"), &PROPERTIES);
    let selected = selected.map_err(|name| bad_query(call, &BadQuery::Unknown(name)))?;
    Ok(selected.unwrap_or_else(|| BY_DEFAULT.map(str::to_owned).to_vec()))
}

fn filter(call: &Call, params: &Params) -> Result<Vec<Comparison>, Refused> {
    let Some(text) = params.get("$filter") else { return Ok(Vec::new()) };
    comparisons(text, "and")
        .filter(|all| all.iter().all(|comparison| FILTERED.contains(&comparison.property.as_str())))
        .ok_or_else(|| unsupported(call, "Unsupported or invalid query filter clause."))
}

/// `GET /users/{id}`, by object id or by UPN.
pub(super) async fn one(call: Call, Path(wanted): Path<String>, uri: Uri) -> Answer {
    let params = Params::parse(&uri, &["$select"], Plus::Space).map_err(|error| bad_query(&call, &error))?;
    let selected = selected(&call, &params)?;
    let world = call.world();
    permitted(&world, &call, &[permission::USER_READ, permission::USER_WRITE])?;
    let (id, user) = world.tenant.user_at(&wanted, call.now()).ok_or_else(|| not_found(&call, &wanted))?;
    Ok(ok(&project(item(id, user), Some(&selected))))
}

/// Every property of a user; Graph writes `null` where there is none.
pub(super) fn item(id: EntraObjectId, user: &TenantUser) -> Value {
    let plans = user.plans.iter().map(|(plan, state)| AssignedPlan {
        capability_status: state.capability_status.clone(),
        service: Some(state.service.clone()),
        service_plan_id: *plan,
    });
    let known = User {
        id,
        removed: None,
        user_principal_name: Some(user.user_principal_name.clone()),
        mail: user.mail.clone(),
        display_name: Some(user.display_name.clone()),
        account_enabled: Some(user.account_enabled),
        user_type: Some(user.user_type.clone()),
        usage_location: user.usage_location.clone(),
        assigned_plans: Some(plans.collect()),
    };
    let mut item = serde_json::to_value(known).unwrap_or_default();
    let left_out = |sku| user.disabled_plans.get(sku).cloned().unwrap_or_default();
    let licenses = user.skus.iter().map(|sku| json!({"skuId": sku, "disabledPlans": left_out(sku)}));
    item["assignedLicenses"] = licenses.collect::<Vec<_>>().into();
    let states = user.skus.iter().map(|sku| {
        json!({"skuId": sku, "disabledPlans": left_out(sku), "assignedByGroup": null, "state": "Active", "error": "None"})
    });
    item["licenseAssignmentStates"] = states.collect::<Vec<_>>().into();
    for (name, value) in &user.properties {
        item[name.as_str()] = json!(value);
    }
    item["proxyAddresses"] = user.mail.iter().map(|mail| json!(format!("SMTP:{mail}"))).collect::<Vec<_>>().into();
    item["businessPhones"] = json!([]);
    for absent in PROPERTIES {
        if item.get(absent).is_none() {
            item[absent] = Value::Null;
        }
    }
    item
}
