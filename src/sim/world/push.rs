//! A push: connector to tenant (guide step 30). It alone gives number and voice, and takes them away.

use k8s_openapi::jiff::Timestamp;

use super::connector::{Connector, Outcome, Pair};
use super::settings::{Settings, after};
use super::tenant::{TenantNumber, TenantUser, Voice};
use super::{Lagged, Tenant, World, dice};
use crate::clients::connector::wire::{SyncKind, SyncOutcome, SyncStatus};
use crate::domain::{AccountKey, EntraObjectId, UserKey};

/// One push at its end.
struct Effect<'a> {
    tenant: &'a mut Tenant,
    settings: &'a Settings,
    draws: &'a mut u64,
    at: Timestamp,
}

/// Why a user could not get service.
type ErrorCode = &'static str;

impl World {
    /// Carries every change that was there when the push was started; later ones wait for the next push.
    pub(crate) fn end_push(&mut self, account: &AccountKey, index: usize, at: Timestamp) {
        let Self { tenant, connectors, settings, draws, .. } = self;
        let Some(connector) = connectors.get_mut(account) else { return };
        let Some(revision) = connector.runs.get(index).map(|run| run.revision) else { return };
        let consented = connector.consented(SyncKind::Push);
        let mut outcomes = Vec::new();
        if consented {
            let mut effect = Effect { tenant, settings, draws, at };
            outcomes = effect.take_from_removed(connector, revision);
            outcomes.extend(effect.carry(connector, revision));
        }
        let Some(run) = connector.runs.get_mut(index) else { return };
        // A user who was removed and added again has the outcome of what is there now.
        run.results = outcomes.into_iter().collect();
        run.users = u64::try_from(run.results.len()).unwrap_or(u64::MAX);
        run.end = Some(match run.results.values().any(|it| it.outcome == SyncOutcome::Failed) {
            _ if !consented => SyncStatus::Failed,
            true => SyncStatus::Warning,
            false => SyncStatus::Succeeded,
        });
    }
}

impl Effect<'_> {
    /// Removed users come first, so that their numbers are free for the others.
    fn take_from_removed(&mut self, connector: &mut Connector, revision: u64) -> Vec<(UserKey, Outcome)> {
        let removed = connector.removed.extract_if(.., |it| it.revision <= revision);
        removed
            .map(|it| {
                let taken = it.provisioned.is_some_and(|number| self.take(it.teams_user, &number));
                (it.goto_user, Outcome::of(Ok(taken)))
            })
            .collect()
    }

    /// Disabled users first, so that their numbers are free for the others.
    fn carry(&mut self, connector: &mut Connector, revision: u64) -> Vec<(UserKey, Outcome)> {
        let mut outcomes = Vec::new();
        for enabled in [false, true] {
            let users = connector.pbxs.values_mut().flat_map(|pbx| pbx.users.iter_mut());
            for (key, pair) in users.filter(|(_, it)| it.enabled == enabled && it.revision <= revision) {
                let outcome = if enabled { self.give(pair) } else { Ok(self.withdraw(pair)) };
                outcomes.push((key.clone(), Outcome::of(outcome)));
            }
        }
        outcomes
    }

    /// Takes what a push gave to a user who is disabled now; true: there was something.
    fn withdraw(&mut self, pair: &mut Pair) -> bool {
        pair.registered_at = None;
        pair.provisioned.take().is_some_and(|number| self.take(pair.teams_user, &number))
    }

    /// Gives number and voice; true: something had to be changed.
    fn give(&mut self, pair: &mut Pair) -> Result<bool, ErrorCode> {
        let number = pair.phone_number.clone().ok_or("NumberMissing")?;
        let user = self.tenant.users.get(&pair.teams_user).ok_or("TeamsUserNotFound")?;
        capable(user, self.at)?;
        self.assignable(&number, pair.teams_user)?;
        let foreign = |it: &&String| **it != number && Some(*it) != pair.provisioned.as_ref();
        if user.voice.truth().numbers.iter().any(|it| foreign(&it)) {
            return Err("CallingPlanConflict");
        }
        if let Some(old) = pair.provisioned.take_if(|old| *old != number) {
            self.take(pair.teams_user, &old);
        }
        let changed = self.assign(pair.teams_user, &number);
        pair.provisioned = Some(number);
        if pair.registered_at.is_none() {
            let [low, high] = self.settings.registration_seconds;
            pair.registered_at = Some(after(self.at, dice::roll(self.settings.seed, self.draws, low, high)));
        }
        Ok(changed)
    }

    fn assignable(&self, number: &str, user: EntraObjectId) -> Result<(), ErrorCode> {
        match self.tenant.numbers.get(number) {
            Some(it) if it.source == "onPremises" => Err("NumberOwnedOnPremises"),
            Some(it) if it.target.truth().is_some_and(|target| target != user) => Err("NumberInUse"),
            _ => Ok(()),
        }
    }

    fn assign(&mut self, user: EntraObjectId, number: &str) -> bool {
        let (at, numbers_at, voice_at) = (self.at, self.seen_at(), self.seen_at());
        let entry = self.tenant.numbers.entry(number.to_owned()).or_insert_with(|| TenantNumber {
            number_type: "directRouting".to_owned(),
            source: "online".to_owned(),
            target: Lagged::settled(None),
            visible_since: Some(numbers_at),
        });
        let mut changed = false;
        if *entry.target.truth() != Some(user) {
            entry.target.set(Some(user), at, numbers_at);
            changed = true;
        }
        let Some(person) = self.tenant.users.get_mut(&user) else { return changed };
        let wanted = Voice { enabled: true, numbers: [number.to_owned()].into() };
        if *person.voice.truth() != wanted {
            person.voice.set(wanted, at, voice_at);
            changed = true;
        }
        changed
    }

    /// The number leaves the user; without any number there is no enterprise voice. True: the user had it.
    fn take(&mut self, user: EntraObjectId, number: &str) -> bool {
        let (at, numbers_at, voice_at) = (self.at, self.seen_at(), self.seen_at());
        let entry = self.tenant.numbers.get_mut(number).filter(|it| *it.target.truth() == Some(user));
        let mut taken = entry.is_some();
        if let Some(entry) = entry {
            entry.target.set(None, at, numbers_at);
        }
        let Some(person) = self.tenant.users.get_mut(&user) else { return taken };
        let mut voice = person.voice.truth().clone();
        if voice.numbers.remove(number) {
            voice.enabled = !voice.numbers.is_empty();
            person.voice.set(voice, at, voice_at);
            taken = true;
        }
        taken
    }

    fn seen_at(&mut self) -> Timestamp {
        let lag = dice::roll(self.settings.seed, self.draws, 0, self.settings.graph_lag_seconds);
        after(self.at, lag)
    }
}

/// What Teams asks of a user before a number can be assigned.
fn capable(user: &TenantUser, at: Timestamp) -> Result<(), ErrorCode> {
    if user.account_type == "sfbOnPremUser" {
        return Err("HomedOnPremises");
    }
    if !user.has_teams() {
        return Err("NoTeamsLicense");
    }
    if !user.has_phone_system() {
        return Err("NoPhoneSystemLicense");
    }
    let provisioned = user.provisioned_at.is_some_and(|since| since <= at);
    if provisioned { Ok(()) } else { Err("TeamsUserNotProvisioned") }
}

impl Outcome {
    fn of(result: Result<bool, ErrorCode>) -> Self {
        match result {
            Ok(true) => Self { outcome: SyncOutcome::Applied, error_code: None },
            Ok(false) => Self { outcome: SyncOutcome::Unchanged, error_code: None },
            Err(code) => Self { outcome: SyncOutcome::Failed, error_code: Some(code.to_owned()) },
        }
    }
}
