//! What humans do: they follow links, or take back what they gave.

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::connector::{Connector, Link, Purpose};
use super::dice;
use super::settings::after;
use super::{Refusal, World};
use crate::clients::connector::wire::ConsentState;
use crate::domain::AccountKey;

/// An action of `POST /humans/{action}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum HumanAction {
    /// Follows the link of the managing user's invitation.
    AcceptInvitation {},
    /// Follows the links of the invitations of further administrators.
    AcceptAdministrator {
        /// Only this one's.
        #[serde(default)]
        email: Option<String>,
    },
    /// Follows the links of the consent groups.
    GrantConsent {
        /// Only this group.
        #[serde(default)]
        group: Option<String>,
    },
    /// Takes a consent back.
    RevokeConsent {
        /// Only this group.
        #[serde(default)]
        group: Option<String>,
    },
    /// Follows the link of the sign-in for pushes.
    SignInForPush {},
    /// Lets every open link and the sign-in for pushes expire.
    Expire {},
    /// Follows one link.
    Follow {
        /// The token in it.
        token: String,
    },
}

impl World {
    /// A human of the account acts; `LinkExpired` when no link waits for that.
    pub fn human(&mut self, account: &AccountKey, action: &HumanAction, now: Timestamp) -> Result<(), Refusal> {
        match action {
            HumanAction::AcceptInvitation {} => self.follow_all(account, now, |it| *it == Purpose::Invitation),
            HumanAction::AcceptAdministrator { email } => self.follow_all(account, now, |it| match it {
                Purpose::Administrator { email: of } => email.as_ref().is_none_or(|email| email == of),
                _ => false,
            }),
            HumanAction::GrantConsent { group } => self.follow_all(account, now, |it| match it {
                Purpose::Consent { group: of } => group.as_ref().is_none_or(|group| group == of),
                _ => false,
            }),
            HumanAction::SignInForPush {} => self.follow_all(account, now, |it| *it == Purpose::PushSignIn),
            HumanAction::RevokeConsent { group } => self.revoke_consent(account, group.as_deref()),
            HumanAction::Expire {} => self.expire(account, now),
            HumanAction::Follow { token } => self.follow(token, now).map(|_| ()),
        }
    }

    /// A link and its account, by the token in it.
    pub fn link(&self, token: &str) -> Option<(&AccountKey, &Link)> {
        self.connectors.iter().find_map(|(account, connector)| Some((account, connector.links.get(token)?)))
    }

    /// Follows one link, as a click on its page does.
    pub fn follow(&mut self, token: &str, now: Timestamp) -> Result<Purpose, Refusal> {
        let (account, link) = self.link(token).ok_or(Refusal::NotFound("link"))?;
        if link.used_at.is_some() || now >= link.expires_at {
            return Err(Refusal::LinkExpired);
        }
        let (account, purpose) = (account.clone(), link.purpose.clone());
        self.click(&account, token, now);
        Ok(purpose)
    }

    fn follow_all(
        &mut self,
        account: &AccountKey,
        now: Timestamp,
        wanted: impl Fn(&Purpose) -> bool,
    ) -> Result<(), Refusal> {
        let links = &self.connector(account)?.links;
        let alive = |link: &Link| link.used_at.is_none() && now < link.expires_at && wanted(&link.purpose);
        let tokens: Vec<String> = links.iter().filter(|(_, it)| alive(it)).map(|(token, _)| token.clone()).collect();
        if tokens.is_empty() {
            return Err(Refusal::LinkExpired);
        }
        for token in tokens {
            self.click(account, &token, now);
        }
        Ok(())
    }

    /// The effect of following a link that works.
    pub(crate) fn click(&mut self, account: &AccountKey, token: &str, at: Timestamp) {
        let (who, sign_in_ends) =
            (self.settings.global_administrator.clone(), after(at, self.settings.push_authorization_seconds));
        let Some(connector) = self.connectors.get_mut(account) else { return };
        let Some(link) = connector.links.get_mut(token) else { return };
        link.used_at = Some(at);
        match link.purpose.clone() {
            Purpose::Invitation => accept(connector.record.as_mut().and_then(|it| it.invitation.as_mut()), at),
            Purpose::Administrator { email } => {
                accept(connector.administrators.get_mut(&email).and_then(|it| it.invitation.as_mut()), at);
            }
            Purpose::Consent { group } => connector.grant(&group, who, at),
            Purpose::PushSignIn => connector.push_authorization.valid_until = Some(sign_in_ends),
        }
    }

    /// Makes a link; returns its token.
    pub(crate) fn make_link(
        &mut self,
        account: &AccountKey,
        purpose: Purpose,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<String, Refusal> {
        let token = dice::token(self.settings.seed, &mut self.draws);
        let link = Link { purpose, made_at: now, expires_at, used_at: None };
        self.connector_mut(account)?.links.insert(token.clone(), link);
        Ok(token)
    }

    fn expire(&mut self, account: &AccountKey, now: Timestamp) -> Result<(), Refusal> {
        let connector = self.connector_mut(account)?;
        for link in connector.links.values_mut() {
            link.expires_at = link.expires_at.min(now);
        }
        if let Some(sent) = connector.record.as_mut().and_then(|it| it.invitation.as_mut()) {
            sent.expires_at = sent.expires_at.min(now);
        }
        let authorization = &mut connector.push_authorization;
        authorization.valid_until = authorization.valid_until.map(|end| end.min(now));
        Ok(())
    }
}

impl Connector {
    /// A group is granted by the Global Administrator.
    pub(crate) fn grant(&mut self, group: &str, who: String, at: Timestamp) {
        if let Some(consent) = self.consents.iter_mut().find(|it| it.group == group) {
            consent.state = ConsentState::Granted;
            consent.granted_by = Some(who);
            consent.granted_at = Some(at);
            consent.link = None;
        }
    }
}

fn accept(sent: Option<&mut super::connector::Sent>, at: Timestamp) {
    if let Some(sent) = sent {
        sent.accepted_at = Some(at);
    }
}
