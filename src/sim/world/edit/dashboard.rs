//! What a colleague does in the connector's dashboard, beside the operator.

use k8s_openapi::jiff::Timestamp;

use super::WorldEdit;
use crate::clients::connector::wire::PutUser;
use crate::domain::{AccountKey, OrganizationId, UserKey};
use crate::sim::world::{Refusal, World};

impl World {
    pub(super) fn edit_pair(&mut self, edit: WorldEdit, now: Timestamp) -> Result<(), Refusal> {
        match edit {
            WorldEdit::AddPair { organization, user, teams_user, external_id, number } => {
                let (account, pbx) = self.pbx_or_first(organization)?;
                let (user, teams_user_id) = (self.find_goto_user(&user)?, self.find_teams_user(&teams_user)?);
                let put = PutUser {
                    teams_user_id,
                    external_id: external_id.clone().unwrap_or_default(),
                    phone_number: number,
                };
                self.put_user(&account, pbx, &user, &put, now)?;
                let pair = self.pbx_mut(&account, pbx)?.users.get_mut(&user);
                pair.ok_or(Refusal::NotFound("user"))?.external_id = external_id;
            }
            WorldEdit::SetPairEnabled { organization, user, enabled } => {
                let (account, pbx, user) = self.find_pair(organization, &user)?;
                self.set_user_enabled(&account, pbx, &user, enabled, now)?;
            }
            WorldEdit::SetPairNumber { organization, user, number } => {
                let (account, pbx, user) = self.find_pair(organization, &user)?;
                self.set_user_number(&account, pbx, &user, number.as_deref(), now)?;
            }
            WorldEdit::RemovePair { organization, user } => {
                let (account, pbx, user) = self.find_pair(organization, &user)?;
                self.set_user_enabled(&account, pbx, &user, false, now)?;
                self.delete_user(&account, pbx, &user, now)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// A pair by key or address of its GoTo user, also of one whom GoTo no longer knows.
    fn find_pair(
        &self,
        organization: Option<OrganizationId>,
        name: &str,
    ) -> Result<(AccountKey, OrganizationId, UserKey), Refusal> {
        let (account, pbx) = self.pbx_or_first(organization)?;
        let known = self.find_goto_user(name).ok();
        let mut pairs = self.pbx(&account, pbx)?.users.iter();
        let found = pairs.find(|(key, pair)| {
            known.as_ref() == Some(*key) || key.as_str() == name || pair.last_email.as_deref() == Some(name)
        });
        let key = found.map(|(key, _)| key.clone()).ok_or(Refusal::NotFound("pair"))?;
        Ok((account, pbx, key))
    }
}
