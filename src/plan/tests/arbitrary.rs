//! Worlds and stored objects of every kind, for the properties.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::collection::vec;
use proptest::prelude::*;

use super::cluster::{Cluster, problem};
use super::world::{OURS, World, at, key, number, teams_id};
use crate::api::{
    ActionArgs, ActionExpected, Failure, LastChange, Managed, ManualMatching, MatchedBy, MatchingRow, NameRef, Reason,
    RegistrationState, RunAction, RunFailure, RunOperation, RunOutcome, RunState, RunType, TeamsConnectorUserSpec,
    TeamsConnectorUserStatus, UserStage, UserState, UserSyncRunSpec, UserSyncRunStatus,
};
use crate::plan::observed::{KnownRun, KnownUser};
use crate::plan::runs::policy_hash;

/// How many people a world has.
pub(super) const PEOPLE: usize = 6;

/// So many cases of a property, or as many as `PROPTEST_CASES` says.
pub(super) fn cases(count: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    let is_told = config.cases != 256;
    ProptestConfig { cases: if is_told { config.cases } else { count }, ..config }
}

/// One way in which a person differs from one who can be connected.
#[derive(Clone, Copy, Debug)]
pub(super) enum Quirk {
    None,
    NoLine,
    NoEmail,
    NoMatch,
    Twin,
    Disabled,
    NoPhoneSystem,
    SecureCalling,
    NoNumber,
    SharedExtension,
    Propagating,
    NoCandidate,
    Refused(Reason),
    OwnPair,
    OtherPair,
    WrongPair,
    Recreated,
}

pub(super) fn quirk() -> impl Strategy<Value = Quirk> {
    let refused = prop_oneof![Just(Reason::Rejected), Just(Reason::ConnectorUnreachable), Just(Reason::NumberInUse)];
    prop_oneof![
        4 => Just(Quirk::None),
        1 => Just(Quirk::NoLine),
        1 => Just(Quirk::NoEmail),
        1 => Just(Quirk::NoMatch),
        1 => Just(Quirk::Twin),
        1 => Just(Quirk::Disabled),
        1 => Just(Quirk::NoPhoneSystem),
        1 => Just(Quirk::SecureCalling),
        1 => Just(Quirk::NoNumber),
        1 => Just(Quirk::SharedExtension),
        1 => Just(Quirk::Propagating),
        1 => Just(Quirk::NoCandidate),
        1 => refused.prop_map(Quirk::Refused),
        1 => Just(Quirk::OwnPair),
        1 => Just(Quirk::OtherPair),
        1 => Just(Quirk::WrongPair),
        1 => Just(Quirk::Recreated),
    ]
}

pub(super) fn apply(world: &mut World, index: usize, quirk: Quirk) {
    match quirk {
        Quirk::None => {}
        Quirk::NoLine => world.lines[index].lines.clear(),
        Quirk::NoEmail => world.people[index].address = None,
        Quirk::NoMatch => world.teams[index].upn_address = Some("x@y.example".parse().unwrap()),
        Quirk::Twin => {
            let address = world.people[0].address.clone();
            world.people[index].address = address;
        }
        Quirk::Disabled => world.teams[index].enabled = false,
        Quirk::NoPhoneSystem => world.teams[index].has_phone_system = false,
        Quirk::SecureCalling => {
            world.candidates.iter_mut().filter(|it| it.key == key(index)).for_each(|it| it.secure_calling = true);
        }
        Quirk::NoNumber => world.numbers[index].extension_id = None,
        Quirk::SharedExtension => {
            for line in &mut world.lines[index].lines {
                line.extension = "1000".to_owned();
            }
        }
        Quirk::Propagating => world.voice.retain(|voice| voice.id != teams_id(index)),
        Quirk::NoCandidate => world.candidates.retain(|candidate| candidate.key != key(index)),
        Quirk::Refused(reason) => {
            world.refuses.insert(key(index), reason);
        }
        Quirk::OwnPair => world.add_pair(index, index, Some(OURS), at(-50)),
        Quirk::OtherPair => world.add_pair(index, index, Some("somebody"), at(-50)),
        Quirk::WrongPair => world.add_pair(index, index + 100, Some("somebody"), at(-50)),
        Quirk::Recreated => world.recreate_person(index, PEOPLE + index),
    }
}

pub(super) fn world() -> impl Strategy<Value = World> {
    (vec(quirk(), PEOPLE), 0_u32..10).prop_map(|(quirks, licenses)| {
        let mut world = World::of(PEOPLE);
        world.entitlement.licenses_total = licenses;
        for (index, quirk) in quirks.into_iter().enumerate() {
            apply(&mut world, index, quirk);
        }
        world
    })
}

/// Rows of the manual process, good and bad; or none at all.
pub(super) fn manual() -> impl Strategy<Value = Option<ManualMatching>> {
    let email = || (0..=PEOPLE).prop_map(|index| format!("p{index}@contoso.example"));
    let goto = prop_oneof![
        email(),
        (1000..1000 + PEOPLE).prop_map(|extension| extension.to_string()),
        (0..PEOPLE).prop_map(|index| key(index).to_string()),
    ];
    let teams = prop_oneof![email(), (0..=PEOPLE).prop_map(|index| teams_id(index).to_string())];
    let row = (goto, teams).prop_map(|(goto, teams)| MatchingRow { goto, teams });
    proptest::option::of(vec(row, 0..5).prop_map(|entries| ManualMatching { entries }))
}

/// Stored objects that nobody would write like that.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "any may hold together with any other")]
pub(super) struct Stored {
    users: Vec<KnownUser>,
    runs: Vec<KnownRun>,
    gate: bool,
    suspended: bool,
    requested: bool,
    failure: Option<Failure>,
    twice: bool,
}

impl Stored {
    /// On a world, read once or twice.
    pub(super) fn on(self, world: World) -> Cluster {
        let mut cluster = Cluster::new(world);
        cluster.world.import(at(50));
        cluster.read();
        if self.twice {
            cluster.read();
        }
        cluster.users = self.users.into_iter().map(|user| (user.spec.goto_user_key.parse().unwrap(), user)).collect();
        cluster.runs = self.runs.into_iter().map(|run| (run.name.clone(), run)).collect();
        cluster.gate = self.gate.then(|| problem(Reason::AwaitingConsent));
        cluster.suspended = self.suspended;
        cluster.requested_at = self.requested.then(|| "please".to_owned());
        cluster.status.failure = self.failure;
        cluster
    }
}

pub(super) fn stored() -> impl Strategy<Value = Stored> {
    let users = vec(user(), 0..8);
    let failure = proptest::option::of(
        (0_u32..9, -90_i64..90).prop_map(|(count, next)| Failure { count, next_attempt_time: Time(at(next)) }),
    );
    (users, vec(run(), 0..3), any::<[bool; 4]>(), failure).prop_map(
        |(users, runs, [gate, suspended, requested, twice], failure)| {
            let runs =
                runs.into_iter().enumerate().map(|(index, run)| KnownRun { name: format!("hq-run-{index}"), ..run });
            Stored { users, runs: runs.collect(), gate, suspended, requested, failure, twice }
        },
    )
}

fn reason() -> impl Strategy<Value = Reason> {
    proptest::sample::select(Reason::ALL.to_vec())
}

fn user() -> impl Strategy<Value = KnownUser> {
    let managed = prop_oneof![Just(Managed::None), Just(Managed::Added), Just(Managed::Adopted)];
    let state = proptest::sample::select(vec![
        None,
        Some(UserState::Connected),
        Some(UserState::Pending),
        Some(UserState::Blocked),
        Some(UserState::Waiting),
        Some(UserState::Retained),
        Some(UserState::Disabled),
        Some(UserState::Removing),
        Some(UserState::Removed),
    ]);
    let at_stage = proptest::sample::select(vec![
        None,
        Some(UserStage::Import),
        Some(UserStage::Apply),
        Some(UserStage::Verify),
        Some(UserStage::Done),
    ]);
    let pin = proptest::option::of((0_usize..8, proptest::option::of((1000_usize..1008, 0_usize..8))));
    let change = proptest::option::of((0_usize..4, -2000_i64..20));
    let leaving = (proptest::option::of(0_usize..4), proptest::option::of(-9_999_i64..9));
    (0_usize..9, pin, managed, state, at_stage, reason(), change, -99_i64..5, leaving).prop_map(
        |(index, pin, managed, state, stage, reason, change, first_seen, (leaving, unmatched))| KnownUser {
            generation: 3,
            spec: TeamsConnectorUserSpec {
                policy_ref: NameRef { name: "hq".to_owned() },
                goto_user_key: key(index).to_string(),
                teams_user_id: pin.map(|(index, _)| teams_id(index).to_string()),
                matched_by: pin.map(|(_, row)| if row.is_some() { MatchedBy::Manual } else { MatchedBy::Automatic }),
                matched_row: pin.and_then(|(_, row)| row).map(|(goto, teams)| MatchingRow {
                    goto: goto.to_string(),
                    teams: format!("p{teams}@contoso.example"),
                }),
                managed,
                leaving: leaving.map(|run| format!("hq-run-{run}")),
                protected_by: None,
                first_seen: Time(at(first_seen)),
                unmatched_since: unmatched.map(|seconds| Time(at(seconds))),
            },
            status: TeamsConnectorUserStatus {
                state,
                stage,
                reason: Some(reason.as_str().to_owned()),
                registration: Some(RegistrationState::Unknown),
                last_change: change
                    .map(|(run, seconds)| LastChange::new(&format!("hq-run-{run}"), RunOperation::Put, at(seconds))),
                observed_generation: 3,
                ..TeamsConnectorUserStatus::default()
            },
        },
    )
}

fn action() -> impl Strategy<Value = RunAction> {
    let op = proptest::sample::select(vec![
        RunOperation::Put,
        RunOperation::Enable,
        RunOperation::Disable,
        RunOperation::Delete,
        RunOperation::Replace,
    ]);
    let new = proptest::option::of(0_usize..9);
    (0_usize..9, 0_usize..9, any::<bool>(), op, new).prop_map(|(user, teams, in_connector, op, new)| RunAction {
        user: key(user).to_string(),
        op,
        args: ActionArgs {
            teams_user_id: Some(teams_id(teams).to_string()),
            phone_number: Some(number(user).as_str().to_owned()),
            new_user: new.map(|new| key(new).to_string()),
        },
        expected: ActionExpected {
            in_connector,
            enabled: Some(true),
            teams_user_id: Some(teams_id(teams).to_string()),
            phone_number: Some(number(user).as_str().to_owned()),
        },
    })
}

fn run() -> impl Strategy<Value = KnownRun> {
    let state = proptest::sample::select(vec![
        None,
        Some(RunState::Running),
        Some(RunState::AwaitingApproval),
        Some(RunState::Denied),
        Some(RunState::Applied),
        Some(RunState::PartiallyApplied),
        Some(RunState::Failed),
        Some(RunState::Superseded),
    ]);
    let failures = vec((0_usize..9, reason()), 0..3);
    let decision = proptest::sample::select(vec![
        None,
        None,
        Some(crate::api::Decision::Approve),
        Some(crate::api::Decision::Deny),
    ]);
    let kind = (any::<bool>(), decision);
    let shape = (vec(action(), 1..6), state, failures, 0_u32..4, any::<bool>(), -99_i64..5, kind);
    shape.prop_map(|(mut actions, state, failures, failed, other_spec, created_at, (connect, decision))| {
        let mut seen = BTreeSet::new();
        actions.retain(|action| seen.insert(action.user.clone()));
        let failures = failures.into_iter().map(|(user, reason)| RunFailure {
            user: key(user).to_string(),
            reason: reason.as_str().to_owned(),
            message: "no".to_owned(),
        });
        KnownRun {
            name: String::new(),
            spec: UserSyncRunSpec {
                policy_ref: NameRef { name: "hq".to_owned() },
                run_type: if connect { RunType::Connect } else { RunType::Disconnect },
                created_at: Time(at(created_at)),
                policy_hash: if other_spec { "sha256:another".to_owned() } else { policy_hash(&Cluster::of(0).spec) },
                plan_hash: crate::plan::runs::plan_hash(&actions),
                actions,
                decision,
                decided_by: None,
            },
            status: UserSyncRunStatus {
                state,
                outcome: Some(RunOutcome { failed, ..RunOutcome::default() }),
                failures: failures.collect(),
                ..UserSyncRunStatus::default()
            },
        }
    })
}
