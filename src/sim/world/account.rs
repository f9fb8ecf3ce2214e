//! Cards 1 to 3: account record, invitation, PBX binding, the two switches.

use k8s_openapi::jiff::Timestamp;

use super::connector::{Connector, Pbx, Purpose, Record, Sent};
use super::settings::after;
use super::{Refusal, World};
use crate::clients::connector::wire;
use crate::domain::{AccountKey, OrganizationId};

impl World {
    /// The connector of an account.
    pub fn connector(&self, account: &AccountKey) -> Result<&Connector, Refusal> {
        self.connectors.get(account).ok_or(Refusal::NotFound("account"))
    }

    pub(crate) fn connector_mut(&mut self, account: &AccountKey) -> Result<&mut Connector, Refusal> {
        self.connectors.get_mut(account).ok_or(Refusal::NotFound("account"))
    }

    /// A PBX that the connector of the account knows.
    pub fn pbx(&self, account: &AccountKey, organization: OrganizationId) -> Result<&Pbx, Refusal> {
        self.connector(account)?.pbxs.get(&organization).ok_or(Refusal::NotFound("PBX"))
    }

    pub(crate) fn pbx_mut(&mut self, account: &AccountKey, pbx: OrganizationId) -> Result<&mut Pbx, Refusal> {
        self.connector_mut(account)?.pbxs.get_mut(&pbx).ok_or(Refusal::NotFound("PBX"))
    }

    /// `GET P/entitlement`.
    pub fn entitlement(
        &self,
        account: &AccountKey,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<wire::Entitlement, Refusal> {
        let pbx = self.pbx(account, organization)?;
        let bought = pbx.entitlement.as_ref().ok_or(Refusal::NotVisible)?;
        let licenses_in_use = pbx.licenses_in_use(now);
        Ok(wire::Entitlement { active: bought.active, licenses_total: bought.licenses_total, licenses_in_use })
    }

    /// `GET A`.
    pub fn account_record(&self, account: &AccountKey, now: Timestamp) -> Result<wire::AccountRecord, Refusal> {
        let connector = self.connector(account)?;
        let record = connector.record.as_ref().ok_or(Refusal::NotFound("account record"))?;
        let bound = |(id, pbx): (&OrganizationId, &Pbx)| {
            pbx.bound_at.map(|bound_at| wire::BoundPbx { organization_id: *id, bound_at })
        };
        Ok(wire::AccountRecord {
            manager: record.manager.clone(),
            invitation: invitation(record.invitation.as_ref(), now),
            pbxs: connector.pbxs.iter().filter_map(bound).collect(),
        })
    }

    /// `PUT A`: sends no mail; after acceptance the manager stays.
    pub fn put_account_record(&mut self, account: &AccountKey, manager: wire::Manager) -> Result<(), Refusal> {
        let connector = self.connector_mut(account)?;
        match &mut connector.record {
            None => connector.record = Some(Record { manager, invitation: None }),
            Some(record) if record.manager == manager => {}
            Some(record) if record.accepted() => return Err(Refusal::AlreadyAccepted),
            Some(record) => record.manager = manager,
        }
        Ok(())
    }

    /// `DELETE A`.
    pub fn delete_account_record(&mut self, account: &AccountKey) -> Result<(), Refusal> {
        let connector = self.connector_mut(account)?;
        if connector.pbxs.values().any(|pbx| !pbx.users.is_empty()) {
            return Err(Refusal::UsersConnected);
        }
        connector.record.take().map(|_| ()).ok_or(Refusal::NotFound("account record"))
    }

    /// `POST A/invitation`.
    pub fn send_invitation(&mut self, account: &AccountKey, now: Timestamp) -> Result<wire::Invitation, Refusal> {
        let expires_at = after(now, self.settings.invitation_seconds);
        let connector = self.connector_mut(account)?;
        let record = connector.record.as_mut().ok_or(Refusal::AccountRequired)?;
        if record.accepted() {
            return Err(Refusal::AlreadyAccepted);
        }
        let sent = Sent { sent_at: now, expires_at, accepted_at: None };
        record.invitation = Some(sent.clone());
        connector.links.retain(|_, link| link.purpose != Purpose::Invitation);
        self.make_link(account, Purpose::Invitation, now, expires_at)?;
        Ok(invitation(Some(&sent), now))
    }

    /// `PUT P`: binds one PBX of the account.
    pub fn bind_pbx(&mut self, account: &AccountKey, pbx: OrganizationId, now: Timestamp) -> Result<(), Refusal> {
        let known = self.goto.accounts.get(account).is_some_and(|it| it.organizations.contains_key(&pbx));
        let connector = self.connector_mut(account)?;
        if connector.record.is_none() {
            return Err(Refusal::AccountRequired);
        }
        if !known {
            return Err(Refusal::NotFound("PBX"));
        }
        connector.pbxs.entry(pbx).or_default().bound_at.get_or_insert(now);
        Ok(())
    }

    /// `DELETE P`.
    pub fn unbind_pbx(&mut self, account: &AccountKey, organization: OrganizationId) -> Result<(), Refusal> {
        let pbx = self.pbx_mut(account, organization)?;
        if !pbx.users.is_empty() {
            return Err(Refusal::UsersConnected);
        }
        pbx.bound_at = None;
        pbx.sync_enabled = false;
        pbx.service_enabled = false;
        Ok(())
    }

    /// `PATCH P/services/teams`: Enable Sync comes before Enable Service.
    pub fn set_services(
        &mut self,
        account: &AccountKey,
        organization: OrganizationId,
        sync_enabled: Option<bool>,
        enabled: Option<bool>,
    ) -> Result<wire::TeamsService, Refusal> {
        let pbx = self.pbx_mut(account, organization)?;
        if pbx.bound_at.is_none() {
            return Err(Refusal::PbxRequired);
        }
        let (import, service) = (sync_enabled.unwrap_or(pbx.sync_enabled), enabled.unwrap_or(pbx.service_enabled));
        if service && !import {
            return Err(Refusal::SyncMustBeEnabledFirst);
        }
        (pbx.sync_enabled, pbx.service_enabled) = (import, service);
        Ok(pbx.services())
    }
}

impl Record {
    fn accepted(&self) -> bool {
        self.invitation.as_ref().is_some_and(|sent| sent.accepted_at.is_some())
    }
}

impl Pbx {
    /// Licenses of connected users, and of removed ones whose license is not free yet.
    pub fn licenses_in_use(&self, now: Timestamp) -> u32 {
        let releasing = self.releasing.iter().filter(|at| now < **at).count();
        u32::try_from(self.users.len() + releasing).unwrap_or(u32::MAX)
    }

    /// `GET P/services/teams`.
    pub fn services(&self) -> wire::TeamsService {
        wire::TeamsService { sync_enabled: self.sync_enabled, enabled: self.service_enabled }
    }
}

/// The answer for an invitation as it stands at `now`.
pub(crate) fn invitation(sent: Option<&Sent>, now: Timestamp) -> wire::Invitation {
    let state = match sent {
        None => wire::InvitationState::NotSent,
        Some(sent) if sent.accepted_at.is_some() => wire::InvitationState::Accepted,
        Some(sent) if now >= sent.expires_at => wire::InvitationState::Expired,
        Some(_) => wire::InvitationState::Sent,
    };
    wire::Invitation { state, sent_at: sent.map(|it| it.sent_at), expires_at: sent.map(|it| it.expires_at) }
}
