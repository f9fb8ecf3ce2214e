//! What holds for every world and every stored object.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::collection::vec;
use proptest::prelude::*;

use super::cluster::{Cluster, problem};
use super::world::{OURS, World, at, key, number, pbx, teams_id};
use crate::api::{
    ActionArgs, ActionExpected, Failure, LastChange, Managed, MatchedBy, NameRef, Reason, RegistrationState, RunAction,
    RunFailure, RunOperation, RunOutcome, RunState, RunType, TeamsConnectorUserSpec, TeamsConnectorUserStatus,
    UserStage, UserState, UserSyncRunSpec, UserSyncRunStatus,
};
use crate::plan::observed::{KnownRun, KnownUser};
use crate::plan::snapshot::SourceFailure;
use crate::plan::user_plan::{RunPlan, UserPlan, Write};
use crate::plan::user_sync::user_sync;

const PEOPLE: usize = 6;

/// One way in which a person differs from one who can be connected.
#[derive(Clone, Copy, Debug)]
enum Quirk {
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
}

fn quirk() -> impl Strategy<Value = Quirk> {
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
    ]
}

fn apply(world: &mut World, index: usize, quirk: Quirk) {
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
    }
}

fn world() -> impl Strategy<Value = World> {
    (vec(quirk(), PEOPLE), 0_u32..10).prop_map(|(quirks, licenses)| {
        let mut world = World::of(PEOPLE);
        world.entitlement.licenses_total = licenses;
        for (index, quirk) in quirks.into_iter().enumerate() {
            apply(&mut world, index, quirk);
        }
        world
    })
}

/// Card 5 by the manual process, for a file of everybody who shall keep or get service.
fn card(cluster: &Cluster, plan: &UserPlan) -> (u32, u32, u32) {
    let world = &cluster.world;
    let is_row = |user: &&crate::plan::user_plan::PlannedUser| match user.status.state {
        Some(UserState::Connected | UserState::Retained) => true,
        Some(UserState::Pending) => matches!(user.status.stage, Some(UserStage::Apply | UserStage::Verify)),
        _ => false,
    };
    let rows: BTreeSet<_> = plan.users.iter().filter(is_row).map(|user| user.key.clone()).collect();
    let paired: BTreeSet<_> = world.pairs.iter().map(|pair| pair.key.clone()).collect();
    let available = world.entitlement.licenses_total.saturating_sub(world.entitlement.licenses_in_use);
    let to_add = u32::try_from(rows.difference(&paired).count()).unwrap().min(available);
    (available, to_add, u32::try_from(paired.len()).unwrap() + to_add)
}

/// Passes with everything that must hold at each.
fn watched(cluster: &mut Cluster, passes: usize) -> Result<(), TestCaseError> {
    for _ in 0..passes {
        let plan = cluster.plan();
        let counters = plan.counters.unwrap();
        let shown = (counters.licenses_available, counters.users_to_add, counters.users_after_sync);
        prop_assert_eq!(shown, card(cluster, &plan));
        prop_assert!(counters.users_to_add <= counters.licenses_available);
        prop_assert_eq!(counters.users_to_remove, 0);
        let carried_out = cluster.pass();
        prop_assert!(cluster.world.entitlement.licenses_in_use <= cluster.world.entitlement.licenses_total.max(3 + 6));
        cluster.between(&carried_out);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Planning after carrying out gives an empty plan, counters add up like the dashboard's (R18), and pairs of others stay.
    #[test]
    fn every_world_comes_to_rest(world in world()) {
        let others: Vec<_> = world.pairs.clone();
        let mut cluster = Cluster::new(world);
        cluster.read();
        watched(&mut cluster, 8)?;
        cluster.world.refuses.clear();
        cluster.wait(7200);
        cluster.read();
        cluster.settle();
        prop_assert!(cluster.plan().is_empty());
        for pair in others {
            let now = cluster.world.pairs.iter().find(|it| it.key == pair.key).unwrap();
            prop_assert_eq!((now.teams_user, &now.external_id), (pair.teams_user, &pair.external_id));
        }
        let distinct: BTreeSet<_> = cluster.puts.iter().collect();
        prop_assert!(distinct.len() <= PEOPLE);
    }

    /// The world changes while the operator works, and comes to rest all the same.
    #[test]
    fn a_changing_world_comes_to_rest(world in world(), changes in vec((0..PEOPLE, quirk()), 0..5)) {
        let mut cluster = Cluster::new(world);
        cluster.read();
        for (index, quirk) in changes {
            let plan = cluster.pass();
            if !matches!(quirk, Quirk::OwnPair | Quirk::OtherPair | Quirk::WrongPair) {
                apply(&mut cluster.world, index, quirk);
            }
            cluster.between(&plan);
        }
        cluster.world.refuses.clear();
        cluster.wait(7200);
        cluster.read_twice();
        cluster.settle();
        prop_assert_eq!(cluster.plan().to_string(), "");
    }

    /// The same situation has the same plan and hash, in whatever order the vendors list it.
    #[test]
    fn the_order_of_the_sources_does_not_matter(world in world(), seed in any::<usize>()) {
        let mut turned = world.clone();
        let by = seed % PEOPLE;
        turned.people.rotate_left(by);
        turned.lines.reverse();
        turned.teams.rotate_right(by);
        turned.numbers.reverse();
        turned.extensions.rotate_left(by);
        turned.pairs.reverse();
        let plan = |world: World| {
            let mut cluster = Cluster::new(world);
            cluster.read();
            cluster.plan()
        };
        prop_assert_eq!(plan(world), plan(turned));
    }

    /// A crash anywhere in any world ends as without it (T1).
    #[test]
    fn a_crash_in_any_world_ends_the_same(world in world(), budget in 0_u32..60) {
        let mut calm = Cluster::new(world.clone());
        calm.world.refuses.clear();
        let mut crashed = calm.clone();
        calm.read();
        calm.settle();
        crashed.read();
        crashed.budget = Some(budget);
        let _ = crashed.try_settle();
        crashed.restart();
        crashed.settle();
        let standing = |cluster: &Cluster| -> Vec<_> {
            let users = cluster.users.values();
            users.map(|it| (it.spec.teams_user_id.clone(), it.spec.managed, it.status.state, it.status.reason.clone())).collect()
        };
        prop_assert_eq!(standing(&calm), standing(&crashed));
        prop_assert_eq!(calm.world.pairs.len(), crashed.world.pairs.len());
    }

    /// From an incomplete source nothing is concluded, whatever is stored (R4).
    #[test]
    fn an_incomplete_reading_changes_no_user(world in world(), stored in stored(), source in 0_usize..10) {
        let mut cluster = stored.on(world);
        let failure = Some(SourceFailure { reason: Reason::RateLimited, cause: "busy".to_owned(), retry_at: None });
        let snapshot = cluster.snapshot.as_mut().unwrap();
        let connector = snapshot.pbxs.get_mut(&pbx()).unwrap();
        match source {
            0 => snapshot.goto_users.failure = failure,
            1 => snapshot.lines.failure = failure,
            2 => snapshot.extensions.failure = failure,
            3 => snapshot.numbers.failure = failure,
            4 => snapshot.teams_users.failure = failure,
            5 => snapshot.number_assignments.failure = failure,
            6 => snapshot.voice.failure = failure,
            7 => connector.entitlement.failure = failure,
            8 => connector.candidates.failure = failure,
            _ => connector.users.failure = failure,
        }
        let plan = user_sync(&cluster.observed(), cluster.now);
        prop_assert!(plan.is_empty());
        prop_assert_eq!(plan.users.len(), cluster.users.len());
    }

    /// Whatever is stored: no panic, no contradiction, nothing sent without a stored mark, and nobody's pair is overwritten.
    #[test]
    fn any_stored_state_gives_a_sound_plan(world in world(), stored in stored()) {
        let mut cluster = stored.on(world);
        let plan = user_sync(&cluster.observed(), cluster.now);
        prop_assert_eq!(plan.check(), vec![]);
        for step in plan.steps() {
            prop_assert_ne!(cluster.users[&step.user].spec.managed, Managed::None);
            let foreign = cluster.world.pairs.iter().find(|pair| pair.key == step.user && pair.external_id.as_deref() != Some(OURS));
            prop_assert_eq!(foreign, None);
        }
        for user in &plan.users {
            let known = cluster.users.get(&user.key);
            let same = known.is_some_and(|known| known.spec == user.spec && known.status == user.status);
            prop_assert_eq!(user.write == Write::Nothing, same);
        }
        prop_assert!(!matches!(&plan.run, RunPlan::Create(_)) || cluster.gate.is_none());
        let before: Vec<_> = cluster.world.pairs.iter().map(|pair| (pair.key.clone(), pair.teams_user)).collect();
        cluster.pass();
        for (key, teams) in before {
            prop_assert!(cluster.world.pairs.iter().any(|pair| pair.key == key && pair.teams_user == teams));
        }
    }
}

/// Stored objects that nobody would write like that.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "any may hold together with any other")]
struct Stored {
    users: Vec<KnownUser>,
    runs: Vec<KnownRun>,
    gate: bool,
    suspended: bool,
    requested: bool,
    failure: Option<Failure>,
    twice: bool,
}

impl Stored {
    fn on(self, world: World) -> Cluster {
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

fn stored() -> impl Strategy<Value = Stored> {
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
    ]);
    let at_stage = proptest::sample::select(vec![
        None,
        Some(UserStage::Import),
        Some(UserStage::Apply),
        Some(UserStage::Verify),
        Some(UserStage::Done),
    ]);
    let pin = proptest::option::of(0_usize..8);
    let change = proptest::option::of((0_usize..4, -2000_i64..20));
    (0_usize..9, pin, managed, state, at_stage, reason(), change, -99_i64..5).prop_map(
        |(index, pin, managed, state, stage, reason, change, first_seen)| KnownUser {
            generation: 3,
            spec: TeamsConnectorUserSpec {
                policy_ref: NameRef { name: "hq".to_owned() },
                goto_user_key: key(index).to_string(),
                teams_user_id: pin.map(|index| teams_id(index).to_string()),
                matched_by: pin.map(|_| MatchedBy::Automatic),
                managed,
                first_seen: Time(at(first_seen)),
                unmatched_since: None,
            },
            status: TeamsConnectorUserStatus {
                state,
                stage,
                reason: Some(reason.as_str().to_owned()),
                registration: Some(RegistrationState::Unknown),
                last_change: change.map(|(run, seconds)| LastChange {
                    run: format!("hq-run-{run}"),
                    action: RunOperation::Put,
                    at: Time(at(seconds)),
                }),
                observed_generation: 3,
                ..TeamsConnectorUserStatus::default()
            },
        },
    )
}

fn run() -> impl Strategy<Value = KnownRun> {
    let action = (0_usize..9, 0_usize..9, any::<bool>()).prop_map(|(user, teams, in_connector)| RunAction {
        user: key(user).to_string(),
        op: RunOperation::Put,
        args: ActionArgs {
            teams_user_id: Some(teams_id(teams).to_string()),
            phone_number: Some(number(user).as_str().to_owned()),
        },
        expected: ActionExpected { in_connector },
    });
    let state = proptest::sample::select(vec![
        None,
        Some(RunState::Running),
        Some(RunState::Applied),
        Some(RunState::PartiallyApplied),
        Some(RunState::Failed),
        Some(RunState::Superseded),
    ]);
    let failures = vec((0_usize..9, reason()), 0..3);
    let shape = (vec(action, 1..6), state, failures, 0_u32..4, 1_i64..3, -99_i64..5);
    shape.prop_map(|(mut actions, state, failures, failed, policy_generation, created_at)| {
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
                run_type: RunType::Connect,
                created_at: Time(at(created_at)),
                policy_generation,
                plan_hash: crate::plan::runs::plan_hash(&actions),
                actions,
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

/// Rule 12 of performance: n log n. A nested scan over so many users would take minutes.
#[test]
fn many_users_are_planned_in_a_moment() {
    let mut world = World::of(0);
    world.entitlement.licenses_total = 50_000;
    (0..20_000).for_each(|index| world.add_person(index));
    let mut cluster = Cluster::new(world);
    cluster.read();
    let plan = cluster.plan();
    assert_eq!(plan.users.len(), 20_000);
}
