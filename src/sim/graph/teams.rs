//! `/admin/teams`: numbers and voice state.

use std::fmt::Write as _;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, Uri};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::odata::{comparisons, equals, project};
use super::{Permission, TELEPHONE, link, odata, permission, permitted_in_teams, teams_error};
use crate::clients::graph::wire::{NumberAssignment, UserConfiguration, UserTelephoneNumber};
use crate::domain::EntraObjectId;
use crate::sim::Call;
use crate::sim::query::{BadQuery, Params, Plus};
use crate::sim::reply::{Answer, Refused, ok};
use crate::sim::world::tenant::{Tenant, TenantNumber, TenantUser};

const NUMBER_READERS: [Permission; 2] = [permission::NUMBER_WRITE, permission::NUMBER_READ];
const NUMBERS_DEFAULT: usize = 500;
const NUMBERS_MAX: usize = 1000;
const FILTERED: [&str; 6] =
    ["numberType", "telephoneNumber", "assignmentTargetId", "assignmentStatus", "activationState", "numberSource"];
const CONFIGURATIONS_DEFAULT: usize = 100;
const CONFIGURATION: [&str; 7] = [
    "id",
    "tenantId",
    "userPrincipalName",
    "accountType",
    "isEnterpriseVoiceEnabled",
    "featureTypes",
    "telephoneNumbers",
];

fn bad_request(call: &Call, text: &str) -> Refused {
    teams_error(call, StatusCode::BAD_REQUEST, "badRequest", text)
}

fn bad_query(call: &Call, error: &BadQuery) -> Refused {
    bad_request(call, &error.to_string())
}

/// `GET {tn}/numberAssignments`.
pub(super) async fn number_assignments(call: Call, headers: HeaderMap, uri: Uri) -> Answer {
    let params = Params::parse(&uri, &["$filter", "$top", "$skip"], Plus::Space);
    let params = params.map_err(|error| bad_query(&call, &error))?;
    let number = |name| params.number(name).map_err(|error| bad_query(&call, &error));
    let (top, skip) = (number("$top")?.unwrap_or(NUMBERS_DEFAULT), number("$skip")?.unwrap_or(0));
    if !(1..=NUMBERS_MAX).contains(&top) {
        return Err(bad_query(&call, &BadQuery::Value("$top")));
    }
    let filter = params.get("$filter").map_or_else(|| Some(Vec::new()), |text| comparisons(text, "and"));
    let filter = filter
        .filter(|all| all.iter().all(|one| FILTERED.contains(&one.property.as_str())))
        .ok_or_else(|| bad_request(&call, "The filter is not supported."))?;
    let world = call.world();
    permitted_in_teams(&world, &call, &NUMBER_READERS)?;
    call.page(skip.div_ceil(top) as u64);
    let now = call.now();
    let show = |(text, number): &(&String, &TenantNumber)| number_item(&world.tenant, text, number, now);
    let admits = |one: &(&String, &TenantNumber)| {
        filter.is_empty() || {
            let item = show(one);
            filter.iter().all(|comparison| equals(&item, comparison))
        }
    };
    let mut admitted: Vec<_> = world.tenant.numbers_at(now).filter(admits).collect();
    admitted.truncate(call.share().of(admitted.len()));
    let total = admitted.len();
    let value: Vec<Value> = admitted.iter().skip(skip).take(call.page_size(top)).map(show).collect();
    let end = skip + value.len();
    let mut body = json!({"value": value});
    if end < total && end > skip {
        let mut next = format!("{}{TELEPHONE}/numberAssignments?$top={top}&$skip={end}", link::base(&headers));
        if let Some(filter) = params.get("$filter") {
            let _infallible = write!(next, "&$filter={}", urlencoding::encode(filter));
        }
        body["@odata.nextLink"] = json!(next);
    }
    Ok(ok(&body))
}

fn number_item(tenant: &Tenant, text: &str, number: &TenantNumber, now: Timestamp) -> Value {
    let target = *number.target.read(now);
    let known = NumberAssignment {
        id: BASE64_URL_SAFE_NO_PAD.encode(format!("{}|{text}", tenant.id)),
        telephone_number: text.to_owned(),
        number_type: number.number_type.clone(),
        activation_state: Some("activated".to_owned()),
        assignment_target_id: target,
        assignment_category: target.map(|_| "primary".to_owned()),
        assignment_status: Some(if target.is_some() { "userAssigned" } else { "unassigned" }.to_owned()),
        number_source: Some(number.source.clone()),
    };
    let mut item = serde_json::to_value(known).unwrap_or_default();
    item["operatorId"] = json!(tenant.id);
    item["capabilities"] = json!(["userAssignment", "voiceApplicationAssignment"]);
    for absent in ["assignmentTargetId", "assignmentCategory", "city", "locationId", "portInStatus"] {
        if item.get(absent).is_none() {
            item[absent] = Value::Null;
        }
    }
    item
}

/// `GET /admin/teams/userConfigurations`: who Teams has provisioned.
pub(super) async fn user_configurations(call: Call, headers: HeaderMap, uri: Uri) -> Answer {
    let params = Params::parse(&uri, &["$select", "$top", "$skiptoken"], Plus::Space);
    let params = params.map_err(|error| bad_query(&call, &error))?;
    let top = params.number("$top").map_err(|error| bad_query(&call, &error))?.unwrap_or(CONFIGURATIONS_DEFAULT);
    let selected = selected(&call, &params)?;
    let after = params.get("$skiptoken").map(|text| {
        link::decode::<(EntraObjectId, u64)>(text).ok_or_else(|| bad_query(&call, &BadQuery::Value("$skiptoken")))
    });
    let after = after.transpose()?;
    let world = call.world();
    permitted_in_teams(&world, &call, &[permission::CONFIGURATION_READ])?;
    let ordinal = after.map_or(0, |(_, ordinal)| ordinal + 1);
    call.page(ordinal);
    let known = world.tenant.users_at(call.now()).filter(|(_, user)| provisioned(user, call.now()));
    let shown = call.share().of(known.clone().count());
    let rest = known.take(shown).filter(|(id, _)| after.is_none_or(|(after, _)| **id > after));
    let mut page: Vec<_> = rest.collect();
    let remaining = page.len();
    page.truncate(call.page_size(top.max(1)));
    let items = page.iter().map(|(id, user)| configuration(&world.tenant, **id, user, call.now()));
    let value: Vec<Value> = items.map(|item| project(item, selected.as_deref())).collect();
    let mut body = json!({"value": value});
    if let Some((last, _)) = page.last().filter(|_| remaining > page.len()) {
        let mut next = format!("{}/v1.0/admin/teams/userConfigurations?$top={top}", link::base(&headers));
        if let Some(select) = params.get("$select") {
            let _infallible = write!(next, "&$select={}", urlencoding::encode(select));
        }
        let _infallible = write!(next, "&$skiptoken={}", link::encode(&(**last, ordinal)));
        body["@odata.nextLink"] = json!(next);
    }
    Ok(ok(&body))
}

fn selected(call: &Call, params: &Params) -> Result<Option<Vec<String>>, Refused> {
    odata::select(params.get("$select"), &CONFIGURATION).map_err(|name| bad_query(call, &BadQuery::Unknown(name)))
}

/// `GET /admin/teams/userConfigurations/{id}`.
pub(super) async fn user_configuration(call: Call, Path(wanted): Path<String>, uri: Uri) -> Answer {
    let params = Params::parse(&uri, &["$select"], Plus::Space).map_err(|error| bad_query(&call, &error))?;
    let selected = selected(&call, &params)?;
    let world = call.world();
    permitted_in_teams(&world, &call, &[permission::CONFIGURATION_READ])?;
    let id = wanted.parse::<EntraObjectId>().ok();
    let user = id.and_then(|id| world.tenant.users.get_key_value(&id));
    let (id, user) = user
        .filter(|(_, user)| provisioned(user, call.now()))
        .ok_or_else(|| teams_error(&call, StatusCode::NOT_FOUND, "notFound", "Resource not found."))?;
    Ok(ok(&project(configuration(&world.tenant, *id, user, call.now()), selected.as_deref())))
}

fn provisioned(user: &TenantUser, now: Timestamp) -> bool {
    user.provisioned_at.is_some_and(|at| at <= now)
}

fn configuration(tenant: &Tenant, id: EntraObjectId, user: &TenantUser, now: Timestamp) -> Value {
    let voice = user.voice.read(now);
    let features = [("Teams", user.has_teams()), ("PhoneSystem", user.has_phone_system())];
    let primary = |number: &String| UserTelephoneNumber {
        telephone_number: number.clone(),
        assignment_category: Some("primary".to_owned()),
    };
    let known = UserConfiguration {
        id,
        account_type: Some(user.account_type.clone()),
        is_enterprise_voice_enabled: Some(voice.enabled),
        feature_types: features.into_iter().filter(|(_, has)| *has).map(|(name, _)| name.to_owned()).collect(),
        telephone_numbers: voice.numbers.iter().map(primary).collect(),
    };
    let mut item = serde_json::to_value(known).unwrap_or_default();
    item["tenantId"] = json!(tenant.id);
    item["userPrincipalName"] = json!(user.user_principal_name);
    item
}
