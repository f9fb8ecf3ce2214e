//! Domains of the tenant: added, proved by a TXT record, used, deleted.

use std::collections::BTreeSet;

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::dice;
use super::goto::visible;
use super::settings::after;
use super::tenant::TenantUser;
use super::{Lagged, Tenant, World};
use crate::domain::EntraObjectId;

/// A domain of the tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantDomain {
    /// Whether its ownership is proved.
    pub verified: Lagged<bool>,
    /// The text that Microsoft asks for in a TXT record.
    #[serde(default)]
    pub text: String,
    /// Whether new users get it.
    #[serde(default)]
    pub default: bool,
    /// The `onmicrosoft.com` domain of the tenant.
    #[serde(default)]
    pub initial: bool,
    /// Services that were switched on.
    #[serde(default)]
    pub services: BTreeSet<String>,
    /// When readers see it first; absent: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appears_at: Option<Timestamp>,
    /// A deletion by force that is going on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forced: Option<ForcedDeletion>,
}

/// A deletion by force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ForcedDeletion {
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// When the domain is gone.
    pub ends_at: Timestamp,
    /// Whether signing in is blocked for those who are renamed.
    pub disables_users: bool,
}

/// Why Microsoft refuses something about a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DomainRefusal {
    /// The tenant has no such domain, or does not show it yet.
    NotFound,
    /// The tenant has it already.
    Exists,
    /// No domain has such a name.
    BadName,
    /// DNS does not show the text yet.
    RecordNotFound,
    /// It is verified already.
    AlreadyVerified,
    /// It is verified in another tenant.
    OfAnotherTenant,
    /// Only a verified domain can be changed so.
    NotVerified,
    /// Such a service cannot be switched.
    UnknownService,
    /// The default and the initial domain stay.
    Indispensable,
    /// Something refers to it.
    InUse,
    /// Too much refers to it.
    TooManyReferences,
}

/// What [`World::set_domain_services`] can switch.
const SERVICES: [&str; 3] = ["Email", "OfficeCommunicationsOnline", "Yammer"];
/// Most references of a domain that goes by force.
const MOST_REFERENCES: usize = 1000;

/// Names in comparable form.
pub(crate) fn comparable(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// Whether an address or UPN is in the domain.
pub(crate) fn is_in(address: &str, domain: &str) -> bool {
    address.rsplit_once('@').is_some_and(|(_, of)| of.eq_ignore_ascii_case(domain))
}

impl TenantDomain {
    /// A verified domain that everybody sees.
    pub fn verified() -> Self {
        Self {
            verified: Lagged::settled(true),
            text: String::new(),
            default: false,
            initial: false,
            services: BTreeSet::new(),
            appears_at: None,
            forced: None,
        }
    }
}

impl Tenant {
    /// Whether the tenant has proved a domain; what users were made with is proved.
    pub fn has_verified(&self, name: &str) -> bool {
        match self.domains.get(&comparable(name)) {
            Some(domain) => *domain.verified.truth(),
            None => self.users.values().any(|user| is_in(&user.user_principal_name, name)),
        }
    }

    /// The domains that readers see at `now`; those that only users' names tell of are verified.
    pub fn domains_at(&self, now: Timestamp) -> Vec<(String, TenantDomain)> {
        let told = self.users.values().filter_map(|user| user.user_principal_name.rsplit_once('@'));
        let told: BTreeSet<String> = told.map(|(_, name)| comparable(name)).collect();
        let implied = told.into_iter().filter(|name| !self.domains.contains_key(name));
        let known = self.domains.iter().filter(|(_, domain)| visible(domain.appears_at, now));
        let known = known.map(|(name, domain)| (name.clone(), domain.clone()));
        let mut all: Vec<_> = known.chain(implied.map(|name| (name, TenantDomain::verified()))).collect();
        if !all.iter().any(|(_, domain)| domain.default)
            && let Some((_, first)) = all.first_mut()
        {
            first.default = true;
        }
        all
    }

    /// One of them.
    pub fn domain_at(&self, name: &str, now: Timestamp) -> Result<TenantDomain, DomainRefusal> {
        let found = self.domains_at(now).into_iter().find(|(known, _)| *known == comparable(name));
        found.map(|(_, domain)| domain).ok_or(DomainRefusal::NotFound)
    }

    /// Whether a domain above this one is verified here.
    pub fn has_verified_root(&self, name: &str) -> bool {
        let above = std::iter::successors(name.split_once('.'), |(_, rest)| rest.split_once('.'));
        above.into_iter().any(|(_, root)| root.contains('.') && self.has_verified(root))
    }

    /// Users whose UPN or mail address is in the domain; with `deleted` those that can be restored, too.
    pub fn references(&self, name: &str, deleted: bool) -> Vec<(EntraObjectId, &TenantUser)> {
        let refers = |user: &TenantUser| {
            is_in(&user.user_principal_name, name) || user.mail.as_deref().is_some_and(|mail| is_in(mail, name))
        };
        let users = self.users.iter().map(|(id, user)| (*id, user));
        let gone = self.deleted.iter().filter_map(|(id, gone)| Some((*id, gone.user.as_deref()?)));
        users.chain(gone.filter(|_| deleted)).filter(|(_, user)| refers(user)).collect()
    }

    fn domain_mut(&mut self, name: &str, now: Timestamp) -> Result<&mut TenantDomain, DomainRefusal> {
        let domain = self.domains.get_mut(&comparable(name)).ok_or(DomainRefusal::NotFound)?;
        if visible(domain.appears_at, now) { Ok(domain) } else { Err(DomainRefusal::NotFound) }
    }
}

impl World {
    /// `POST /domains`: below an own verified root it is verified at once.
    pub fn add_domain(&mut self, name: &str, now: Timestamp) -> Result<TenantDomain, DomainRefusal> {
        let name = comparable(name);
        if !is_domain_name(&name) {
            return Err(DomainRefusal::BadName);
        }
        if self.tenant.domains.contains_key(&name) || self.tenant.has_verified(&name) {
            return Err(DomainRefusal::Exists);
        }
        let appears_at = Some(self.graph_seen_at(now));
        let text = self.verification_text();
        let domain = TenantDomain {
            verified: Lagged::settled(self.tenant.has_verified_root(&name)),
            text,
            appears_at,
            ..TenantDomain::verified()
        };
        self.tenant.domains.insert(name, domain.clone());
        self.follow_domains(now);
        Ok(domain)
    }

    /// What Microsoft asks for in a TXT record.
    pub(crate) fn verification_text(&mut self) -> String {
        let token = dice::token(self.settings.seed, &mut self.draws);
        format!("MS=ms{}", &token[..8])
    }

    /// `POST /domains/{id}/verify`: looks for the text in DNS.
    pub fn verify_domain(&mut self, name: &str, now: Timestamp) -> Result<TenantDomain, DomainRefusal> {
        let seen_at = self.graph_seen_at(now);
        let shown = self.dns.get(&comparable(name)).and_then(|record| record.read(now).clone());
        let elsewhere = self.tenant.verified_elsewhere.contains(&comparable(name));
        let domain = self.tenant.domain_mut(name, now)?;
        if *domain.verified.truth() {
            return Err(DomainRefusal::AlreadyVerified);
        }
        if elsewhere {
            return Err(DomainRefusal::OfAnotherTenant);
        }
        if shown.as_ref() != Some(&domain.text) {
            return Err(DomainRefusal::RecordNotFound);
        }
        domain.verified.set(true, now, seen_at);
        let verified = domain.clone();
        self.follow_domains(now);
        Ok(verified)
    }

    /// `PATCH /domains/{id}`.
    pub fn set_domain_services(
        &mut self,
        name: &str,
        services: BTreeSet<String>,
        now: Timestamp,
    ) -> Result<(), DomainRefusal> {
        if !services.iter().all(|service| SERVICES.contains(&service.as_str())) {
            return Err(DomainRefusal::UnknownService);
        }
        let domain = self.tenant.domain_mut(name, now)?;
        if !domain.verified.truth() {
            return Err(DomainRefusal::NotVerified);
        }
        domain.services = services;
        self.follow_domains(now);
        Ok(())
    }

    /// `DELETE /domains/{id}`.
    pub fn delete_domain(&mut self, name: &str, now: Timestamp) -> Result<(), DomainRefusal> {
        let domain = self.tenant.domain_at(name, now)?;
        if domain.default || domain.initial {
            return Err(DomainRefusal::Indispensable);
        }
        if !self.tenant.references(name, self.settings.graph.soft_deleted_blocks_domain).is_empty() {
            return Err(DomainRefusal::InUse);
        }
        self.tenant.domains.remove(&comparable(name));
        self.follow_domains(now);
        Ok(())
    }

    /// `POST /domains/{id}/forceDelete`: takes its time.
    pub fn force_delete_domain(
        &mut self,
        name: &str,
        disables_users: bool,
        now: Timestamp,
    ) -> Result<(), DomainRefusal> {
        let domain = self.tenant.domain_at(name, now)?;
        if domain.default || domain.initial {
            return Err(DomainRefusal::Indispensable);
        }
        if self.tenant.references(name, true).len() > MOST_REFERENCES {
            return Err(DomainRefusal::TooManyReferences);
        }
        let ends_at = after(now, self.settings.force_delete_seconds);
        let domain = self.tenant.domains.entry(comparable(name)).or_insert(domain);
        domain.forced.get_or_insert(ForcedDeletion { asked_at: now, ends_at, disables_users });
        Ok(())
    }

    /// The domain goes, and who had a name in it has one of the initial domain.
    pub(crate) fn end_forced_deletion(&mut self, name: &str, at: Timestamp) {
        let seen_at = self.graph_seen_at(at);
        let Some(gone) = self.tenant.domains.remove(name) else { return };
        let disables = gone.forced.is_some_and(|forced| forced.disables_users);
        let initial = self.tenant.initial_domain();
        let users: Vec<EntraObjectId> = self.tenant.references(name, false).into_iter().map(|(id, _)| id).collect();
        for id in users {
            if let Some(user) = self.tenant.users.get_mut(&id) {
                user.move_to(name, &initial);
                user.account_enabled &= !disables;
            }
            self.tenant.touch(id, Some(seen_at));
        }
        for gone in self.tenant.deleted.values_mut().filter_map(|gone| gone.user.as_mut()) {
            gone.move_to(name, &initial);
        }
        self.follow_domains(at);
    }

    /// Puts a TXT record into DNS, or takes it away; it is seen after the lag.
    pub(crate) fn set_dns_text(&mut self, name: &str, text: Option<String>, now: Timestamp, seen_at: Timestamp) {
        let record = self.dns.entry(comparable(name)).or_default();
        if *record.truth() != text {
            record.set(text, now, seen_at);
        }
    }
}

impl Tenant {
    fn initial_domain(&self) -> String {
        let initial = self.domains.iter().find(|(_, domain)| domain.initial).map(|(name, _)| name.clone());
        initial.unwrap_or_else(|| "tenant.onmicrosoft.com".to_owned())
    }
}

impl TenantUser {
    fn move_to(&mut self, from: &str, to: &str) {
        let moved = |address: &str| {
            let (local, _) = address.rsplit_once('@')?;
            is_in(address, from).then(|| format!("{local}@{to}"))
        };
        if let Some(name) = moved(&self.user_principal_name) {
            self.user_principal_name = name;
        }
        if let Some(mail) = self.mail.as_deref().and_then(moved) {
            self.mail = Some(mail);
        }
    }
}

/// Labels of letters, digits and hyphens, at least two, at most 63 characters each.
fn is_domain_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.contains('.') && name.len() <= 253 && name.split('.').all(label)
}
