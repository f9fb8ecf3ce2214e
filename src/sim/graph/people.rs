//! Users made, changed, licensed, deleted, restored.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::users::{PROPERTIES, item};
use super::{body, conflict, directory, forbidden, link, not_found, odata, permission, permitted, refused};
use crate::domain::EntraObjectId;
use crate::sim::Call;
use crate::sim::reply::{Answer, Refused, json_reply, ok};
use crate::sim::world::World;
use crate::sim::world::directory::{LicenseChange, NewUser, UserRefusal};
use crate::sim::world::tenant::Sku;

/// Texts that a user may be made with beside what every user has.
const TEXTS: [&str; 13] = [
    "givenName",
    "surname",
    "jobTitle",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "department",
    "companyName",
    "employeeId",
    "employeeType",
    "city",
    "state",
    "country",
];

/// `POST /users`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Create {
    account_enabled: bool,
    display_name: String,
    mail_nickname: String,
    user_principal_name: String,
    password_profile: PasswordProfile,
    usage_location: Option<String>,
    #[serde(flatten)]
    further: Map<String, Value>,
}

/// Looked at and forgotten.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PasswordProfile {
    password: String,
    #[serde(default, rename = "forceChangePasswordNextSignIn")]
    _force_change: bool,
    #[serde(default, rename = "forceChangePasswordNextSignInWithMfa")]
    _force_change_with_mfa: bool,
}

/// `PATCH /users/{id}`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    account_enabled: Option<bool>,
    display_name: Option<String>,
    usage_location: Option<String>,
    #[serde(flatten)]
    further: Map<String, Value>,
}

/// `POST /users/{id}/assignLicense`: both lists are required.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AssignLicense {
    add_licenses: Vec<Added>,
    remove_licenses: BTreeSet<EntraObjectId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Added {
    sku_id: EntraObjectId,
    #[serde(default)]
    disabled_plans: BTreeSet<EntraObjectId>,
}

/// `POST /users`.
pub(super) async fn create(call: Call, bytes: Bytes) -> Answer {
    let create: Create = body::parse(&call, &bytes)?;
    if create.password_profile.password.len() < 8 {
        return Err(refused(
            &call,
            400,
            "The specified password does not comply with password complexity requirements.",
        ));
    }
    let mut properties = texts(&call, create.further)?;
    properties.insert("mailNickname".to_owned(), create.mail_nickname);
    let mut world = call.world();
    permitted(&world, &call, &[permission::USER_WRITE])?;
    let name = create.user_principal_name.clone();
    let new = NewUser {
        account_enabled: create.account_enabled,
        display_name: create.display_name,
        user_principal_name: create.user_principal_name,
        usage_location: create.usage_location,
        properties,
    };
    let (id, user) = world.create_user(new, call.now()).map_err(|error| say(&call, &name, &error))?;
    Ok(json_reply(StatusCode::CREATED, &item(id, &user)))
}

/// `PATCH /users/{id}`.
pub(super) async fn change(call: Call, Path(wanted): Path<String>, bytes: Bytes) -> Answer {
    let Change { account_enabled, display_name, usage_location, further } = body::parse(&call, &bytes)?;
    let properties = texts(&call, further)?;
    let mut world = call.world();
    permitted(&world, &call, &[permission::USER_WRITE])?;
    let id = shown(&world, &call, &wanted)?;
    world.change_user(id, call.now(), |user| {
        user.account_enabled = account_enabled.unwrap_or(user.account_enabled);
        user.display_name = display_name.unwrap_or_else(|| user.display_name.clone());
        user.usage_location = usage_location.or_else(|| user.usage_location.take());
        user.properties.extend(properties);
    });
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `DELETE /users/{id}`: restorable.
pub(super) async fn delete(call: Call, Path(wanted): Path<String>) -> Answer {
    let mut world = call.world();
    permitted(&world, &call, &[permission::USER_DELETE])?;
    let id = shown(&world, &call, &wanted)?;
    world.delete_tenant_user(id, call.now());
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /users/{id}/assignLicense`.
pub(super) async fn assign_license(call: Call, Path(wanted): Path<String>, bytes: Bytes) -> Answer {
    let AssignLicense { add_licenses, remove_licenses } = body::parse(&call, &bytes)?;
    let add: BTreeMap<_, _> = add_licenses.into_iter().map(|added| (added.sku_id, added.disabled_plans)).collect();
    let mut world = call.world();
    permitted(&world, &call, &[permission::LICENSE_WRITE])?;
    let id = shown(&world, &call, &wanted)?;
    let assigned = world.assign_license(id, &LicenseChange { add, remove: remove_licenses }, call.now());
    let user = assigned.map_err(|error| say(&call, &wanted, &error))?;
    let status = StatusCode::from_u16(world.settings.graph.assign_license_status).unwrap_or(StatusCode::OK);
    Ok(json_reply(status, &item(id, &user)))
}

/// `GET /users/{id}/licenseDetails`.
pub(super) async fn license_details(call: Call, Path(wanted): Path<String>, uri: Uri) -> Answer {
    let selected = directory::selected(&call, &uri, &["id", "skuId", "skuPartNumber", "servicePlans"])?;
    let world = call.world();
    permitted(&world, &call, &[permission::LICENSE_READ, permission::LICENSE_WRITE])?;
    let (_, user) = world.tenant.user_at(&wanted, call.now()).ok_or_else(|| not_found(&call, &wanted))?;
    let products = user.skus.iter().filter_map(|id| Some((*id, world.tenant.skus.get(id)?)));
    let none = BTreeSet::new();
    let details = products.map(|(id, sku)| details(id, sku, user.disabled_plans.get(&id).unwrap_or(&none)));
    let value: Vec<Value> = details.map(|detail| odata::project(detail, selected.as_deref())).collect();
    Ok(ok(&json!({"value": value})))
}

fn details(id: EntraObjectId, sku: &Sku, left_out: &BTreeSet<EntraObjectId>) -> Value {
    let plan = |(plan, name): (&EntraObjectId, &String)| {
        let status = if left_out.contains(plan) { "Disabled" } else { "Success" };
        json!({"servicePlanId": plan, "servicePlanName": name, "provisioningStatus": status, "appliesTo": "User"})
    };
    let plans: Vec<Value> = sku.plans.iter().map(plan).collect();
    json!({"id": link::encode(&id), "skuId": id, "skuPartNumber": sku.part_number, "servicePlans": plans})
}

/// `GET /directory/deletedItems/microsoft.graph.user`.
pub(super) async fn deleted(call: Call, uri: Uri) -> Answer {
    let selected = directory::selected(&call, &uri, &PROPERTIES)?;
    let world = call.world();
    permitted(&world, &call, &[permission::USER_READ, permission::USER_WRITE])?;
    let value = deleted_items(&world).into_iter().map(|item| odata::project(item, selected.as_deref()));
    Ok(ok(&json!({"value": value.collect::<Vec<Value>>()})))
}

/// `GET /directory/deletedItems/{id}`.
pub(super) async fn deleted_one(call: Call, Path(wanted): Path<String>, uri: Uri) -> Answer {
    let selected = directory::selected(&call, &uri, &PROPERTIES)?;
    let world = call.world();
    permitted(&world, &call, &[permission::USER_READ, permission::USER_WRITE])?;
    let found = deleted_items(&world).into_iter().find(|item| item["id"] == wanted.to_ascii_lowercase());
    Ok(ok(&odata::project(found.ok_or_else(|| not_found(&call, &wanted))?, selected.as_deref())))
}

fn deleted_items(world: &World) -> Vec<Value> {
    let restorable = world.tenant.deleted.iter().filter_map(|(id, gone)| Some((*id, gone, gone.user.as_deref()?)));
    let show = restorable.map(|(id, gone, user)| {
        let mut item = item(id, user);
        item["deletedDateTime"] = json!(gone.deleted_at);
        item
    });
    show.collect()
}

/// `POST /directory/deletedItems/{id}/restore`.
pub(super) async fn restore(call: Call, Path(wanted): Path<String>, bytes: Bytes) -> Answer {
    body::none(&call, &bytes)?;
    let mut world = call.world();
    permitted(&world, &call, &[permission::USER_DELETE])?;
    let id = wanted.parse::<EntraObjectId>().map_err(|_| not_found(&call, &wanted))?;
    let user = world.restore_tenant_user(id, call.now()).map_err(|error| say(&call, &wanted, &error))?;
    Ok(ok(&item(id, user)))
}

/// `DELETE /directory/deletedItems/{id}`.
pub(super) async fn purge(call: Call, Path(wanted): Path<String>) -> Answer {
    let mut world = call.world();
    permitted(&world, &call, &[permission::USER_DELETE])?;
    let id = wanted.parse::<EntraObjectId>().map_err(|_| not_found(&call, &wanted))?;
    world.purge_tenant_user(id, call.now()).map_err(|error| say(&call, &wanted, &error))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A user by object id or UPN; one that was just made is not found for a while.
fn shown(world: &World, call: &Call, wanted: &str) -> Result<EntraObjectId, Refused> {
    world.tenant.user_at(wanted, call.now()).map(|(id, _)| id).ok_or_else(|| not_found(call, wanted))
}

fn texts(call: &Call, further: Map<String, Value>) -> Result<BTreeMap<String, String>, Refused> {
    let text = |(name, value): (String, Value)| match value {
        Value::String(text) if TEXTS.contains(&name.as_str()) => Ok((name, text)),
        _ => Err(refused(call, 400, &format!("Invalid property '{name}'."))),
    };
    further.into_iter().map(text).collect()
}

/// A refusal in the words of Graph.
fn say(call: &Call, wanted: &str, error: &UserRefusal) -> Refused {
    let text = match error {
        UserRefusal::NotFound => return not_found(call, wanted),
        UserRefusal::NameTaken => return conflict(call, "userPrincipalName"),
        UserRefusal::NotByApplications => return forbidden(call),
        UserRefusal::BadName => "Property userPrincipalName is invalid.".to_owned(),
        UserRefusal::DomainNotVerified => {
            "The domain portion of the userPrincipalName property is invalid. You must use one of the verified domain \
             names in your organization."
                .to_owned()
        }
        UserRefusal::NoUsageLocation => {
            "License assignment cannot be done for user with invalid usage location.".to_owned()
        }
        UserRefusal::UnknownProduct(sku) => format!("License {sku} does not correspond to a valid company License."),
        UserRefusal::NoSeat(sku) => format!("Subscription with SKU {sku} does not have any available licenses."),
        UserRefusal::NotAssigned(_) => "User does not have a corresponding license.".to_owned(),
    };
    refused(call, 400, &text)
}
