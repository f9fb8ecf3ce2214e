//! Set-up, entitlement and consents, as the vendor and the humans change them.

use k8s_openapi::jiff::Timestamp;

use super::WorldEdit;
use crate::clients::connector::wire::{DomainState, VerificationCheck};
use crate::sim::world::connector::{Bought, VerificationRun};
use crate::sim::world::settings::after;
use crate::sim::world::{Refusal, World};

impl World {
    pub(super) fn edit_connector(&mut self, edit: WorldEdit, now: Timestamp) -> Result<(), Refusal> {
        match edit {
            WorldEdit::RevokeConsent { account, group } => {
                let account = self.account_or_first(account)?;
                self.revoke_consent(&account, group.as_deref())?;
            }
            WorldEdit::GrantConsent { account, group } => {
                let (account, who) = (self.account_or_first(account)?, self.settings.global_administrator.clone());
                let connector = self.connector_mut(&account)?;
                let groups: Vec<String> = connector.consents.iter().map(|it| it.group.clone()).collect();
                for name in groups.iter().filter(|name| group.as_ref().is_none_or(|group| group == *name)) {
                    connector.grant(name, who.clone(), now);
                }
            }
            WorldEdit::SetDomain { account, state } => {
                let account = self.account_or_first(account)?;
                let activates_at = after(now, self.settings.domain_activation_seconds);
                for domain in self.connector_mut(&account)?.domains.values_mut() {
                    domain.set(state);
                    if state == DomainState::Activating {
                        (domain.activating_since, domain.activates_at) = (Some(now), Some(activates_at));
                    }
                }
            }
            WorldEdit::ClearImports { account } => {
                let account = self.account_or_first(account)?;
                self.connector_mut(&account)?.forget_imports();
            }
            WorldEdit::ExpireInvitation { account } => {
                let account = self.account_or_first(account)?;
                let record = self.connector_mut(&account)?.record.as_mut().ok_or(Refusal::AccountRequired)?;
                if let Some(sent) = &mut record.invitation {
                    sent.accepted_at = None;
                    sent.expires_at = sent.expires_at.min(now);
                }
            }
            WorldEdit::SetConnectorTokens { account, tokens } => {
                let account = self.account_or_first(account)?;
                self.connector_mut(&account)?.tokens = tokens.into_iter().collect();
            }
            other => self.edit_pbx(other, now)?,
        }
        Ok(())
    }

    fn edit_pbx(&mut self, edit: WorldEdit, now: Timestamp) -> Result<(), Refusal> {
        match edit {
            WorldEdit::SetLicenses { organization, total } => {
                let pbx = self.first_pbx_mut(organization)?;
                pbx.entitlement.as_mut().ok_or(Refusal::NotVisible)?.licenses_total = total;
            }
            WorldEdit::SetEntitlement { organization, visible, active } => {
                let pbx = self.first_pbx_mut(organization)?;
                let licenses_total = pbx.entitlement.as_ref().map_or(pbx.licenses_hidden, |it| it.licenses_total);
                pbx.licenses_hidden = licenses_total;
                pbx.entitlement = visible.then_some(Bought { active, licenses_total });
            }
            WorldEdit::SetSecureCalling { user, on } => self.set_secure_calling(&user, on)?,
            WorldEdit::SetServices { organization, sync_enabled, enabled } => {
                let pbx = self.first_pbx_mut(organization)?;
                pbx.sync_enabled = sync_enabled.unwrap_or(pbx.sync_enabled);
                pbx.service_enabled = enabled.unwrap_or(pbx.service_enabled);
            }
            WorldEdit::FailVerification { organization } => {
                let failed = VerificationCheck { name: "Domain".into(), passed: false, message: "no answer".into() };
                let run = VerificationRun { started_at: now, ends_at: now, ended: true, checks: vec![failed] };
                self.first_pbx_mut(organization)?.verification = Some(run);
            }
            WorldEdit::FailNextVerification { organization } => {
                self.first_pbx_mut(organization)?.next_verification_fails = true;
            }
            WorldEdit::ClearVerification { organization } => self.first_pbx_mut(organization)?.verification = None,
            WorldEdit::UnbindPbx { organization } => self.first_pbx_mut(organization)?.bound_at = None,
            WorldEdit::BindPbx { organization } => self.first_pbx_mut(organization)?.bound_at = Some(now),
            _ => {}
        }
        Ok(())
    }
}
