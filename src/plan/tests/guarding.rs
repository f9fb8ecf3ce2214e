//! The removal guard (R1, R2, R3).

use super::cluster::{Cluster, is};
use super::disconnecting::{decide, disconnects, leaves, removing};
use super::world::{key, minutes};
use crate::api::conditions::ACTION_REQUIRED;
use crate::api::{Decision, Guard, Reason, RemovalAction, RunState};
use crate::plan::guard::allowed;
use crate::plan::readiness::GUARD_TRIPPED;

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

/// R1, R11: deleting all runs and users does not give the guard's allowance back: until a window has passed every removal waits.
#[test]
fn lost_objects_give_no_allowance_back() {
    let mut cluster = guarded(30);
    for index in 0..3 {
        leaves(&mut cluster, index);
        cluster.settle_while_waiting();
    }
    assert_eq!(left(&cluster), 27);
    cluster.users.clear();
    cluster.runs.clear();
    cluster.read_twice();
    cluster.settle_while_waiting();
    leaves(&mut cluster, 4);
    cluster.settle_while_waiting();
    assert_eq!((left(&cluster), cluster.condition(GUARD_TRIPPED)), (27, is("True", Reason::RemovalGuardTripped)));
    cluster.now += minutes(25 * 60);
    cluster.read_twice();
    cluster.settle_while_waiting();
    assert_eq!((left(&cluster), cluster.condition(GUARD_TRIPPED)), (26, None));
}
