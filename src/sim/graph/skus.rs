//! `GET /subscribedSkus`.

use axum::http::Uri;
use serde_json::{Value, json};

use super::{directory, odata, permission, permitted};
use crate::clients::graph::wire::{PrepaidUnits, SkuPlan, SubscribedSku};
use crate::domain::EntraObjectId;
use crate::sim::Call;
use crate::sim::reply::{Answer, ok};
use crate::sim::world::World;
use crate::sim::world::tenant::Sku;

const PROPERTIES: [&str; 8] =
    ["id", "accountId", "skuId", "skuPartNumber", "capabilityStatus", "consumedUnits", "prepaidUnits", "servicePlans"];

/// The products of the tenant, in one page.
pub(super) async fn list(call: Call, uri: Uri) -> Answer {
    let selected = directory::selected(&call, &uri, &PROPERTIES)?;
    let world = call.world();
    permitted(&world, &call, &[permission::LICENSE_READ, permission::ORGANIZATION_READ])?;
    let items = world.tenant.skus.iter().map(|(id, sku)| odata::project(item(&world, *id, sku), selected.as_deref()));
    Ok(ok(&json!({"value": items.collect::<Vec<Value>>()})))
}

fn item(world: &World, sku_id: EntraObjectId, sku: &Sku) -> Value {
    let plan =
        |(id, name): (&EntraObjectId, &String)| SkuPlan { service_plan_id: *id, service_plan_name: name.clone() };
    let known = SubscribedSku {
        sku_id,
        sku_part_number: sku.part_number.clone(),
        capability_status: sku.capability_status.clone(),
        consumed_units: world.tenant.consumed(sku_id).into(),
        prepaid_units: PrepaidUnits { enabled: sku.enabled_units.into(), warning: sku.warning_units.into() },
        service_plans: sku.plans.iter().map(plan).collect(),
    };
    let mut item = serde_json::to_value(known).unwrap_or_default();
    item["id"] = json!(format!("{}_{sku_id}", world.tenant.id));
    item["accountId"] = json!(world.tenant.id);
    item
}
