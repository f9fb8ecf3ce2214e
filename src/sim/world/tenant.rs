//! Microsoft's side of the world: one tenant.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::applications::Application;
use super::domains::TenantDomain;
use super::goto::visible;
use super::lagged::Lagged;
use crate::domain::{Address, EntraObjectId, TenantId};

/// A Microsoft 365 tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its name.
    pub name: String,
    /// Object id of Microsoft Graph's own service principal.
    pub graph_service_principal: EntraObjectId,
    /// Applications by client id.
    pub applications: BTreeMap<String, Application>,
    /// Public keys of those whose tokens may stand for an application, by issuer: a JWK set each.
    pub issuers: BTreeMap<String, serde_json::Value>,
    /// Assertions that were used, and until when they would be good.
    pub assertions: BTreeMap<String, Timestamp>,
    /// AADSTS number that every call of the token endpoint is answered with.
    pub token_error: Option<u64>,
    /// Issued access tokens by their text.
    pub access_tokens: BTreeMap<String, GraphToken>,
    /// Domains by name; those of users' names that are not here are verified, too.
    pub domains: BTreeMap<String, TenantDomain>,
    /// Domains that another tenant has verified.
    pub verified_elsewhere: BTreeSet<String>,
    /// Users.
    pub users: BTreeMap<EntraObjectId, TenantUser>,
    /// Deleted users.
    pub deleted: BTreeMap<EntraObjectId, DeletedUser>,
    /// Number of the newest change of a user: what delta tokens count.
    pub version: u64,
    /// Products by SKU id.
    pub skus: BTreeMap<EntraObjectId, Sku>,
    /// Number inventory by number in E.164 form.
    pub numbers: BTreeMap<String, TenantNumber>,
}

impl Default for Tenant {
    fn default() -> Self {
        Self {
            id: TenantId::from(Uuid::nil()),
            name: String::new(),
            graph_service_principal: EntraObjectId::from(Uuid::nil()),
            applications: BTreeMap::new(),
            issuers: BTreeMap::new(),
            assertions: BTreeMap::new(),
            token_error: None,
            access_tokens: BTreeMap::new(),
            domains: BTreeMap::new(),
            verified_elsewhere: BTreeSet::new(),
            users: BTreeMap::new(),
            deleted: BTreeMap::new(),
            version: 0,
            skus: BTreeMap::new(),
            numbers: BTreeMap::new(),
        }
    }
}

/// An issued access token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GraphToken {
    /// Client it was issued to.
    pub client_id: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A user of the tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantUser {
    /// UPN.
    pub user_principal_name: String,
    /// Mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<String>,
    /// Name.
    #[serde(default)]
    pub display_name: String,
    /// False: signing in is blocked.
    pub account_enabled: bool,
    /// `Member` or `Guest`.
    pub user_type: String,
    /// Country of use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_location: Option<String>,
    /// Assigned products.
    #[serde(default)]
    pub skus: BTreeSet<EntraObjectId>,
    /// Plans that are left out of a product.
    #[serde(default)]
    pub disabled_plans: BTreeMap<EntraObjectId, BTreeSet<EntraObjectId>>,
    /// Further properties by their names at Graph.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// Service plans.
    #[serde(default)]
    pub plans: BTreeMap<EntraObjectId, Plan>,
    /// `user`, `resourceAccount`, `sfbOnPremUser`, …: what Teams calls the account.
    #[serde(default = "account_type")]
    pub account_type: String,
    /// Voice state in Teams.
    #[serde(default)]
    pub voice: Lagged<Voice>,
    /// When Teams has provisioned the user, who is absent from userConfigurations before; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioned_at: Option<Timestamp>,
    /// Number of the last change, for delta.
    #[serde(default)]
    pub version: u64,
    /// When delta shows the last change; absent: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visible_since: Option<Timestamp>,
    /// When listings show a new user first; absent: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appears_at: Option<Timestamp>,
}

fn account_type() -> String {
    "user".to_owned()
}

/// A service plan of a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// `Enabled`, `Warning`, `Suspended`, …
    pub capability_status: String,
    /// Name of the service.
    #[serde(default)]
    pub service: String,
}

/// Voice state of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Voice {
    /// Enterprise voice.
    pub enabled: bool,
    /// Numbers in E.164 form.
    pub numbers: BTreeSet<String>,
}

/// A user that was deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeletedUser {
    /// Number of the deletion among the changes.
    pub version: u64,
    /// When delta shows it; absent: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visible_since: Option<Timestamp>,
    /// True: gone for good; false: restorable.
    #[serde(default)]
    pub permanent: bool,
    /// When it was deleted; absent: unknown, it can be restored for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// What comes back when it is restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Box<TenantUser>>,
}

/// A product of the tenant; the seats in use are counted from the users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sku {
    /// Its short name.
    pub part_number: String,
    /// `Enabled`, `Warning`, …
    pub capability_status: String,
    /// Seats bought.
    pub enabled_units: u32,
    /// Seats in the grace period.
    #[serde(default)]
    pub warning_units: u32,
    /// Plans inside it and their names.
    pub plans: BTreeMap<EntraObjectId, String>,
}

/// A number of the tenant's inventory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantNumber {
    /// `directRouting`, `callingPlan`, …
    pub number_type: String,
    /// `online` or `onPremises`.
    pub source: String,
    /// Who has it.
    #[serde(default)]
    pub target: Lagged<Option<EntraObjectId>>,
    /// When readers see it first; absent: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visible_since: Option<Timestamp>,
}

/// Real ids of service plans.
pub mod plans {
    /// Teams.
    pub const TEAMS1: &str = "57ff2da0-773e-42df-b2af-ffb7a2317929";
    /// Phone System.
    pub const MCOEV: &str = "4828c8ec-dc2e-4779-b502-87ac9ce28ab7";
    /// Phone System of government tenants.
    pub const MCOEV_GOV: &str = "db23fce2-a974-42ef-9002-d78dd42a0f22";
    /// Phone System of small businesses.
    pub const MCOEVSMB: &str = "ed777b71-af04-42ca-9798-84344c66f7c6";
}

impl TenantUser {
    /// Whether a plan is there and usable.
    pub fn has_plan(&self, plan: &str) -> bool {
        let usable = |plan: &Plan| matches!(plan.capability_status.as_str(), "Enabled" | "Warning");
        plan.parse::<EntraObjectId>().is_ok_and(|id| self.plans.get(&id).is_some_and(usable))
    }

    /// Whether one of the Phone System plans is there.
    pub fn has_phone_system(&self) -> bool {
        [plans::MCOEV, plans::MCOEV_GOV, plans::MCOEVSMB].iter().any(|plan| self.has_plan(plan))
    }

    /// Whether Teams is there.
    pub fn has_teams(&self) -> bool {
        self.has_plan(plans::TEAMS1)
    }

    /// The UPN in comparable form.
    pub fn address(&self) -> Option<Address> {
        self.user_principal_name.parse().ok()
    }
}

impl Tenant {
    /// Seats of a product in use.
    pub fn consumed(&self, sku: EntraObjectId) -> u32 {
        u32::try_from(self.users.values().filter(|user| user.skus.contains(&sku)).count()).unwrap_or(u32::MAX)
    }

    /// The application of an access token that is valid at `now`.
    pub fn token(&self, text: &str, now: Timestamp) -> Option<&Application> {
        let token = self.access_tokens.get(text).filter(|token| now < token.expires_at)?;
        self.applications.get(&token.client_id)
    }

    /// Whether a number shows in the inventory at `now`.
    pub fn numbers_at(&self, now: Timestamp) -> impl Iterator<Item = (&String, &TenantNumber)> {
        self.numbers.iter().filter(move |(_, number)| visible(number.visible_since, now))
    }

    /// Records a change of a user for delta.
    pub fn touch(&mut self, user: EntraObjectId, visible_since: Option<Timestamp>) {
        self.version += 1;
        if let Some(user) = self.users.get_mut(&user) {
            user.version = self.version;
            user.visible_since = visible_since;
        }
    }

    /// Everybody whom a listing, or the initial round of delta, shows at `now`.
    pub fn users_at(&self, now: Timestamp) -> impl Iterator<Item = (&EntraObjectId, &TenantUser)> + Clone {
        self.users.iter().filter(move |(_, user)| visible(user.appears_at, now))
    }

    /// Users whose last change came after `token`, an earlier [`Tenant::visible_version`], and that delta shows at `now`.
    pub fn changed(&self, token: u64, now: Timestamp) -> impl Iterator<Item = (&EntraObjectId, &TenantUser)> {
        let end = self.visible_version(now);
        self.users.iter().filter(move |(_, user)| user.version > token && user.version <= end)
    }

    /// Users that were deleted after `token`, and that delta shows at `now`.
    pub fn removed(&self, token: u64, now: Timestamp) -> impl Iterator<Item = (&EntraObjectId, &DeletedUser)> {
        let end = self.visible_version(now);
        self.deleted.iter().filter(move |(_, user)| user.version > token && user.version <= end)
    }

    /// The newest change that delta shows at `now`: the next delta token.
    pub fn visible_version(&self, now: Timestamp) -> u64 {
        let users = self.users.values().filter(|user| !visible(user.visible_since, now)).map(|user| user.version);
        let deleted = self.deleted.values().filter(|user| !visible(user.visible_since, now)).map(|user| user.version);
        users.chain(deleted).min().map_or(self.version, |first| first.saturating_sub(1))
    }
}
