//! Users in the connector: added, switched, removed, listed.

use k8s_openapi::jiff::Timestamp;

use super::connector::{Connector, Pair, Pbx, RemovedPair};
use super::page::{Cut, Listed};
use super::settings::after;
use super::{Refusal, World};
use crate::clients::connector::wire::{Candidate, ConnectorUser, PutUser, Registration};
use crate::domain::{AccountKey, E164, EntraObjectId, OrganizationId, UserKey};

/// What a successful PUT did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The pair is new and took a license.
    Created,
    /// The pair was there.
    Confirmed,
}

impl World {
    /// `PUT P/users/{gotoUserKey}`.
    pub fn put_user(
        &mut self,
        account: &AccountKey,
        organization: OrganizationId,
        user: &UserKey,
        put: &PutUser,
        now: Timestamp,
    ) -> Result<Put, Refusal> {
        let pbx = self.pbx(account, organization)?;
        if pbx.bound_at.is_none() {
            return Err(Refusal::PbxRequired);
        }
        let old = pbx.users.get(user);
        match old {
            Some(old) if old.teams_user != put.teams_user_id => return Err(Refusal::PairExists),
            Some(_) => {}
            None => self.may_add(account, organization, user, put.teams_user_id, now)?,
        }
        let current = old.and_then(|pair| pair.phone_number.clone());
        let number = self.number_for(account, organization, user, put.phone_number.as_deref(), current)?;
        let connector = self.connector_mut(account)?;
        connector.puts += 1;
        if let Some(pair) = connector.pbxs.get_mut(&organization).and_then(|pbx| pbx.users.get_mut(user)) {
            let external_id = Some(put.external_id.clone());
            if (&pair.phone_number, &pair.external_id) != (&number, &external_id) {
                (pair.phone_number, pair.external_id) = (number, external_id);
                pair.change(&mut connector.revision, now);
            }
            return Ok(Put::Confirmed);
        }
        connector.add(organization, user, put, number, now);
        Ok(Put::Created)
    }

    /// `PATCH P/users/{gotoUserKey}`: number, voice and registration stay until a push takes them away.
    pub fn set_user_enabled(
        &mut self,
        account: &AccountKey,
        organization: OrganizationId,
        user: &UserKey,
        enabled: bool,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.pbx(account, organization)?;
        let connector = self.connector_mut(account)?;
        let pbx = connector.pbxs.get_mut(&organization);
        let pair = pbx.and_then(|pbx| pbx.users.get_mut(user)).ok_or(Refusal::NotFound("user"))?;
        if pair.enabled != enabled {
            pair.enabled = enabled;
            pair.change(&mut connector.revision, now);
        }
        Ok(())
    }

    /// Gives a pair another number of its PBX, or the one that is routed to the user.
    pub(crate) fn set_user_number(
        &mut self,
        account: &AccountKey,
        organization: OrganizationId,
        user: &UserKey,
        number: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let number = self.number_for(account, organization, user, number, None)?;
        let connector = self.connector_mut(account)?;
        let pbx = connector.pbxs.get_mut(&organization);
        let pair = pbx.and_then(|pbx| pbx.users.get_mut(user)).ok_or(Refusal::NotFound("user"))?;
        if pair.phone_number != number {
            pair.phone_number = number;
            pair.change(&mut connector.revision, now);
        }
        Ok(())
    }

    /// `DELETE P/users/{gotoUserKey}`: the license is free a little later.
    pub fn delete_user(
        &mut self,
        account: &AccountKey,
        organization: OrganizationId,
        user: &UserKey,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let free_at = after(now, self.settings.license_release_seconds);
        let pair = self.pbx(account, organization)?.users.get(user).ok_or(Refusal::NotFound("user"))?;
        if pair.enabled {
            return Err(Refusal::DisableFirst);
        }
        let connector = self.connector_mut(account)?;
        connector.revision += 1;
        let Some(pbx) = connector.pbxs.get_mut(&organization) else { return Ok(()) };
        let Some(pair) = pbx.users.remove(user) else { return Ok(()) };
        pbx.releasing.retain(|at| now < *at);
        pbx.releasing.push(free_at);
        connector.removed.push(RemovedPair {
            goto_user: user.clone(),
            teams_user: pair.teams_user,
            provisioned: pair.provisioned,
            revision: connector.revision,
            removed_at: now,
        });
        Ok(())
    }

    /// Refuses unless `if_match` is the etag of the user; `*` matches any user that is there.
    pub fn check_etag(
        &self,
        account: &AccountKey,
        organization: OrganizationId,
        user: &UserKey,
        if_match: Option<&str>,
    ) -> Result<(), Refusal> {
        let Some(wanted) = if_match else { return Ok(()) };
        match self.pbx(account, organization)?.users.get(user) {
            Some(_) if wanted == "*" => Ok(()),
            Some(pair) if pair.etag() == wanted => Ok(()),
            _ => Err(Refusal::PreconditionFailed),
        }
    }

    /// `GET P/users/{gotoUserKey}` and one item of `GET P/users`.
    pub fn connector_user(
        &self,
        account: &AccountKey,
        organization: OrganizationId,
        user: &UserKey,
        now: Timestamp,
    ) -> Result<ConnectorUser, Refusal> {
        let pair = self.pbx(account, organization)?.users.get(user).ok_or(Refusal::NotFound("user"))?;
        let person = self.goto.accounts.get(account).and_then(|it| it.users.get(user));
        Ok(ConnectorUser {
            goto_user_key: user.clone(),
            teams_user_id: pair.teams_user,
            external_id: pair.external_id.clone(),
            email: person.map(|it| it.email.clone()).or_else(|| pair.last_email.clone()),
            phone_number: pair.phone_number.clone(),
            extension: person.and_then(|it| it.line_in(organization)).map(|line| line.number.clone()),
            enabled: pair.enabled,
            licensed: true,
            registration: pair.registration(now),
            etag: pair.etag(),
            updated_at: pair.updated_at,
        })
    }

    /// `GET P/users`.
    pub fn connector_users(
        &self,
        account: &AccountKey,
        organization: OrganizationId,
        cut: Cut<'_>,
        now: Timestamp,
    ) -> Result<Listed<ConnectorUser>, Refusal> {
        let users = &self.pbx(account, organization)?.users;
        let entries = users.keys().map(|key| (key.as_str(), key));
        let listed = cut.ascending(users.len(), entries, |key| self.connector_user(account, organization, key, now));
        let items: Result<_, _> = listed.items.into_iter().collect();
        Ok(Listed { items: items?, total: listed.total, more_after: listed.more_after })
    }

    /// `GET P/candidates`.
    pub fn candidates(
        &self,
        account: &AccountKey,
        organization: OrganizationId,
        cut: Cut<'_>,
    ) -> Result<Listed<Candidate>, Refusal> {
        let pbx = self.pbx(account, organization)?;
        let members = || self.goto.accounts.get(account).into_iter().flat_map(|it| it.members(organization));
        let entries = members().map(|(key, _)| (key.as_str(), key));
        Ok(cut.ascending(members().count(), entries, |key| Candidate {
            goto_user_key: key.clone(),
            secure_calling: pbx.secure_calling.contains(key),
        }))
    }

    /// Every rule that a new pair must pass.
    fn may_add(
        &self,
        account: &AccountKey,
        organization: OrganizationId,
        user: &UserKey,
        teams_user: EntraObjectId,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let person = self.goto.accounts.get(account).and_then(|it| it.users.get(user));
        if !person.is_some_and(|it| !it.device && it.is_in(organization)) {
            return Err(Refusal::UserNotInPbx);
        }
        let (connector, pbx) = (self.connector(account)?, self.pbx(account, organization)?);
        if pbx.secure_calling.contains(user) {
            return Err(Refusal::SecureCallingEnabled);
        }
        if !connector.imported.contains_key(&teams_user) {
            return Err(Refusal::TeamsUserNotImported);
        }
        if self.is_taken(teams_user) {
            return Err(Refusal::TeamsUserTaken);
        }
        let bought = pbx.entitlement.as_ref().filter(|it| it.active).map_or(0, |it| it.licenses_total);
        if pbx.licenses_in_use(now) >= bought { Err(Refusal::NoLicense) } else { Ok(()) }
    }

    /// Whether any pair of any connector holds the Teams user.
    pub fn is_taken(&self, teams_user: EntraObjectId) -> bool {
        let pbxs = self.connectors.values().flat_map(|connector| connector.pbxs.values());
        pbxs.flat_map(|pbx| pbx.users.values()).any(|pair| pair.teams_user == teams_user)
    }

    /// The given number if the PBX owns it; else the current one while it is routed to the user, else the lowest routed.
    fn number_for(
        &self,
        account: &AccountKey,
        organization: OrganizationId,
        user: &UserKey,
        given: Option<&str>,
        current: Option<String>,
    ) -> Result<Option<String>, Refusal> {
        let goto = self.goto.accounts.get(account).ok_or(Refusal::NotFound("account"))?;
        if let Some(given) = given {
            let owned = given.parse::<E164>().is_ok() && goto.owns(organization, given);
            return if owned { Ok(Some(given.to_owned())) } else { Err(Refusal::NumberNotInPbx) };
        }
        let line = goto.users.get(user).and_then(|it| it.line_in(organization));
        let routed = line.map(|line| goto.routed(organization, &line.number)).unwrap_or_default();
        let kept = current.filter(|number| routed.contains(&number.as_str()));
        Ok(kept.or_else(|| routed.first().map(|number| (*number).to_owned())))
    }
}

impl Connector {
    fn add(
        &mut self,
        organization: OrganizationId,
        user: &UserKey,
        put: &PutUser,
        number: Option<String>,
        now: Timestamp,
    ) {
        self.revision += 1;
        let pair = Pair {
            teams_user: put.teams_user_id,
            external_id: Some(put.external_id.clone()),
            phone_number: number,
            enabled: true,
            revision: self.revision,
            added_at: now,
            updated_at: now,
            provisioned: None,
            registered_at: None,
            last_email: None,
        };
        let pbx: &mut Pbx = self.pbxs.entry(organization).or_default();
        pbx.users.insert(user.clone(), pair);
    }
}

impl Pair {
    /// Its version for `If-Match`.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.revision)
    }

    /// Its registration at `now`: what a push gave lasts until a push takes it.
    pub fn registration(&self, now: Timestamp) -> Registration {
        match self.registered_at {
            None if !self.enabled => Registration::Disabled,
            Some(at) if at <= now => Registration::Registered,
            _ => Registration::Pending,
        }
    }

    pub(crate) fn change(&mut self, revision: &mut u64, now: Timestamp) {
        *revision += 1;
        self.revision = *revision;
        self.updated_at = now;
    }
}
