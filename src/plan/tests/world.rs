//! Both directories and the connector between them, as plain lists.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::api::{Reason, RegistrationState, RunOperation};
use crate::domain::{E164, EntraObjectId, OrganizationId, UserKey};
use crate::plan::acted::StepResult;
use crate::plan::snapshot::{
    Activity, Candidate, ConnectorUser, Entitlement, GotoUser, Job, JobState, Line, PbxExtension, PbxNumber,
    PbxReading, PushAuthorization, PushAuthorizationState, Snapshot, Source, TeamsNumber, TeamsNumberKind, TeamsUser,
    Tick, UserLines, VoiceAccount, VoiceState,
};
use crate::plan::user_plan::Step;

/// Marks the pairs of the policy under test.
pub(super) const OURS: &str = "policy-under-test";

/// The world.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub people: Vec<GotoUser>,
    pub lines: Vec<UserLines>,
    pub extensions: Vec<PbxExtension>,
    pub numbers: Vec<PbxNumber>,
    pub teams: Vec<TeamsUser>,
    pub assignments: Vec<TeamsNumber>,
    pub voice: Vec<VoiceState>,
    pub entitlement: Entitlement,
    pub candidates: Vec<Candidate>,
    pub pairs: Vec<ConnectorUser>,
    pub imported: BTreeSet<EntraObjectId>,
    pub imports: Vec<Job>,
    pub pushes: Vec<Job>,
    pub push_failures: BTreeMap<UserKey, String>,
    pub changes_since: Option<Timestamp>,
    pub sign_in: PushAuthorizationState,
    /// What the connector refuses, whatever is asked.
    pub refuses: BTreeMap<UserKey, Reason>,
}

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

pub(super) fn key(index: usize) -> UserKey {
    format!("20000000000000{index:05}").parse().unwrap()
}

pub(super) fn teams_id(index: usize) -> EntraObjectId {
    Uuid::from_u128(0xA000_0000_0000_4000_8000_0000_0000_0000 + index as u128).into()
}

pub(super) fn pbx() -> OrganizationId {
    Uuid::from_u128(0xB000_0000_0000_4000_8000_0000_0000_00FF).into()
}

pub(super) fn other_pbx() -> OrganizationId {
    Uuid::from_u128(0xC000_0000_0000_4000_8000_0000_0000_00FF).into()
}

pub(super) fn number(index: usize) -> E164 {
    format!("+1555{index:07}").parse().unwrap()
}

impl World {
    /// So many people who can all be connected, and more licenses than people.
    pub(super) fn of(people: usize) -> Self {
        let mut world = Self {
            people: Vec::new(),
            lines: Vec::new(),
            extensions: Vec::new(),
            numbers: Vec::new(),
            teams: Vec::new(),
            assignments: Vec::new(),
            voice: Vec::new(),
            entitlement: Entitlement {
                active: true,
                licenses_total: 5 + u32::try_from(people).unwrap(),
                licenses_in_use: 0,
            },
            candidates: Vec::new(),
            pairs: Vec::new(),
            imported: BTreeSet::new(),
            imports: Vec::new(),
            pushes: Vec::new(),
            push_failures: BTreeMap::new(),
            changes_since: None,
            sign_in: PushAuthorizationState::NotRequired,
            refuses: BTreeMap::new(),
        };
        (0..people).for_each(|index| world.add_person(index));
        world
    }

    /// Somebody with line, number and a fully licensed Microsoft user.
    pub(super) fn add_person(&mut self, index: usize) {
        let email = format!("p{index}@contoso.example");
        let address = Some(email.parse().unwrap());
        let extension = format!("{}", 1000 + index);
        let id = format!("ext-{index}");
        let line = Line { organization: pbx(), extension: extension.clone(), primary: true };
        self.people.push(GotoUser {
            key: key(index),
            email: Some(email.clone()),
            address: address.clone(),
            name: format!("Person {index}"),
        });
        self.lines.push(UserLines { key: key(index), lines: vec![line] });
        self.extensions.push(PbxExtension { id: id.clone(), organization: pbx(), number: extension });
        self.numbers.push(PbxNumber { organization: pbx(), number: Some(number(index)), extension_id: Some(id) });
        self.teams.push(TeamsUser {
            id: teams_id(index),
            upn: email,
            upn_address: address.clone(),
            mail_address: address,
            enabled: true,
            guest: false,
            has_teams: true,
            has_phone_system: true,
        });
        self.voice.push(VoiceState {
            id: teams_id(index),
            account: VoiceAccount::User,
            enterprise_voice: false,
            number: None,
        });
        self.candidates.push(Candidate { key: key(index), secure_calling: false });
    }

    /// The person's pair as it stands in the connector.
    pub(super) fn pair(&mut self, index: usize) -> &mut ConnectorUser {
        self.pairs.iter_mut().find(|pair| pair.key == key(index)).unwrap()
    }

    /// Somebody adds the pair.
    pub(super) fn add_pair(&mut self, index: usize, teams: usize, external_id: Option<&str>, at: Timestamp) {
        self.entitlement.licenses_in_use += 1;
        self.changes_since = Some(at);
        self.pairs.push(ConnectorUser {
            key: key(index),
            teams_user: teams_id(teams),
            external_id: external_id.map(str::to_owned),
            number: Some(number(index)),
            enabled: true,
            licensed: true,
            registration: RegistrationState::Pending,
            updated_at: at,
            etag: at.to_string(),
        });
    }

    /// Somebody removes the pair.
    pub(super) fn remove_pair(&mut self, index: usize) {
        self.pairs.retain(|pair| pair.key != key(index));
        self.entitlement.licenses_in_use -= 1;
    }

    /// The person leaves the GoTo account.
    pub(super) fn remove_person(&mut self, index: usize) {
        self.people.retain(|user| user.key != key(index));
        self.lines.retain(|lines| lines.key != key(index));
        self.candidates.retain(|candidate| candidate.key != key(index));
    }

    /// The person is created again in GoTo, under another key and with everything else as it was.
    pub(super) fn recreate_person(&mut self, index: usize, new: usize) {
        let (old, new) = (key(index), key(new));
        let keys = self.people.iter_mut().map(|user| &mut user.key).chain(self.lines.iter_mut().map(|it| &mut it.key));
        for found in keys.chain(self.candidates.iter_mut().map(|it| &mut it.key)).filter(|it| **it == old) {
            *found = new.clone();
        }
    }

    /// The Microsoft user is deleted.
    pub(super) fn remove_teams_user(&mut self, index: usize) {
        self.teams.retain(|user| user.id != teams_id(index));
        self.voice.retain(|voice| voice.id != teams_id(index));
        self.assignments.retain(|assignment| assignment.target != Some(teams_id(index)));
    }

    /// The connector answers one operation.
    pub(super) fn answer(&mut self, step: &Step, at: Timestamp) -> StepResult {
        if step.op == RunOperation::Put {
            return self.put(step, at);
        }
        let refused = self
            .refuses
            .get(&step.user)
            .map(|reason| StepResult::Failed { reason: *reason, message: format!("The connector says {reason}.") });
        if let Some(refused) = refused {
            return refused;
        }
        let Some(pair) = self.pairs.iter_mut().find(|pair| pair.key == step.user) else { return StepResult::Accepted };
        if step.if_match.as_ref().is_some_and(|etag| *etag != pair.etag) {
            return StepResult::Stale;
        }
        if step.op.removes() {
            assert!(!pair.enabled, "deleted while enabled");
            self.pairs.retain(|pair| pair.key != step.user);
            self.entitlement.licenses_in_use -= 1;
        } else {
            pair.enabled = step.op == RunOperation::Enable;
            pair.updated_at = at;
            pair.etag = format!("{at} {:?}", step.op);
        }
        self.changes_since = self.changes_since.or(Some(at));
        StepResult::Accepted
    }

    /// The connector answers a PUT.
    fn put(&mut self, step: &Step, at: Timestamp) -> StepResult {
        let refuse = |reason: Reason| StepResult::Failed { reason, message: format!("The connector says {reason}.") };
        if let Some(reason) = self.refuses.get(&step.user) {
            return refuse(*reason);
        }
        if let Some(pair) = self.pairs.iter().find(|pair| pair.key == step.user) {
            let same = pair.teams_user == step.teams_user;
            return if same { StepResult::Accepted } else { refuse(Reason::Rejected) };
        }
        if !self.imported.contains(&step.teams_user) {
            return refuse(Reason::TeamsUserNotImported);
        }
        if self.pairs.iter().any(|pair| pair.teams_user == step.teams_user) {
            return refuse(Reason::TeamsUserTaken);
        }
        if self.entitlement.licenses_in_use >= self.entitlement.licenses_total {
            return refuse(Reason::ConnectorLicenseExhausted);
        }
        self.entitlement.licenses_in_use += 1;
        self.changes_since = Some(at);
        self.pairs.push(ConnectorUser {
            key: step.user.clone(),
            teams_user: step.teams_user,
            external_id: Some(step.external_id.clone()),
            number: step.number.clone(),
            enabled: true,
            licensed: true,
            registration: RegistrationState::Pending,
            updated_at: at,
            etag: at.to_string(),
        });
        StepResult::Accepted
    }

    /// A directory import that is done at once.
    pub(super) fn import(&mut self, at: Timestamp) {
        self.imported = self.teams.iter().map(|user| user.id).collect();
        let id = format!("import-{}", self.imports.len());
        self.imports.insert(0, Job { id, state: JobState::Done, started_at: at, finished_at: Some(at), users: 0 });
    }

    /// A push that is done at once, registration included.
    pub(super) fn push(&mut self, at: Timestamp) {
        self.changes_since = None;
        let id = format!("push-{}", self.pushes.len());
        let enabled: BTreeSet<EntraObjectId> =
            self.pairs.iter().filter(|pair| pair.enabled).map(|pair| pair.teams_user).collect();
        for voice in self.voice.iter_mut().filter(|voice| !enabled.contains(&voice.id)) {
            voice.number = None;
            voice.enterprise_voice = false;
        }
        let known: BTreeSet<EntraObjectId> = self.voice.iter().map(|voice| voice.id).collect();
        let is_kept = |id: EntraObjectId| enabled.contains(&id) || !known.contains(&id);
        self.assignments.retain(|it| it.kind == TeamsNumberKind::Other || it.target.is_none_or(is_kept));
        self.pushes.insert(0, Job { id, state: JobState::Done, started_at: at, finished_at: Some(at), users: 0 });
        let mut voices: BTreeMap<EntraObjectId, &mut VoiceState> =
            self.voice.iter_mut().map(|voice| (voice.id, voice)).collect();
        let given = self.pairs.iter().filter(|pair| pair.enabled && known.contains(&pair.teams_user));
        let given: BTreeSet<&E164> = given.filter_map(|pair| pair.number.as_ref()).collect();
        self.assignments.retain(|assignment| !given.contains(&assignment.number));
        for pair in self.pairs.iter_mut().filter(|pair| pair.enabled) {
            pair.registration = RegistrationState::Registered;
            let Some(voice) = voices.get_mut(&pair.teams_user) else { continue };
            voice.enterprise_voice = true;
            voice.number.clone_from(&pair.number);
            let Some(number) = &pair.number else { continue };
            self.assignments.push(TeamsNumber {
                number: number.clone(),
                kind: TeamsNumberKind::DirectRouting,
                target: Some(pair.teams_user),
                on_premises: false,
            });
        }
    }

    /// A complete reading.
    pub(super) fn snapshot(&self, round: u64, now: Timestamp) -> Snapshot {
        let activity = Activity {
            directory_tick: Tick::UpToDate,
            push_tick: Tick::UpToDate,
            push_changes_since: self.changes_since,
            imports: self.imports.clone(),
            pushes: self.pushes.clone(),
            push_failures: self.push_failures.clone(),
        };
        let reading = PbxReading {
            entitlement: Source::complete(Some(self.entitlement), now),
            candidates: Source::complete(self.candidates.clone(), now),
            users: Source::complete(self.pairs.clone(), now),
            ..PbxReading::default()
        };
        Snapshot {
            round,
            full_reading_at: Some(now),
            goto_users: Source::complete(self.people.clone(), now),
            lines: Source::complete(self.lines.clone(), now),
            extensions: Source::complete(self.extensions.clone(), now),
            numbers: Source::complete(self.numbers.clone(), now),
            teams_users: Source::complete(self.teams.clone(), now),
            number_assignments: Source::complete(self.assignments.clone(), now),
            voice: Source::complete(self.voice.clone(), now),
            activity: Source::complete(activity, now),
            push_authorization: Source::complete(
                PushAuthorization { state: self.sign_in, link: None, valid_until: None },
                now,
            ),
            pbxs: BTreeMap::from([(pbx(), reading)]),
            ..Snapshot::default()
        }
    }
}

pub(super) fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}
