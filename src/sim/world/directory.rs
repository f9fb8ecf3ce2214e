//! Users of the tenant as Graph's writers make, license, delete and restore them.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::settings::after;
use super::tenant::{DeletedUser, Sku, TenantUser};
use super::{Lagged, Tenant, World, dice};
use crate::domain::{Address, EntraObjectId};

/// How long a deleted user can be restored.
const RESTORABLE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// What a UPN may have before its `@`, besides letters and digits.
const UPN_SIGNS: &str = "'.-_!#^~";

/// A user to be made. A password is not kept.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Whether it may sign in.
    pub account_enabled: bool,
    /// Name.
    pub display_name: String,
    /// UPN.
    pub user_principal_name: String,
    /// Country of use.
    pub usage_location: Option<String>,
    /// Further properties by their names at Graph.
    pub properties: BTreeMap<String, String>,
}

/// What becomes of a user's products.
#[derive(Debug, Clone, Default)]
pub struct LicenseChange {
    /// Products to give, each with the plans to leave out.
    pub add: BTreeMap<EntraObjectId, BTreeSet<EntraObjectId>>,
    /// Products to take.
    pub remove: BTreeSet<EntraObjectId>,
}

/// Why Microsoft refuses something about a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserRefusal {
    /// The tenant has no such user, or does not show it yet.
    NotFound,
    /// Another user has the UPN.
    NameTaken,
    /// The UPN has signs that it cannot have.
    BadName,
    /// The domain of the UPN is not verified here.
    DomainNotVerified,
    /// No product is given without a country of use.
    NoUsageLocation,
    /// The tenant has no such product.
    UnknownProduct(EntraObjectId),
    /// Every seat is taken.
    NoSeat(EntraObjectId),
    /// The user does not have what is to be taken.
    NotAssigned(EntraObjectId),
    /// Applications may not delete for good.
    NotByApplications,
}

impl Tenant {
    /// Seats of a product that nobody has.
    pub fn free_seats(&self, id: EntraObjectId) -> u32 {
        self.skus.get(&id).map_or(0, |sku| sku.seats().saturating_sub(self.consumed(id)))
    }

    /// A user whom readers see at `now`, by object id or UPN.
    pub fn user_at(&self, wanted: &str, now: Timestamp) -> Option<(EntraObjectId, &TenantUser)> {
        let is_wanted = |id: &EntraObjectId, user: &TenantUser| {
            id.to_string().eq_ignore_ascii_case(wanted) || user.user_principal_name.eq_ignore_ascii_case(wanted)
        };
        self.users_at(now).find(|(id, user)| is_wanted(id, user)).map(|(id, user)| (*id, user))
    }

    fn has_name(&self, name: &str) -> bool {
        self.users.values().any(|user| user.user_principal_name.eq_ignore_ascii_case(name))
    }

    /// The user is deleted restorably; its seats are free at once.
    pub(crate) fn delete_user(&mut self, id: EntraObjectId, now: Timestamp, seen_at: Timestamp) {
        let Some(user) = self.users.remove(&id).map(Box::new) else { return };
        self.version += 1;
        let version = self.version;
        let visible_since = Some(seen_at);
        let deleted = DeletedUser { version, visible_since, permanent: false, deleted_at: Some(now), user: Some(user) };
        self.deleted.insert(id, deleted);
    }

    /// The user is there again under the same id, with everything it had but the products that have no free seat.
    pub(crate) fn restore_user(&mut self, id: EntraObjectId, seen_at: Timestamp) -> Result<(), UserRefusal> {
        let deleted = self.deleted.get(&id).and_then(|deleted| deleted.user.as_deref());
        let mut user = deleted.ok_or(UserRefusal::NotFound)?.clone();
        if self.has_name(&user.user_principal_name) {
            return Err(UserRefusal::NameTaken);
        }
        let lost: Vec<EntraObjectId> = user.skus.iter().copied().filter(|sku| self.free_seats(*sku) == 0).collect();
        for sku in lost {
            user.take(sku, &self.skus);
        }
        user.appears_at = Some(seen_at);
        self.deleted.remove(&id);
        self.users.insert(id, user);
        self.touch(id, Some(seen_at));
        Ok(())
    }

    /// The user is gone for good.
    pub(crate) fn purge_user(&mut self, id: EntraObjectId, seen_at: Timestamp) -> Result<(), UserRefusal> {
        self.version += 1;
        let version = self.version;
        let deleted = self.deleted.get_mut(&id).filter(|deleted| deleted.user.is_some());
        let deleted = deleted.ok_or(UserRefusal::NotFound)?;
        let visible_since = Some(seen_at);
        *deleted = DeletedUser { version, visible_since, permanent: true, user: None, ..deleted.clone() };
        Ok(())
    }

    /// A restorable user by object id, or by the UPN that it had.
    pub(crate) fn find_deleted(&self, name: &str) -> Option<EntraObjectId> {
        let (id, address) = (name.parse::<EntraObjectId>().ok(), name.parse::<Address>().ok());
        let mut restorable = self.deleted.iter().filter_map(|(key, deleted)| Some((key, deleted.user.as_ref()?)));
        restorable
            .find(|(key, user)| id == Some(**key) || (address.is_some() && user.address() == address))
            .map(|(key, _)| *key)
    }

    /// When Microsoft deletes which user for good.
    pub(crate) fn purges_due(&self) -> impl Iterator<Item = (Timestamp, EntraObjectId)> {
        let restorable = self.deleted.iter().filter(|(_, deleted)| deleted.user.is_some());
        restorable.filter_map(|(id, deleted)| Some((deleted.deleted_at?.saturating_add(RESTORABLE).ok()?, *id)))
    }
}

impl Sku {
    /// Seats that can be given.
    pub fn seats(&self) -> u32 {
        match self.capability_status.as_str() {
            "Enabled" | "Warning" => self.enabled_units + self.warning_units,
            _ => 0,
        }
    }
}

impl TenantUser {
    /// A product goes; the plans that no other product has are `Deleted`.
    fn take(&mut self, sku: EntraObjectId, products: &BTreeMap<EntraObjectId, Sku>) {
        self.skus.remove(&sku);
        self.disabled_plans.remove(&sku);
        let kept: BTreeSet<EntraObjectId> =
            self.skus.iter().filter_map(|id| products.get(id)).flat_map(|sku| sku.plans.keys().copied()).collect();
        let plans = products.get(&sku).into_iter().flat_map(|sku| sku.plans.keys());
        for plan in plans.filter(|plan| !kept.contains(plan)) {
            if let Some(plan) = self.plans.get_mut(plan) {
                "Deleted".clone_into(&mut plan.capability_status);
            }
        }
    }

    fn give(&mut self, id: EntraObjectId, sku: &Sku, left_out: &BTreeSet<EntraObjectId>, provisioned_at: Timestamp) {
        self.skus.insert(id);
        self.disabled_plans.insert(id, left_out.clone());
        for plan in sku.plans.keys().filter(|plan| !left_out.contains(plan)) {
            self.set_plan(*plan, Some("Enabled".to_owned()), provisioned_at);
        }
    }
}

impl World {
    /// `POST /users`.
    pub fn create_user(&mut self, new: NewUser, now: Timestamp) -> Result<(EntraObjectId, TenantUser), UserRefusal> {
        let (local, domain) = new.user_principal_name.rsplit_once('@').ok_or(UserRefusal::BadName)?;
        let fits = |sign: char| sign.is_ascii_alphanumeric() || UPN_SIGNS.contains(sign);
        if local.is_empty() || local.len() > 64 || !local.chars().all(fits) {
            return Err(UserRefusal::BadName);
        }
        if !self.tenant.has_verified(domain) {
            return Err(UserRefusal::DomainNotVerified);
        }
        if self.tenant.has_name(&new.user_principal_name) {
            return Err(UserRefusal::NameTaken);
        }
        let seen_at = self.graph_seen_at(now);
        let id = dice::object_id(self.settings.seed, &mut self.draws);
        let user = TenantUser {
            mail: None,
            display_name: new.display_name,
            account_enabled: new.account_enabled,
            usage_location: new.usage_location,
            properties: new.properties,
            appears_at: Some(seen_at),
            ..TenantUser::named(new.user_principal_name)
        };
        self.tenant.users.insert(id, user.clone());
        self.tenant.touch(id, Some(seen_at));
        self.follow_domains(now);
        Ok((id, user))
    }

    /// `POST /users/{id}/assignLicense`: everything or nothing.
    pub fn assign_license(
        &mut self,
        id: EntraObjectId,
        change: &LicenseChange,
        now: Timestamp,
    ) -> Result<TenantUser, UserRefusal> {
        let (seen_at, provisioned_at) = (self.graph_seen_at(now), after(now, self.settings.teams_provisioning_seconds));
        let mut user = self.tenant.users.get(&id).ok_or(UserRefusal::NotFound)?.clone();
        if user.usage_location.is_none() && !change.add.is_empty() {
            return Err(UserRefusal::NoUsageLocation);
        }
        for sku in &change.remove {
            if !user.skus.contains(sku) {
                return Err(UserRefusal::NotAssigned(*sku));
            }
            user.take(*sku, &self.tenant.skus);
        }
        for (id, left_out) in &change.add {
            let sku = self.tenant.skus.get(id).ok_or(UserRefusal::UnknownProduct(*id))?;
            if !user.skus.contains(id) && self.tenant.free_seats(*id) == 0 {
                return Err(UserRefusal::NoSeat(*id));
            }
            user.give(*id, sku, left_out, provisioned_at);
        }
        self.tenant.users.insert(id, user.clone());
        self.tenant.touch(id, Some(seen_at));
        self.follow_domains(now);
        Ok(user)
    }

    /// `PATCH /users/{id}`.
    pub fn change_user(&mut self, id: EntraObjectId, now: Timestamp, change: impl FnOnce(&mut TenantUser)) {
        let seen_at = self.graph_seen_at(now);
        if let Some(user) = self.tenant.users.get_mut(&id) {
            change(user);
            self.tenant.touch(id, Some(seen_at));
        }
    }

    /// `DELETE /users/{id}`.
    pub fn delete_tenant_user(&mut self, id: EntraObjectId, now: Timestamp) {
        let seen_at = self.graph_seen_at(now);
        self.tenant.delete_user(id, now, seen_at);
        self.follow_domains(now);
    }

    /// `POST /directory/deletedItems/{id}/restore`.
    pub fn restore_tenant_user(&mut self, id: EntraObjectId, now: Timestamp) -> Result<&TenantUser, UserRefusal> {
        let seen_at = self.graph_seen_at(now);
        self.tenant.restore_user(id, seen_at)?;
        self.follow_domains(now);
        self.tenant.users.get(&id).ok_or(UserRefusal::NotFound)
    }

    /// `DELETE /directory/deletedItems/{id}`.
    pub fn purge_tenant_user(&mut self, id: EntraObjectId, now: Timestamp) -> Result<(), UserRefusal> {
        if self.tenant.find_deleted(&id.to_string()).is_none() {
            return Err(UserRefusal::NotFound);
        }
        if !self.settings.graph.hard_delete_by_applications {
            return Err(UserRefusal::NotByApplications);
        }
        let seen_at = self.graph_seen_at(now);
        self.tenant.purge_user(id, seen_at)
    }
}

impl TenantUser {
    /// A member with this UPN and nothing else.
    pub(crate) fn named(user_principal_name: String) -> Self {
        Self {
            mail: Some(user_principal_name.clone()),
            display_name: user_principal_name.split('@').next().unwrap_or_default().to_owned(),
            user_principal_name,
            account_enabled: true,
            user_type: "Member".to_owned(),
            usage_location: None,
            skus: BTreeSet::new(),
            disabled_plans: BTreeMap::new(),
            plans: BTreeMap::new(),
            properties: BTreeMap::new(),
            account_type: "user".to_owned(),
            voice: Lagged::default(),
            provisioned_at: None,
            version: 0,
            visible_since: None,
            appears_at: None,
        }
    }
}
