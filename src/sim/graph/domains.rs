//! `/domains`: added, proved, used, deleted.

use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse as _;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Permission, body, directory, not_found, odata, permission, permitted, refused};
use crate::sim::Call;
use crate::sim::reply::{Answer, Refused, json_reply, ok};
use crate::sim::world::domains::{DomainRefusal, TenantDomain};
use crate::sim::world::{GraphSwitches, World};

const READERS: [Permission; 2] = [permission::DOMAIN_READ, permission::DOMAIN_WRITE];
const WRITERS: [Permission; 1] = [permission::DOMAIN_WRITE];
const PROPERTIES: [&str; 13] = [
    "id",
    "authenticationType",
    "availabilityStatus",
    "isAdminManaged",
    "isDefault",
    "isInitial",
    "isRoot",
    "isVerified",
    "supportedServices",
    "passwordValidityPeriodInDays",
    "passwordNotificationWindowInDays",
    "state",
    "model",
];

/// `POST /domains`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDomain {
    id: String,
}

/// `PATCH /domains/{id}`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Change {
    supported_services: BTreeSet<String>,
}

/// `POST /domains/{id}/forceDelete`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Force {
    #[serde(default)]
    disable_user_accounts: bool,
}

/// `GET /domains`: every domain on one page.
pub(super) async fn list(call: Call, uri: Uri) -> Answer {
    let selected = directory::selected(&call, &uri, &PROPERTIES)?;
    let world = call.world();
    permitted(&world, &call, &READERS)?;
    let mut domains = world.tenant.domains_at(call.now());
    domains.truncate(call.share().of(domains.len()));
    let items = domains.iter().map(|(name, domain)| item(&world, &call, name, domain));
    let value: Vec<Value> = items.map(|item| odata::project(item, selected.as_deref())).collect();
    Ok(ok(&json!({"value": value})))
}

/// `GET /domains/{id}`.
pub(super) async fn one(call: Call, Path(name): Path<String>, uri: Uri) -> Answer {
    let selected = directory::selected(&call, &uri, &PROPERTIES)?;
    let world = call.world();
    permitted(&world, &call, &READERS)?;
    let domain = found(&world, &call, &name)?;
    Ok(ok(&odata::project(item(&world, &call, &name.to_ascii_lowercase(), &domain), selected.as_deref())))
}

/// `POST /domains`.
pub(super) async fn add(call: Call, bytes: Bytes) -> Answer {
    let NewDomain { id } = body::parse(&call, &bytes)?;
    let mut world = call.world();
    permitted(&world, &call, &WRITERS)?;
    let domain = world.add_domain(&id, call.now()).map_err(|error| say(&world, &call, &id, &error))?;
    Ok(json_reply(StatusCode::CREATED, &item(&world, &call, &id.to_ascii_lowercase(), &domain)))
}

/// `GET /domains/{id}/verificationDnsRecords`.
pub(super) async fn verification_records(call: Call, Path(name): Path<String>, uri: Uri) -> Answer {
    directory::selected(&call, &uri, &["id"])?;
    let world = call.world();
    permitted(&world, &call, &READERS)?;
    let text = found(&world, &call, &name)?.text;
    let mark = text.strip_prefix("MS=").unwrap_or(&text);
    let record = |kind: &str| {
        json!({
            "@odata.type": format!("#microsoft.graph.domainDns{kind}Record"),
            "id": record_id(kind, &name),
            "isOptional": false,
            "label": name,
            "recordType": kind,
            "supportedService": "Email",
            "ttl": 3600,
        })
    };
    let (mut by_text, mut by_mail) = (record("Txt"), record("Mx"));
    by_text["text"] = json!(text);
    by_mail["mailExchange"] = json!(format!("{mark}.msv1.invalid"));
    by_mail["preference"] = json!(32767);
    Ok(ok(&json!({"value": [by_mail, by_text]})))
}

/// `POST /domains/{id}/verify`.
pub(super) async fn verify(call: Call, Path(name): Path<String>, bytes: Bytes) -> Answer {
    body::none(&call, &bytes)?;
    let mut world = call.world();
    permitted(&world, &call, &WRITERS)?;
    let domain = world.verify_domain(&name, call.now()).map_err(|error| say(&world, &call, &name, &error))?;
    let mut item = item(&world, &call, &name.to_ascii_lowercase(), &domain);
    item["isVerified"] = json!(true);
    item["availabilityStatus"] = json!("AvailableImmediately");
    Ok(ok(&item))
}

/// `PATCH /domains/{id}`.
pub(super) async fn change(call: Call, Path(name): Path<String>, bytes: Bytes) -> Answer {
    let Change { supported_services } = body::parse(&call, &bytes)?;
    let mut world = call.world();
    permitted(&world, &call, &WRITERS)?;
    let changed = world.set_domain_services(&name, supported_services, call.now());
    changed.map_err(|error| say(&world, &call, &name, &error))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `DELETE /domains/{id}`.
pub(super) async fn delete(call: Call, Path(name): Path<String>) -> Answer {
    let mut world = call.world();
    permitted(&world, &call, &WRITERS)?;
    world.delete_domain(&name, call.now()).map_err(|error| say(&world, &call, &name, &error))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /domains/{id}/forceDelete`.
pub(super) async fn force_delete(call: Call, Path(name): Path<String>, bytes: Bytes) -> Answer {
    let Force { disable_user_accounts } = body::parse(&call, &bytes)?;
    let mut world = call.world();
    permitted(&world, &call, &WRITERS)?;
    let asked = world.force_delete_domain(&name, disable_user_accounts, call.now());
    asked.map_err(|error| say(&world, &call, &name, &error))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET /domains/{id}/domainNameReferences`.
pub(super) async fn references(call: Call, Path(name): Path<String>, uri: Uri) -> Answer {
    directory::selected(&call, &uri, &["id"])?;
    let world = call.world();
    permitted(&world, &call, &READERS)?;
    found(&world, &call, &name)?;
    let users = world.tenant.references(&name, world.settings.graph.soft_deleted_blocks_domain);
    let item = |id, upn| json!({"@odata.type": "#microsoft.graph.user", "id": id, "userPrincipalName": upn});
    let value: Vec<Value> = users.iter().map(|(id, user)| item(id, &user.user_principal_name)).collect();
    Ok(ok(&json!({"value": value})))
}

fn found(world: &World, call: &Call, name: &str) -> Result<TenantDomain, Refused> {
    world.tenant.domain_at(name, call.now()).map_err(|_| not_found(call, name))
}

fn item(world: &World, call: &Call, name: &str, domain: &TenantDomain) -> Value {
    let verified = *domain.verified.read(call.now());
    let state = domain.forced.as_ref().map(
        |forced| json!({"lastActionDateTime": forced.asked_at, "operation": "ForceDelete", "status": "InProgress"}),
    );
    json!({
        "id": name,
        "authenticationType": "Managed",
        "availabilityStatus": null,
        "isAdminManaged": true,
        "isDefault": domain.default,
        "isInitial": domain.initial,
        "isRoot": !world.tenant.has_verified_root(name),
        "isVerified": verified,
        "supportedServices": domain.services,
        "passwordValidityPeriodInDays": null,
        "passwordNotificationWindowInDays": null,
        "state": state,
        "model": null,
        "manufacturer": null,
    })
}

/// A refusal in the words of Graph.
fn say(world: &World, call: &Call, name: &str, error: &DomainRefusal) -> Refused {
    let switches: GraphSwitches = world.settings.graph;
    let text = match error {
        DomainRefusal::NotFound => return not_found(call, name),
        DomainRefusal::Exists => return duplicate(call, switches),
        DomainRefusal::RecordNotFound => {
            let text = format!(
                "Domain verification failed with the following error: 'DNS record not found for domain {name}.'"
            );
            return refused(call, switches.domain_verify_pending, &text);
        }
        DomainRefusal::OfAnotherTenant => {
            "Domain verification failed with the following error: 'The domain is verified in another directory.'"
        }
        DomainRefusal::InUse => {
            let text = "Unable to delete the domain: it is referenced by other objects.";
            return refused(call, switches.domain_delete_in_use, text);
        }
        DomainRefusal::BadName => "The domain name is not valid.",
        DomainRefusal::AlreadyVerified => "Domain is already verified.",
        DomainRefusal::NotVerified => "The domain is not verified.",
        DomainRefusal::UnknownService => "Invalid value specified for property 'supportedServices'.",
        DomainRefusal::Indispensable => "The default domain and the initial domain cannot be deleted.",
        DomainRefusal::TooManyReferences => "The domain has more than 1000 references.",
    };
    refused(call, 400, text)
}

fn duplicate(call: &Call, switches: GraphSwitches) -> Refused {
    let text = "Another object with the same value for property id already exists.";
    if switches.domain_duplicate == 409 {
        return refused(call, 409, text);
    }
    super::conflict(call, "id")
}

/// Stable per domain and kind.
fn record_id(kind: &str, name: &str) -> uuid::Uuid {
    let digest = Sha256::digest(format!("{kind}.{name}"));
    digest.first_chunk::<16>().copied().map_or_else(uuid::Uuid::nil, uuid::Uuid::from_bytes)
}
