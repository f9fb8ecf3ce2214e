//! Further administrators of the connector (guide step 14).

use k8s_openapi::jiff::Timestamp;

use super::account::invitation;
use super::connector::{Administrator, Purpose, Sent};
use super::settings::after;
use super::{Refusal, World};
use crate::clients::connector::wire;
use crate::domain::AccountKey;

/// The role that must be held by at least one administrator.
const OWNER: &str = "Owner";

impl World {
    /// `GET A/administrators`.
    pub fn administrators(&self, account: &AccountKey, now: Timestamp) -> Result<Vec<wire::Administrator>, Refusal> {
        Ok(self.connector(account)?.administrators.iter().map(|(email, it)| it.view(email, now)).collect())
    }

    /// `PUT A/administrators/{email}`: adds one or changes names and role; sends no mail.
    pub fn put_administrator(
        &mut self,
        account: &AccountKey,
        email: &str,
        names: [Option<String>; 2],
        role: String,
    ) -> Result<(), Refusal> {
        if role != OWNER {
            self.keep_an_owner(account, email)?;
        }
        let [first_name, last_name] = names.map(Option::unwrap_or_default);
        let administrators = &mut self.connector_mut(account)?.administrators;
        let invitation = administrators.get(email).and_then(|old| old.invitation.clone());
        administrators.insert(email.to_owned(), Administrator { first_name, last_name, role, invitation });
        Ok(())
    }

    /// `DELETE A/administrators/{email}`.
    pub fn delete_administrator(&mut self, account: &AccountKey, email: &str) -> Result<(), Refusal> {
        self.keep_an_owner(account, email)?;
        let removed = self.connector_mut(account)?.administrators.remove(email);
        removed.map(|_| ()).ok_or(Refusal::NotFound("administrator"))
    }

    /// `POST A/administrators/{email}/invitation`.
    pub fn invite_administrator(
        &mut self,
        account: &AccountKey,
        email: &str,
        now: Timestamp,
    ) -> Result<wire::Invitation, Refusal> {
        let expires_at = after(now, self.settings.invitation_seconds);
        let connector = self.connector_mut(account)?;
        let administrator = connector.administrators.get_mut(email).ok_or(Refusal::NotFound("administrator"))?;
        if administrator.invitation.as_ref().is_some_and(|sent| sent.accepted_at.is_some()) {
            return Err(Refusal::AlreadyAccepted);
        }
        let sent = Sent { sent_at: now, expires_at, accepted_at: None };
        administrator.invitation = Some(sent.clone());
        let purpose = Purpose::Administrator { email: email.to_owned() };
        connector.links.retain(|_, link| link.purpose != purpose);
        self.make_link(account, purpose, now, expires_at)?;
        Ok(invitation(Some(&sent), now))
    }

    /// The managing user owns the account too, once the invitation was accepted.
    fn keep_an_owner(&self, account: &AccountKey, email: &str) -> Result<(), Refusal> {
        let connector = self.connector(account)?;
        let is_owner = connector.administrators.get(email).is_some_and(|it| it.role == OWNER);
        let accepted = connector.record.as_ref().and_then(|it| it.invitation.as_ref()?.accepted_at).is_some();
        let others = connector.administrators.iter().any(|(other, it)| other != email && it.role == OWNER);
        if is_owner && !accepted && !others { Err(Refusal::LastOwner) } else { Ok(()) }
    }
}

impl Administrator {
    fn view(&self, email: &str, now: Timestamp) -> wire::Administrator {
        let wire::Invitation { state, sent_at, expires_at } = invitation(self.invitation.as_ref(), now);
        wire::Administrator { email: email.to_owned(), role: self.role.clone(), state, invited_at: sent_at, expires_at }
    }
}
