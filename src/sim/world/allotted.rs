//! The domains that the connector allotted: published by it, verified and activated by Microsoft.

use k8s_openapi::jiff::Timestamp;

use super::connector::DomainRecord;
use super::settings::after;
use super::{Refusal, World};
use crate::clients::connector::wire::{self, DomainState};
use crate::domain::AccountKey;

impl World {
    /// `GET A/domains`.
    pub fn domains(&self, account: &AccountKey) -> Result<Vec<wire::Domain>, Refusal> {
        Ok(self.connector(account)?.domains.iter().map(|(name, domain)| domain.view(name)).collect())
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
        Ok(self.connector(account)?.domains[name].view(name))
    }

    fn allotted_mut(&mut self, account: &AccountKey, name: &str) -> Result<&mut DomainRecord, Refusal> {
        self.connector_mut(account)?.domains.get_mut(name).ok_or(Refusal::NotFound("domain"))
    }

    /// The connector sees what became of its domains in the tenant: after everything that could have changed it.
    pub(crate) fn follow_domains(&mut self, _at: Timestamp) {
        let tenant = &self.tenant;
        for (name, domain) in self.connectors.values_mut().flat_map(|connector| connector.domains.iter_mut()) {
            let waits = matches!(domain.state, DomainState::Reserved | DomainState::Published);
            if waits && tenant.has_verified(name) {
                domain.state = DomainState::Verified;
            }
        }
    }
}

impl DomainRecord {
    fn view(&self, name: &str) -> wire::Domain {
        wire::Domain { name: name.to_owned(), state: self.state, temporary_users: self.temporary_users.clone() }
    }
}
