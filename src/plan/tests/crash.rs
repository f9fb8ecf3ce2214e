//! The process may end before any write, and any status may be lost: the end is the same (T1, R10).

use std::collections::BTreeMap;

use super::cluster::{Cluster, problem};
use super::disconnecting::{leaves, removing};
use super::world::{World, at, key};
use crate::api::{
    Counters, Managed, Reason, RemovalAction, RunState, UserStage, UserState, UserSyncPolicyStatus, UserSyncRunStatus,
};
use crate::domain::{EntraObjectId, UserKey};

/// Pin, mark, state, stage and reason.
type Standing = (Option<String>, Managed, Option<UserState>, Option<UserStage>, Option<String>);

/// What must be the same whatever happened on the way.
#[derive(Debug, PartialEq)]
struct End {
    users: BTreeMap<UserKey, Standing>,
    pairs: BTreeMap<UserKey, (EntraObjectId, Option<String>)>,
}

fn world() -> World {
    let mut world = World::of(6);
    world.entitlement.licenses_total = 4;
    world.teams[2].has_phone_system = false;
    world.add_pair(3, 3, Some("somebody"), at(-99));
    world
}

fn start() -> Cluster {
    let mut cluster = Cluster::new(world());
    cluster.read();
    cluster
}

fn end(cluster: &Cluster) -> End {
    let user = |(key, known): (&UserKey, &crate::plan::observed::KnownUser)| {
        let (spec, status) = (&known.spec, &known.status);
        let facts = (spec.teams_user_id.clone(), spec.managed, status.state, status.stage, status.reason.clone());
        (key.clone(), facts)
    };
    End {
        users: cluster.users.iter().map(user).collect(),
        pairs: cluster.world.pairs.iter().map(|it| (it.key.clone(), (it.teams_user, it.external_id.clone()))).collect(),
    }
}

/// The counters of each run when it was planned.
fn planned(cluster: &Cluster) -> Vec<Option<Counters>> {
    cluster.runs.values().map(|run| run.status.counters).collect()
}

fn undisturbed() -> (End, u32) {
    let mut cluster = start();
    cluster.settle();
    (end(&cluster), cluster.writes)
}

/// T1
#[test]
fn a_crash_before_any_write_ends_the_same() {
    let (expected, writes) = undisturbed();
    assert_eq!(expected.pairs.len(), 4);
    let counters = {
        let mut cluster = start();
        cluster.settle();
        planned(&cluster)
    };
    for budget in 0..writes {
        let mut cluster = start();
        cluster.budget = Some(budget);
        assert!(cluster.try_settle().is_err(), "no crash at {budget}");
        cluster.restart();
        cluster.settle();
        assert_eq!(end(&cluster), expected, "crash before write {budget}");
        assert_eq!(planned(&cluster), counters, "crash before write {budget}");
        assert!(cluster.puts.len() <= 4, "crash before write {budget}");
    }
}

/// T1: after a second crash in the middle of what the run writes its counters are those of its plan, or none; never those of what is left.
#[test]
fn a_second_crash_changes_no_counters_of_a_plan() {
    let mut whole = start();
    whole.settle();
    let counters = planned(&whole);
    for (first, second) in (0..whole.writes).flat_map(|first| (1..12).map(move |second| (first, second))) {
        let mut cluster = start();
        for budget in [first, second] {
            cluster.budget = Some(budget);
            let _crash = cluster.try_settle();
            cluster.restart();
            // Meanwhile the connector goes on.
            cluster.world.import(cluster.now);
            cluster.read();
        }
        cluster.settle();
        let is_planned = |it: &Option<Counters>| it.is_none() || counters.contains(it);
        assert!(planned(&cluster).iter().all(is_planned), "{first}, {second}: {:?}", planned(&cluster));
    }
}

/// T1, R18: users of whom only some were stored before the process ended keep their order, whatever the order of the stored ones.
#[test]
fn a_crash_in_the_first_pass_changes_no_order() {
    let start = || {
        let mut world = World::of(6);
        world.entitlement.licenses_total = 2;
        for index in 0..6 {
            // The last key has the first address.
            let address = Some(format!("p{}@contoso.example", 9 - index).parse().unwrap());
            world.people[index].address.clone_from(&address);
            world.teams[index].upn_address = address;
        }
        let mut cluster = Cluster::new(world);
        cluster.gate = Some(problem(Reason::AccountNotReady));
        cluster.read();
        cluster
    };
    let finish = |mut cluster: Cluster| {
        cluster.gate = None;
        cluster.settle();
        end(&cluster)
    };
    let mut whole = start();
    whole.pass();
    let writes = whole.writes;
    let expected = finish(whole);
    assert_eq!(expected.pairs.keys().cloned().collect::<Vec<_>>(), [key(4), key(5)]);
    for budget in 0..writes {
        let mut cluster = start();
        cluster.budget = Some(budget);
        assert!(cluster.try_pass().is_err(), "no crash at {budget}");
        cluster.restart();
        cluster.pass();
        assert_eq!(finish(cluster), expected, "crash before write {budget}");
    }
}

/// T1: a process ends after it stored the run and some of its users, and the next one comes so late that the first pass is long over:
/// the import that began in between knows all of them, so there is no other.
#[test]
fn a_late_restart_in_the_first_pass_calls_for_no_other_import() {
    let (_, writes) = undisturbed();
    let mut crashes = 0;
    for budget in 0..writes {
        let mut cluster = start();
        cluster.budget = Some(budget);
        if cluster.try_settle().is_ok() || cluster.runs.is_empty() || !cluster.world.imports.is_empty() {
            continue;
        }
        cluster.world.import(cluster.now);
        cluster.now += k8s_openapi::jiff::SignedDuration::from_mins(20);
        cluster.restart();
        cluster.settle();
        assert_eq!(cluster.world.imports.len(), 1, "crash before write {budget}");
        crashes += 1;
    }
    assert!(crashes > 2, "the run was stored in {crashes} of them");
}

/// T1: two crashes.
#[test]
fn a_second_crash_ends_the_same() {
    let (expected, writes) = undisturbed();
    for budget in (0..writes).step_by(3) {
        let mut cluster = start();
        cluster.budget = Some(budget);
        assert!(cluster.try_settle().is_err());
        cluster.restart();
        cluster.budget = Some(2);
        let second = cluster.try_settle();
        cluster.restart();
        cluster.settle();
        assert_eq!(end(&cluster), expected, "crash before write {budget}, then {second:?}");
    }
}

fn disturbed(disturb: fn(&mut Cluster)) {
    let (expected, _) = undisturbed();
    for passes in 0..8 {
        let mut cluster = start();
        for _ in 0..passes {
            let plan = cluster.pass();
            cluster.between(&plan);
        }
        disturb(&mut cluster);
        cluster.restart();
        cluster.settle();
        assert_eq!(end(&cluster), expected, "after {passes} passes");
    }
}

/// R10
#[test]
fn losing_every_status_ends_the_same() {
    disturbed(|cluster| {
        cluster.status = UserSyncPolicyStatus::default();
        for user in cluster.users.values_mut() {
            user.status = crate::api::TeamsConnectorUserStatus::default();
        }
        for run in cluster.runs.values_mut() {
            run.status = UserSyncRunStatus::default();
        }
    });
}

/// R10
#[test]
fn losing_every_run_ends_the_same() {
    disturbed(|cluster| cluster.runs.clear());
}

/// R11. The adopted pair is recognized by its age, which the runs still tell.
#[test]
fn losing_every_user_object_ends_the_same() {
    disturbed(|cluster| cluster.users.clear());
}

/// R10, R11
#[test]
fn losing_everything_ends_the_same_but_for_the_marks_that_the_connector_keeps() {
    disturbed(|cluster| {
        cluster.users.clear();
        cluster.runs.clear();
        cluster.status = UserSyncPolicyStatus::default();
    });
}

#[test]
fn a_failure_survives_a_restart_with_its_back_off() {
    let mut cluster = Cluster::of(3);
    cluster.world.refuses.insert(key(0), Reason::Rejected);
    let plan = cluster.pass();
    cluster.between(&plan);
    cluster.pass();
    let failure = cluster.status.failure.clone();
    cluster.restart();
    cluster.pass();
    assert!(failure.is_some());
    assert_eq!(cluster.status.failure, failure);
    assert_eq!((cluster.runs.len(), cluster.reason(0)), (1, Some(Reason::Rejected)));
}

/// The run alone keeps whoever failed out for a minute.
#[test]
fn a_lost_back_off_starts_anew() {
    let mut cluster = Cluster::of(3);
    cluster.world.refuses.insert(key(0), Reason::Rejected);
    let plan = cluster.pass();
    cluster.between(&plan);
    cluster.pass();
    cluster.status = UserSyncPolicyStatus::default();
    cluster.read();
    cluster.pass();
    assert_eq!(cluster.runs.len(), 1);
    cluster.wait(60);
    cluster.read();
    cluster.pass();
    assert_eq!(cluster.runs.len(), 2);
}

/// T1, R14: a removal that two processes in a row did not come to note is told nevertheless, with the old values.
#[test]
fn a_removal_that_was_never_noted_keeps_the_old_values() {
    for budget in 0..4 {
        let mut cluster = removing(3, RemovalAction::Remove);
        leaves(&mut cluster, 0);
        while cluster.world.pairs.len() > 2 {
            // Until just after the deletion, whatever it takes.
            let before = cluster.clone();
            cluster.pass();
            if cluster.world.pairs.len() == 2 {
                cluster = before;
                cluster.budget = Some(1);
                assert!(cluster.try_pass().is_err());
                assert_eq!(cluster.world.pairs.len(), 2);
                break;
            }
            cluster.read();
        }
        cluster.restart();
        cluster.world.push(cluster.now);
        cluster.read_twice();
        cluster.budget = Some(budget);
        _ = cluster.try_pass();
        cluster.restart();
        cluster.read_twice();
        cluster.settle();
        assert_eq!(cluster.state(0), Some(UserState::Removed), "crash before write {budget}");
        let change = cluster.user(0).status.last_change.as_ref().unwrap();
        assert!(change.before.as_ref().unwrap().phone_number.is_some(), "crash before write {budget}");
        assert!(cluster.run_states().iter().all(|state| *state == Some(RunState::Applied)), "{budget}");
        assert_eq!(cluster.user(0).spec.leaving, None);
    }
}
