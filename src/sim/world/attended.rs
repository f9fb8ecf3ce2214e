//! A connector that manages its domains itself: adds, verifies, makes its temporary user and removes it (guide steps 6, 7).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;

use super::directory::{LicenseChange, NewUser};
use super::domains::DomainRefusal;
use super::settings::after;
use super::tenant::plans::TEAMS1;
use super::{Lagged, World};
use crate::clients::connector::wire::{DomainState, SyncKind};
use crate::domain::{AccountKey, EntraObjectId};

/// How long until the connector looks into DNS again.
const RETRY_SECONDS: u32 = 60;

impl World {
    /// One step for each domain of an account that has given the first consent.
    pub(crate) fn attend_domains(&mut self, at: Timestamp) {
        let consented = self.connectors.iter().filter(|(_, it)| it.consented(SyncKind::Directory));
        let domains = consented.flat_map(|(account, it)| it.domains.iter().map(move |domain| (account, domain)));
        let waiting: Vec<_> = domains
            .filter(|(_, (_, domain))| match domain.state {
                DomainState::Reserved => true,
                DomainState::Published => domain.verifies_at.is_none(),
                DomainState::Verified => domain.own_user.is_none_or(|id| !self.tenant.users.contains_key(&id)),
                DomainState::Activated => domain.own_user.is_some(),
                DomainState::Activating | DomainState::Failed => false,
            })
            .map(|(account, (name, domain))| (account.clone(), name.clone(), domain.state))
            .collect();
        for (account, name, state) in waiting {
            match state {
                DomainState::Reserved => self.add_and_publish(&account, &name, at),
                DomainState::Published => self.look_later(&account, &name, self.dns_settles(&name, at)),
                DomainState::Verified => self.add_temporary_user(&account, &name, at),
                _ => self.remove_temporary_user(&account, &name, at),
            }
        }
    }

    fn add_and_publish(&mut self, account: &AccountKey, name: &str, at: Timestamp) {
        if !matches!(self.add_domain(name, at), Ok(_) | Err(DomainRefusal::Exists)) {
            return self.fail(account, name);
        }
        if let Some(text) = self.tenant.domains.get(name).map(|domain| domain.text.clone()) {
            // The domain is one of the account's, so it is found.
            let _published = self.publish_domain(account, name, text, at);
        }
    }

    fn dns_settles(&self, name: &str, at: Timestamp) -> Timestamp {
        self.dns.get(name).and_then(Lagged::settles_at).map_or(at, |settles| settles.max(at))
    }

    fn look_later(&mut self, account: &AccountKey, name: &str, at: Timestamp) {
        if let Ok(domain) = self.allotted_mut(account, name) {
            domain.verifies_at = Some(at);
        }
    }

    /// The moment that the connector looks into DNS has come.
    pub(crate) fn check_domain(&mut self, account: &AccountKey, name: &str, at: Timestamp) {
        let Ok(domain) = self.allotted_mut(account, name) else { return };
        domain.verifies_at = None;
        let consented = self.connectors.get(account).is_some_and(|it| it.consented(SyncKind::Directory));
        if !consented {
            return;
        }
        match self.verify_domain(name, at) {
            Ok(_) | Err(DomainRefusal::AlreadyVerified) => {}
            Err(DomainRefusal::OfAnotherTenant) => self.fail(account, name),
            Err(_) => self.look_later(account, name, after(at, RETRY_SECONDS)),
        }
    }

    fn fail(&mut self, account: &AccountKey, name: &str) {
        if let Ok(domain) = self.allotted_mut(account, name) {
            domain.set(DomainState::Failed);
        }
    }

    /// With the first spare seat of a product with Teams; without one the connector waits.
    fn add_temporary_user(&mut self, account: &AccountKey, name: &str, at: Timestamp) {
        let Some(sku) = self.spare_product() else { return };
        let new = NewUser {
            account_enabled: true,
            display_name: "Connector activation".to_owned(),
            user_principal_name: format!("connector-activation@{name}"),
            usage_location: Some("DE".to_owned()),
            properties: BTreeMap::new(),
        };
        let Ok((id, _)) = self.create_user(new, at) else { return };
        if let Ok(domain) = self.allotted_mut(account, name) {
            domain.own_user = Some(id);
        }
        let add = [(sku, BTreeSet::new())].into();
        // The seat was counted a moment ago.
        let _assigned = self.assign_license(id, &LicenseChange { add, remove: BTreeSet::new() }, at);
    }

    fn spare_product(&self) -> Option<EntraObjectId> {
        let teams = TEAMS1.parse().ok()?;
        let with_teams = self.tenant.skus.iter().filter(|(_, sku)| sku.plans.contains_key(&teams));
        with_teams.map(|(id, _)| *id).find(|id| self.tenant.free_seats(*id) > 0)
    }

    fn remove_temporary_user(&mut self, account: &AccountKey, name: &str, at: Timestamp) {
        let leaves = self.settings.connector_leaves_temporary_user;
        let Ok(domain) = self.allotted_mut(account, name) else { return };
        if let Some(id) = domain.own_user.take_if(|_| !leaves) {
            self.delete_tenant_user(id, at);
        }
    }
}
