//! What the Global Administrator gives: the two consents, and the sign-in for pushes.

use k8s_openapi::jiff::Timestamp;

use super::connector::{Authorization, Connector, ConsentGroup, Link, Purpose};
use super::settings::after;
use super::{Refusal, World};
use crate::clients::connector::wire::{
    Consent, ConsentPermission, ConsentState, PushAuthorization, PushAuthorizationState,
};
use crate::domain::AccountKey;

/// Where the page of a link is: base URL and the link's token.
fn url(base: &str, token: &str) -> String {
    format!("{base}/links/{token}")
}

impl World {
    /// `GET A/consents`; `base` is the control port's URL, where links lead to.
    pub fn consents(&self, account: &AccountKey, base: &str, now: Timestamp) -> Result<Vec<Consent>, Refusal> {
        let connector = self.connector(account)?;
        Ok(connector.consents.iter().map(|group| group.view(connector, base, now)).collect())
    }

    /// `POST A/consents/requests`: a link for each group that is not granted and has none that still works.
    pub fn request_consents(&mut self, account: &AccountKey, now: Timestamp) -> Result<(), Refusal> {
        let expires_at = after(now, self.settings.link_seconds);
        let connector = self.connector(account)?;
        let wanted = |it: &&ConsentGroup| {
            it.state != ConsentState::Granted && connector.live_link(it.link.as_ref(), now).is_none()
        };
        let groups: Vec<String> = connector.consents.iter().filter(wanted).map(|it| it.group.clone()).collect();
        for group in groups {
            let token = self.make_link(account, Purpose::Consent { group: group.clone() }, now, expires_at)?;
            let consents = &mut self.connector_mut(account)?.consents;
            if let Some(consent) = consents.iter_mut().find(|it| it.group == group) {
                consent.link = Some(token);
            }
        }
        Ok(())
    }

    /// `GET A/push-authorization`.
    pub fn push_authorization(
        &self,
        account: &AccountKey,
        base: &str,
        now: Timestamp,
    ) -> Result<PushAuthorization, Refusal> {
        let connector = self.connector(account)?;
        let authorization = &connector.push_authorization;
        let state = authorization.state(connector, now);
        let link = connector.live_link(authorization.link.as_ref(), now);
        Ok(match state {
            PushAuthorizationState::Pending => PushAuthorization {
                state,
                link: link.map(|(token, _)| url(base, token)),
                valid_until: link.map(|(_, link)| link.expires_at),
            },
            PushAuthorizationState::Granted => {
                PushAuthorization { state, link: None, valid_until: authorization.valid_until }
            }
            _ => PushAuthorization { state, link: None, valid_until: None },
        })
    }

    /// `POST A/push-authorization/requests`: a link unless one works already or nobody needs to sign in.
    pub fn request_push_authorization(&mut self, account: &AccountKey, now: Timestamp) -> Result<(), Refusal> {
        use PushAuthorizationState::{Expired, NotRequested};
        let expires_at = after(now, self.settings.link_seconds);
        let connector = self.connector(account)?;
        if matches!(connector.push_authorization.state(connector, now), NotRequested | Expired) {
            let token = self.make_link(account, Purpose::PushSignIn, now, expires_at)?;
            self.connector_mut(account)?.push_authorization.link = Some(token);
        }
        Ok(())
    }

    /// Takes a consent back in the tenant; `None`: every group.
    pub fn revoke_consent(&mut self, account: &AccountKey, group: Option<&str>) -> Result<(), Refusal> {
        let groups = &mut self.connector_mut(account)?.consents;
        for consent in groups.iter_mut().filter(|it| group.is_none_or(|group| it.group == group)) {
            consent.state = ConsentState::Revoked;
            consent.link = None;
        }
        Ok(())
    }
}

impl Connector {
    /// The link with this token while it can be followed.
    pub fn live_link<'a>(&self, token: Option<&'a String>, now: Timestamp) -> Option<(&'a String, &Link)> {
        let token = token?;
        let link = self.links.get(token).filter(|link| link.used_at.is_none() && now < link.expires_at)?;
        Some((token, link))
    }
}

impl ConsentGroup {
    fn view(&self, connector: &Connector, base: &str, now: Timestamp) -> Consent {
        let granted = self.state == ConsentState::Granted;
        let link = connector.live_link(self.link.as_ref(), now).filter(|_| !granted);
        let permission = |(name, reason): (&String, &String)| ConsentPermission {
            name: name.clone(),
            reason: reason.clone(),
            granted,
        };
        Consent {
            group: self.group.clone(),
            state: if link.is_some() { ConsentState::Pending } else { self.state },
            permissions: self.permissions.iter().map(permission).collect(),
            granted_by: self.granted_by.clone(),
            granted_at: self.granted_at,
            link: link.map(|(token, _)| url(base, token)),
            link_expires_at: link.map(|(_, link)| link.expires_at),
        }
    }
}

impl Authorization {
    /// Where the sign-in stands at `now`.
    pub fn state(&self, connector: &Connector, now: Timestamp) -> PushAuthorizationState {
        if self.not_required {
            PushAuthorizationState::NotRequired
        } else if self.valid_until.is_some_and(|end| now < end) {
            PushAuthorizationState::Granted
        } else if connector.live_link(self.link.as_ref(), now).is_some() {
            PushAuthorizationState::Pending
        } else if self.link.is_some() || self.valid_until.is_some() {
            PushAuthorizationState::Expired
        } else {
            PushAuthorizationState::NotRequested
        }
    }

    /// Whether a push may start at `now`.
    pub fn allows(&self, now: Timestamp) -> bool {
        self.not_required || self.valid_until.is_some_and(|end| now < end)
    }
}
