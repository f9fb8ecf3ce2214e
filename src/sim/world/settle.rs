//! What is due happens, in order of time.

use k8s_openapi::jiff::Timestamp;

use super::World;
use super::settings::{Humans, after};
use crate::clients::connector::wire::{DomainState, SyncKind};
use crate::domain::{AccountKey, EntraObjectId, OrganizationId};

/// An effect that waits for its moment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// A human follows a link.
    Link(AccountKey, String),
    /// A directory import or a push ends.
    Run(AccountKey, usize),
    /// A verification ends.
    Verification(AccountKey, OrganizationId),
    /// Microsoft has activated a domain.
    Activation(AccountKey, String),
    /// The connector looks whether DNS shows the text of its domain.
    DomainCheck(AccountKey, String),
    /// A domain leaves the tenant by force.
    ForcedDeletion(String),
    /// A deleted user can no longer be restored.
    Purge(EntraObjectId),
}

impl World {
    /// Applies every effect that is due up to `now`.
    pub fn settle(&mut self, now: Timestamp) {
        while let Some((at, due)) = self.first_due().filter(|(at, _)| *at <= now) {
            self.apply(due, at);
            self.follow_domains(at);
        }
        self.follow_domains(now);
    }

    /// When the next effect is due or the next license or registration comes; `None`: nothing will happen by itself.
    pub fn next_event(&self, now: Timestamp) -> Option<Timestamp> {
        let pbxs = self.connectors.values().flat_map(|connector| connector.pbxs.values());
        let quiet = pbxs.flat_map(|pbx| {
            pbx.releasing.iter().copied().chain(pbx.users.values().filter_map(|pair| pair.registered_at))
        });
        let effects = self.dues().map(|(at, _)| at);
        quiet.chain(effects).filter(|at| *at > now).min()
    }

    /// When an automatic human acts next; `None`: nothing waits for one.
    pub fn next_human(&self) -> Option<Timestamp> {
        self.links_due().map(|(at, _)| at).min()
    }

    fn first_due(&self) -> Option<(Timestamp, Due)> {
        self.dues().min()
    }

    fn dues(&self) -> impl Iterator<Item = (Timestamp, Due)> {
        let of_connectors = self.runs_due().chain(self.links_due()).chain(self.verifications_due());
        of_connectors.chain(self.domains_due()).chain(self.forced_deletions_due()).chain(self.purges_due())
    }

    fn runs_due(&self) -> impl Iterator<Item = (Timestamp, Due)> {
        self.connectors.iter().flat_map(|(account, connector)| {
            let open = connector.runs.iter().enumerate().filter(|(_, run)| run.end.is_none());
            open.map(|(index, run)| (run.ends_at, Due::Run(account.clone(), index)))
        })
    }

    fn links_due(&self) -> impl Iterator<Item = (Timestamp, Due)> {
        let wait = match self.settings.humans {
            Humans::Manual => None,
            Humans::Auto { after_seconds } => Some(after_seconds),
        };
        let links = self
            .connectors
            .iter()
            .flat_map(|(account, connector)| connector.links.iter().map(move |(token, link)| (account, token, link)));
        links.filter_map(move |(account, token, link)| {
            let at = after(link.made_at, wait?);
            let alive = link.used_at.is_none() && at < link.expires_at;
            alive.then(|| (at, Due::Link(account.clone(), token.clone())))
        })
    }

    fn verifications_due(&self) -> impl Iterator<Item = (Timestamp, Due)> {
        self.connectors.iter().flat_map(|(account, connector)| {
            connector.pbxs.iter().filter_map(|(organization, pbx)| {
                let run = pbx.verification.as_ref().filter(|run| !run.ended)?;
                Some((run.ends_at, Due::Verification(account.clone(), *organization)))
            })
        })
    }

    fn domains_due(&self) -> impl Iterator<Item = (Timestamp, Due)> {
        self.connectors.iter().flat_map(|(account, connector)| {
            connector.domains.iter().flat_map(|(name, domain)| {
                let activates = domain.activates_at.filter(|_| domain.state == DomainState::Activating);
                let activation = activates.map(|at| (at, Due::Activation(account.clone(), name.clone())));
                let check = domain.verifies_at.map(|at| (at, Due::DomainCheck(account.clone(), name.clone())));
                activation.into_iter().chain(check)
            })
        })
    }

    fn forced_deletions_due(&self) -> impl Iterator<Item = (Timestamp, Due)> {
        let forced = self.tenant.domains.iter().filter_map(|(name, domain)| Some((name, domain.forced.as_ref()?)));
        forced.map(|(name, forced)| (forced.ends_at, Due::ForcedDeletion(name.clone())))
    }

    fn purges_due(&self) -> impl Iterator<Item = (Timestamp, Due)> {
        self.tenant.purges_due().map(|(at, id)| (at, Due::Purge(id)))
    }

    fn apply(&mut self, due: Due, at: Timestamp) {
        match due {
            Due::Link(account, token) => self.click(&account, &token, at),
            Due::Run(account, index) => self.end_run(&account, index, at),
            Due::Verification(account, organization) => self.end_verification(&account, organization),
            Due::ForcedDeletion(name) => self.end_forced_deletion(&name, at),
            Due::Purge(id) => {
                // It is in the list of those that are due, so it is there.
                let _purged = self.tenant.purge_user(id, at);
            }
            Due::Activation(account, name) => self.end_activation(&account, &name),
            Due::DomainCheck(account, name) => self.check_domain(&account, &name, at),
        }
    }

    fn end_run(&mut self, account: &AccountKey, index: usize, at: Timestamp) {
        let kind = self.connectors.get(account).and_then(|it| it.runs.get(index)).map(|run| run.kind);
        match kind {
            Some(SyncKind::Directory) => self.end_import(account, index, at),
            Some(SyncKind::Push) => self.end_push(account, index, at),
            None => {}
        }
    }
}
