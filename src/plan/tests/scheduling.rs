//! When a policy looks again.

use super::cluster::{Cluster, problem};
use super::world::{key, minutes};
use crate::api::Reason;
use crate::plan::observed::{Next, ReadingKind};
use crate::plan::polling::look_again;
use crate::plan::schedule::earlier;
use crate::plan::snapshot::{Job, JobState};

#[test]
fn a_policy_at_rest_waits_for_the_interval() {
    assert_eq!(Cluster::connected(2).plan().next, Next::Interval);
}

/// 2 s to 30 s in the first minutes, then minutes.
#[test]
fn looking_slows_with_age() {
    let since = super::world::at(0);
    let distance = |age: i64| {
        let now = super::world::at(age);
        look_again(since, now).duration_since(now).as_secs()
    };
    let distances: Vec<_> = [0, 5, 30, 60, 149, 599, 600, 1200, 9000].map(distance).into();
    assert_eq!(distances, [2, 2, 6, 12, 29, 30, 60, 120, 300]);
}

#[test]
fn a_run_that_waits_for_an_import_looks_at_the_account() {
    let mut cluster = Cluster::of(1);
    let plan = cluster.pass();
    assert_eq!(plan.next, Next::At(cluster.now, ReadingKind::Account));
    cluster.read();
    assert_eq!(cluster.plan().next, Next::At(look_again(cluster.now, cluster.now), ReadingKind::Account));
}

#[test]
fn after_a_write_the_outcome_is_read_at_once() {
    let mut cluster = Cluster::of(1);
    let plan = cluster.pass();
    cluster.between(&plan);
    assert_eq!(cluster.pass().next, Next::At(cluster.now, ReadingKind::Outcome));
    assert_eq!(cluster.plan().next, Next::At(look_again(cluster.now, cluster.now), ReadingKind::Outcome));
}

#[test]
fn a_running_push_is_followed_and_a_missing_sign_in_is_not() {
    let mut cluster = Cluster::of(1);
    let plan = cluster.pass();
    cluster.between(&plan);
    cluster.pass();
    cluster.read();
    assert_eq!(cluster.pass().next, Next::Interval);
    let started_at = cluster.now - minutes(1);
    cluster.world.pushes =
        vec![Job { id: "now".to_owned(), state: JobState::Open, started_at, finished_at: None, users: 0 }];
    cluster.read();
    assert_eq!(cluster.plan().next, Next::At(look_again(started_at, cluster.now), ReadingKind::Outcome));
}

#[test]
fn a_registration_is_looked_for_until_the_window_is_over() {
    let mut cluster = Cluster::of(1);
    let plan = cluster.pass();
    cluster.between(&plan);
    cluster.pass();
    cluster.world.push(cluster.now);
    cluster.world.pair(0).registration = crate::api::RegistrationState::Pending;
    let finished = cluster.now;
    cluster.read();
    assert_eq!(cluster.pass().next, Next::At(look_again(finished, cluster.now), ReadingKind::Outcome));
    cluster.now += minutes(16);
    cluster.read();
    assert_eq!(cluster.pass().next, Next::Interval);
}

#[test]
fn a_gate_is_not_polled_by_the_policy() {
    let mut cluster = Cluster::of(1);
    cluster.gate = Some(problem(Reason::AwaitingConsent));
    assert_eq!(cluster.pass().next, Next::Interval);
}

#[test]
fn whoever_failed_is_tried_again_when_the_back_off_is_over() {
    let mut cluster = Cluster::of(2);
    cluster.world.refuses.insert(key(0), Reason::Rejected);
    let plan = cluster.pass();
    cluster.between(&plan);
    cluster.pass();
    let retry_at = cluster.now + minutes(1);
    cluster.read();
    cluster.settle();
    cluster.now = retry_at - minutes(1);
    assert_eq!(cluster.plan().next, Next::At(retry_at, ReadingKind::Account));
    cluster.gate = Some(problem(Reason::AwaitingConsent));
    assert_eq!(cluster.plan().next, Next::Interval);
}

#[test]
fn of_two_times_the_earlier_counts_and_of_two_kinds_the_larger() {
    let (now, later) = (super::world::at(0), super::world::at(9));
    let outcome = Next::At(now, ReadingKind::Outcome);
    assert_eq!(earlier(Next::Interval, outcome), outcome);
    assert_eq!(earlier(Next::At(later, ReadingKind::Full), outcome), outcome);
    assert_eq!(earlier(Next::At(now, ReadingKind::Account), outcome), outcome);
}
