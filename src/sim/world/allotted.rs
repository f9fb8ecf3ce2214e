//! The domains that the connector allotted: published by it, verified and activated by Microsoft.

use k8s_openapi::jiff::Timestamp;

use super::connector::DomainRecord;
use super::domains::{comparable, is_in};
use super::settings::after;
use super::{GraphSwitches, ManagedBy, Refusal, Tenant, World};
use crate::clients::connector::wire::{self, DomainState};
use crate::domain::AccountKey;

impl World {
    /// `GET A/domains`.
    pub fn domains(&self, account: &AccountKey) -> Result<Vec<wire::Domain>, Refusal> {
        Ok(self.connector(account)?.domains.iter().map(|(name, domain)| self.domain_view(name, domain)).collect())
    }

    /// `PUT A/domains/{name}/verification`: publishes the TXT text, which DNS shows after its lag.
    pub fn publish_domain(
        &mut self,
        account: &AccountKey,
        name: &str,
        text: String,
        now: Timestamp,
    ) -> Result<wire::Domain, Refusal> {
        let seen_at = after(now, self.settings.dns_lag_seconds);
        let domain = self.allotted_mut(account, name)?;
        domain.text = Some(text.clone());
        if domain.state == DomainState::Reserved {
            domain.state = DomainState::Published;
        }
        self.set_dns_text(name, Some(text), now, seen_at);
        self.follow_domains(now);
        Ok(self.domain_view(name, &self.connector(account)?.domains[name]))
    }

    pub(crate) fn allotted_mut(&mut self, account: &AccountKey, name: &str) -> Result<&mut DomainRecord, Refusal> {
        self.connector_mut(account)?.domains.get_mut(name).ok_or(Refusal::NotFound("domain"))
    }

    /// A domain with everybody in it.
    fn domain_view(&self, name: &str, domain: &DomainRecord) -> wire::Domain {
        let inside = self.tenant.users.iter().filter(|(_, user)| is_in(&user.user_principal_name, name));
        let temporary_users = inside.map(|(id, _)| id.to_string()).collect();
        wire::Domain { name: name.to_owned(), state: domain.state, temporary_users }
    }

    /// The connector sees what became of its domains, and does its part where it manages them: after everything that could
    /// have changed something.
    pub(crate) fn follow_domains(&mut self, at: Timestamp) {
        let (seconds, switches) = (self.settings.domain_activation_seconds, self.settings.graph);
        let tenant = &self.tenant;
        let emptied = |name: &str| tenant.knows(name) && !tenant.activates(name, switches);
        for (name, domain) in self.connectors.values_mut().flat_map(|connector| connector.domains.iter_mut()) {
            if matches!(domain.state, DomainState::Reserved | DomainState::Published) && tenant.has_verified(name) {
                domain.set(DomainState::Verified);
            }
            match domain.state {
                DomainState::Verified if tenant.activates(name, switches) => {
                    domain.set(DomainState::Activating);
                    domain.activating_since = Some(at);
                    domain.activates_at = Some(after(at, seconds));
                }
                DomainState::Activating if emptied(name) => domain.set(DomainState::Verified),
                DomainState::Activated if !switches.activation_survives_user_removal && emptied(name) => {
                    domain.set(DomainState::Verified);
                }
                _ => {}
            }
        }
        if self.settings.domains_managed_by == ManagedBy::Connector {
            self.attend_domains(at);
        }
    }

    /// Microsoft has activated a domain: the connector is the only one who sees it.
    pub(crate) fn end_activation(&mut self, account: &AccountKey, name: &str) {
        if let Ok(domain) = self.allotted_mut(account, name) {
            domain.set(DomainState::Activated);
        }
    }
}

impl DomainRecord {
    /// Another state, without the times of the former one.
    pub(crate) fn set(&mut self, state: DomainState) {
        self.state = state;
        (self.activating_since, self.activates_at, self.verifies_at) = (None, None, None);
    }
}

impl Tenant {
    /// Whether a domain is in the tenant; what an edit says about others is not looked after.
    fn knows(&self, name: &str) -> bool {
        self.domains.contains_key(&comparable(name))
    }

    /// Whether a user with Teams is in a verified domain.
    fn activates(&self, name: &str, switches: GraphSwitches) -> bool {
        let Some(domain) = self.domains.get(&comparable(name)) else { return false };
        let switched_on = !switches.sip_service_needed || domain.services.contains("OfficeCommunicationsOnline");
        let inside = || self.users.values().any(|user| is_in(&user.user_principal_name, name) && user.has_teams());
        *domain.verified.truth() && switched_on && inside()
    }
}
