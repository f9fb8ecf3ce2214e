//! The removal guard (R1, R2, R3).

use super::cluster::{Cluster, is};
use super::disconnecting::{decide, disconnects, leaves, removing};
use super::world::{OURS, World, at, key, minutes};
use crate::api::conditions::{ACTION_REQUIRED, READY};
use crate::api::{Decision, Guard, Reason, RemovalAction, RunState};
use crate::plan::guard::allowed;
use crate::plan::observed::{Next, ReadingKind};
use crate::plan::readiness::GUARD_TRIPPED;
use crate::plan::user_plan::RunPlan;

fn guarded(people: usize) -> Cluster {
    let mut cluster = removing(people, RemovalAction::Remove);
    cluster.spec.removal.guard = Guard::default();
    cluster.generation += 1;
    cluster.settle();
    cluster
}

fn left(cluster: &Cluster) -> usize {
    cluster.world.pairs.len()
}

/// R2: `min(maxCount, max(alwaysAllow, floor(maxPercent × M)))`.
#[test]
fn the_limit_is_a_share_of_who_is_managed() {
    let guard = Guard::default();
    for (managed, expected) in [(0, 2), (3, 2), (29, 2), (30, 3), (40, 4), (499, 49), (50_000, 50)] {
        assert_eq!(allowed(&guard, managed), expected, "{managed}");
    }
}

/// R2, R3: above the limit nothing is taken, not even what the limit allows; the trip can be approved.
#[test]
fn above_the_limit_nobody_loses_service_before_an_approval() {
    let mut cluster = guarded(30);
    for index in 0..3 {
        cluster.world.remove_person(index);
    }
    leaves(&mut cluster, 3);
    cluster.settle_while_waiting();
    assert_eq!((left(&cluster), cluster.other_calls.len()), (30, 0));
    assert_eq!(cluster.condition(GUARD_TRIPPED), is("True", Reason::RemovalGuardTripped));
    assert_eq!(cluster.condition(ACTION_REQUIRED), is("True", Reason::RemovalGuardTripped));
    let removals = cluster.status.removals.unwrap();
    assert_eq!((removals.in_window, removals.allowed), (0, 3));
    decide(&mut cluster, Decision::Approve);
    cluster.settle();
    assert_eq!((left(&cluster), cluster.condition(GUARD_TRIPPED)), (26, None));
}

/// R2: an empty source trips, however it came to be complete.
#[test]
fn an_empty_directory_removes_nobody() {
    let mut cluster = guarded(40);
    (0..40).for_each(|index| cluster.world.remove_person(index));
    cluster.read_twice();
    cluster.pass();
    cluster.now += minutes(61);
    cluster.read_twice();
    cluster.settle_while_waiting();
    assert_eq!(left(&cluster), 40);
}

/// R2: the last managed user is always too many.
#[test]
fn the_last_user_needs_an_approval() {
    let mut cluster = guarded(2);
    cluster.world.remove_person(0);
    leaves(&mut cluster, 1);
    cluster.settle_while_waiting();
    assert_eq!(left(&cluster), 2);
    let mut cluster = guarded(1);
    leaves(&mut cluster, 0);
    cluster.settle_while_waiting();
    assert_eq!(left(&cluster), 1);
}

/// R1: slow bleed. One at a time, restarts between, every status lost: the window is in the specs of the runs.
#[test]
fn one_by_one_trips_like_all_at_once() {
    let mut cluster = guarded(30);
    for index in 0..10 {
        leaves(&mut cluster, index);
        cluster.now += minutes(10);
        cluster.read_twice();
        cluster.settle_while_waiting();
        for run in cluster.runs.values_mut().filter(|run| run.status.state == Some(RunState::Applied)) {
            run.status.outcome = None;
        }
        cluster.restart();
        cluster.read();
    }
    assert_eq!(left(&cluster), 27);
}

/// R1: ten runs of one, the process ended and every status lost after each, trip like one run of ten.
#[test]
fn ten_runs_of_one_trip_like_one_of_ten_though_every_status_is_lost() {
    let mut cluster = guarded(30);
    for index in 0..10 {
        leaves(&mut cluster, index);
        cluster.settle_while_waiting();
        cluster.users.values_mut().for_each(|user| user.status = crate::api::TeamsConnectorUserStatus::default());
        cluster.runs.values_mut().for_each(|run| run.status = crate::api::UserSyncRunStatus::default());
        cluster.status = crate::api::UserSyncPolicyStatus::default();
        cluster.restart();
        cluster.read();
        cluster.settle_while_waiting();
    }
    assert!((27..30).contains(&left(&cluster)), "{}", left(&cluster));
    assert_eq!(cluster.condition(GUARD_TRIPPED), is("True", Reason::RemovalGuardTripped));
}

/// R1: with a window of ten days one leaver every few hours trips like one day of many.
#[test]
fn a_window_of_ten_days_sums_up_one_leaver_every_few_hours() {
    for (window, gone) in [("240h", 10), ("24h", 30)] {
        let mut cluster = guarded(100);
        cluster.spec.removal.guard.window = window.parse().unwrap();
        cluster.generation += 1;
        cluster.settle();
        for index in 0..30 {
            leaves(&mut cluster, index);
            cluster.now += minutes(6 * 60);
            cluster.restart();
            cluster.read();
            cluster.settle_while_waiting();
        }
        assert_eq!(100 - left(&cluster), gone, "{window}");
        let tripped = (window == "240h").then(|| is("True", Reason::RemovalGuardTripped)).flatten();
        assert_eq!(cluster.condition(GUARD_TRIPPED), tripped, "{window}");
    }
}

/// R2, R3: as many as the guard allows go, one more and nobody does: of 3, of 40, of 500.
#[test]
fn the_limit_holds_for_small_and_large_policies() {
    for (people, allowed) in [(3, 2), (40, 4), (500, 50)] {
        for more in [0, 1] {
            let mut cluster = guarded(people);
            (1..allowed + more).for_each(|index| cluster.world.remove_person(index));
            leaves(&mut cluster, 0);
            cluster.settle_while_waiting();
            let gone = if more == 0 { allowed } else { 0 };
            assert_eq!(people - left(&cluster), gone, "{people}");
        }
    }
}

/// R2: of 50,000 no more than 50 go without a decision.
#[test]
fn the_limit_of_a_very_large_policy_is_a_count() {
    let mut world = World::of(0);
    world.entitlement.licenses_total = 60_000;
    (0..50_000).for_each(|index| {
        world.add_person(index);
        world.add_pair(index, index, Some(OURS), at(0));
        world.voice[index].enterprise_voice = true;
    });
    let mut cluster = Cluster::new(world);
    cluster.spec.removal.action = RemovalAction::Remove;
    cluster.read();
    cluster.pass();
    let everybody = cluster.world.clone();
    for (leavers, state) in [(51, RunState::AwaitingApproval), (50, RunState::Running)] {
        let here: std::collections::BTreeSet<_> = (leavers..50_000).map(key).collect();
        cluster.world.people = everybody.people.iter().filter(|it| here.contains(&it.key)).cloned().collect();
        cluster.world.lines = everybody.lines.iter().filter(|it| here.contains(&it.key)).cloned().collect();
        cluster.read();
        if leavers == 51 {
            cluster.read();
            cluster.pass();
            cluster.now += minutes(25 * 60);
            cluster.read_twice();
        }
        let RunPlan::Create(run) = cluster.plan().disconnect else { panic!("no run") };
        assert_eq!((run.spec.actions.len(), run.status.state), (leavers, Some(state)));
    }
}

/// R1: after the window the count starts anew; what was approved is not in it.
#[test]
fn the_window_moves_on() {
    let mut cluster = guarded(30);
    for index in 0..3 {
        leaves(&mut cluster, index);
        cluster.settle_while_waiting();
    }
    assert_eq!((left(&cluster), cluster.status.removals.unwrap().in_window), (27, 3));
    cluster.now += minutes(25 * 60);
    cluster.read_twice();
    cluster.settle_while_waiting();
    leaves(&mut cluster, 4);
    cluster.settle_while_waiting();
    assert_eq!((left(&cluster), cluster.status.removals.unwrap().in_window), (26, 1));
}

/// An approval never raises the limit for later runs, and is not counted by them.
#[test]
fn an_approved_run_is_not_counted() {
    let mut cluster = guarded(30);
    (0..5).for_each(|index| cluster.world.remove_person(index));
    leaves(&mut cluster, 5);
    cluster.settle_while_waiting();
    decide(&mut cluster, Decision::Approve);
    cluster.settle();
    assert_eq!((left(&cluster), cluster.status.removals.unwrap().in_window), (24, 0));
    assert_eq!(disconnects(&cluster).len(), 1);
}

/// Who is still in grace and would be too many is told at once, not when the grace period ends.
#[test]
fn too_many_in_grace_is_an_early_warning() {
    let mut cluster = guarded(30);
    (0..4).for_each(|index| cluster.world.remove_person(index));
    cluster.read_twice();
    let warning = cluster.pass().warning.unwrap();
    assert_eq!((warning.users, warning.allowed), (4, 3));
    assert!(cluster.users.contains_key(&key(0)) && disconnects(&cluster).is_empty());
}

/// What the open run took already is part of the warning.
#[test]
fn the_early_warning_counts_what_the_open_run_took() {
    let mut cluster = guarded(30);
    cluster.spec.rollout.batch_size = 1;
    cluster.generation += 1;
    cluster.settle();
    cluster.world.remove_person(0);
    leaves(&mut cluster, 1);
    while left(&cluster) == 30 {
        let plan = cluster.pass();
        cluster.between(&plan);
    }
    (2..4).for_each(|index| cluster.world.remove_person(index));
    cluster.read_twice();
    let warning = cluster.pass().warning.map(|warning| (warning.users, warning.allowed));
    assert_eq!((warning, left(&cluster), disconnects(&cluster).len()), (Some((4, 3)), 29, 1));
}

/// Everything that the operator stored for the policy vanishes, the policy itself is put back as it was written.
fn vanish(cluster: &mut Cluster) {
    cluster.users.clear();
    cluster.runs.clear();
    cluster.status = crate::api::UserSyncPolicyStatus::default();
    cluster.restart();
    cluster.read();
    cluster.settle();
}

/// Two lose service, which is all that the guard allows within a window, and then everything vanishes.
fn used_up_and_vanished(change: impl FnOnce(&mut Cluster)) -> Cluster {
    let mut cluster = guarded(10);
    cluster.world.remove_person(0);
    leaves(&mut cluster, 1);
    cluster.settle();
    assert_eq!(left(&cluster), 8);
    change(&mut cluster);
    vanish(&mut cluster);
    cluster
}

/// R2, R10: the guard's memory is gone with the runs, so nobody loses service before a window is over; then all goes on.
#[test]
fn removals_rest_for_a_window_when_every_object_of_an_older_policy_vanished() {
    let changes: [fn(&mut Cluster); 3] = [
        |_| {},
        |cluster| cluster.adopted = None,
        |cluster| {
            for pair in &mut cluster.world.pairs {
                (pair.external_id, pair.updated_at) = (None, at(-99));
            }
        },
    ];
    for change in changes {
        let mut cluster = used_up_and_vanished(change);
        let vanished = cluster.now;
        leaves(&mut cluster, 2);
        cluster.settle();
        assert_eq!((left(&cluster), cluster.reason(2)), (8, Some(Reason::RemovalHeld)));
        assert_eq!(cluster.condition(READY), is("True", Reason::RemovalsResting));
        assert_eq!((cluster.condition(ACTION_REQUIRED), disconnects(&cluster).len()), (None, 0));
        cluster.now = vanished + minutes(24 * 60 + 1);
        cluster.read_twice();
        cluster.settle();
        assert_eq!(left(&cluster), 7);
    }
}

/// R1, R10: where the runs alone were deleted, the user objects tell who lost service within the window.
#[test]
fn the_users_tell_the_window_when_the_runs_were_deleted() {
    let mut cluster = guarded(10);
    cluster.world.remove_person(0);
    leaves(&mut cluster, 1);
    cluster.settle();
    cluster.runs.clear();
    cluster.restart();
    cluster.settle();
    let removed_at = cluster.now;
    assert_eq!((left(&cluster), cluster.status.removals.unwrap().in_window), (8, 2));
    leaves(&mut cluster, 2);
    cluster.settle_while_waiting();
    assert_eq!(cluster.condition(GUARD_TRIPPED), is("True", Reason::RemovalGuardTripped));
    cluster.now = removed_at + minutes(24 * 60 + 1);
    cluster.read_twice();
    cluster.settle_while_waiting();
    assert_eq!((left(&cluster), cluster.status.removals.unwrap().in_window), (7, 1));
}

/// It looks again when the rest is over.
#[test]
fn the_end_of_the_rest_is_waited_for() {
    let mut cluster = used_up_and_vanished(|_| {});
    leaves(&mut cluster, 2);
    cluster.settle();
    let Next::At(then, kind) = cluster.plan().next else { panic!("nothing is waited for") };
    assert_eq!(kind, ReadingKind::Full);
    assert!(then > cluster.now && then < cluster.now + minutes(24 * 60));
}

/// Where nothing was lost nothing rests: not at a new policy, nor when the runs alone are gone or all who began have left.
#[test]
fn nothing_rests_while_an_older_object_is_there() {
    let mut cluster = guarded(10);
    cluster.runs.clear();
    cluster.restart();
    cluster.settle();
    leaves(&mut cluster, 1);
    cluster.settle();
    assert_eq!(left(&cluster), 9);
}

/// R3, R10: a run that is open already rests as well, unless somebody approved exactly it.
#[test]
fn an_open_run_rests_unless_it_was_approved() {
    for approved in [false, true] {
        let mut cluster = guarded(10);
        leaves(&mut cluster, 1);
        cluster.pass();
        cluster.adopted = Some(format!("Matched@{}", at(-9_000)));
        let run = cluster.runs.values_mut().max_by_key(|run| run.spec.created_at.0).unwrap();
        run.spec.decision = approved.then_some(Decision::Approve);
        cluster.settle_while_waiting();
        assert_eq!(left(&cluster), if approved { 9 } else { 10 });
    }
}
