//! Absence needs two complete readings that agree, and takes nothing away (R5, R8, R12).

use super::cluster::Cluster;
use super::world::{OURS, key, minutes, other_pbx};
use crate::api::{Managed, Reason, UserStage, UserState};

/// R5
#[test]
fn one_reading_without_a_user_changes_nothing() {
    let mut cluster = Cluster::connected(2);
    cluster.world.remove_person(0);
    cluster.read();
    let plan = cluster.pass();
    assert!(plan.is_empty(), "{plan}");
    assert_eq!(plan.counters.unwrap().users_to_remove, 0);
}

/// R5
#[test]
fn a_user_who_comes_back_was_never_away() {
    let mut cluster = Cluster::connected(2);
    let world = cluster.world.clone();
    cluster.world.remove_person(0);
    cluster.read();
    cluster.pass();
    cluster.world = world;
    cluster.read();
    assert!(cluster.pass().is_empty());
}

/// R12: nothing is taken away under Retain.
#[test]
fn a_connected_user_who_left_is_retained() {
    let mut cluster = Cluster::connected(2);
    cluster.world.remove_person(0);
    cluster.read_twice();
    let plan = cluster.pass();
    assert_eq!((cluster.state(0), cluster.reason(0)), (Some(UserState::Retained), Some(Reason::InGracePeriod)));
    assert_eq!(cluster.user(0).spec.unmatched_since.as_ref().map(|time| time.0), Some(cluster.now));
    assert_eq!(plan.counters.unwrap().users_to_remove, 0);
    assert_eq!(plan.counters.unwrap().users_after_sync, 2);
    assert!(plan.steps().is_empty() && plan.obsolete.is_empty());
}

#[test]
fn the_grace_period_starts_once_and_ends_with_the_match() {
    let mut cluster = Cluster::connected(1);
    let lines = std::mem::take(&mut cluster.world.lines[0].lines);
    cluster.read_twice();
    cluster.pass();
    let since = cluster.user(0).spec.unmatched_since.clone();
    cluster.read_twice();
    assert!(cluster.pass().is_empty());
    assert_eq!(cluster.user(0).spec.unmatched_since, since);
    cluster.world.lines[0].lines = lines;
    cluster.read_twice();
    cluster.settle();
    assert_eq!((cluster.state(0), &cluster.user(0).spec.unmatched_since), (Some(UserState::Connected), &None));
}

#[test]
fn a_line_in_another_pbx_is_leaving() {
    let mut cluster = Cluster::connected(1);
    cluster.world.lines[0].lines[0].organization = other_pbx();
    cluster.read_twice();
    cluster.pass();
    assert_eq!(cluster.user(0).status.stage, Some(UserStage::Import));
    assert_eq!(cluster.state(0), Some(UserState::Retained));
}

#[test]
fn a_deleted_microsoft_user_leaves_the_pair_retained_with_its_pin() {
    let mut cluster = Cluster::connected(1);
    let pin = cluster.user(0).spec.teams_user_id.clone();
    cluster.world.remove_teams_user(0);
    cluster.read();
    assert!(cluster.pass().is_empty());
    cluster.read();
    cluster.pass();
    assert_eq!((cluster.state(0), cluster.user(0).status.stage), (Some(UserState::Retained), Some(UserStage::Match)));
    assert_eq!(cluster.user(0).spec.teams_user_id, pin);
}

/// An unmanaged user's object may go; nothing was ever done for the user.
#[test]
fn the_object_of_a_blocked_user_who_left_may_go() {
    let mut cluster = Cluster::of(1);
    cluster.world.teams[0].enabled = false;
    cluster.read();
    cluster.pass();
    cluster.world.remove_person(0);
    cluster.read();
    assert!(cluster.pass().obsolete.is_empty());
    cluster.read();
    assert_eq!(cluster.pass().obsolete, [key(0)]);
    assert!(cluster.users.is_empty());
}

#[test]
fn a_blocked_user_without_a_line_keeps_an_object() {
    let mut cluster = Cluster::of(1);
    cluster.world.teams[0].enabled = false;
    cluster.read();
    cluster.pass();
    cluster.world.lines[0].lines.clear();
    cluster.read_twice();
    cluster.pass();
    assert_eq!(cluster.reason(0), Some(Reason::NoLine));
}

#[test]
fn a_pin_without_microsoft_user_is_given_up_when_nothing_was_done() {
    let mut cluster = Cluster::of(1);
    cluster.gate = Some(super::cluster::problem(Reason::AccountNotReady));
    cluster.pass();
    cluster.world.remove_teams_user(0);
    cluster.read_twice();
    cluster.pass();
    assert_eq!((cluster.reason(0), &cluster.user(0).spec.teams_user_id), (Some(Reason::NoMatch), &None));
}

/// R11: objects are not people.
#[test]
fn deleting_every_object_takes_nothing_away() {
    let mut cluster = Cluster::connected(3);
    let pairs = cluster.world.pairs.clone();
    cluster.users.clear();
    cluster.runs.clear();
    cluster.restart();
    cluster.settle();
    assert_eq!(cluster.world.pairs, pairs);
    assert!((0..3).all(|index| cluster.state(index) == Some(UserState::Connected)));
}

/// R10: a pair with our mark whose object is lost and who left is found again and kept.
#[test]
fn a_pair_of_ours_without_object_and_person_is_retained() {
    let mut cluster = Cluster::connected(1);
    cluster.users.clear();
    cluster.world.remove_person(0);
    cluster.restart();
    cluster.pass();
    cluster.read();
    cluster.pass();
    assert_eq!((cluster.state(0), cluster.user(0).spec.managed), (Some(UserState::Retained), Managed::Added));
    assert_eq!(cluster.world.pair(0).external_id.as_deref(), Some(OURS));
}

#[test]
fn a_pair_that_somebody_deleted_is_reported_and_comes_back_by_request() {
    let mut cluster = Cluster::connected(1);
    cluster.now += minutes(60);
    cluster.world.remove_pair(0);
    cluster.read();
    assert!(cluster.pass().is_empty());
    cluster.read();
    cluster.settle();
    assert_eq!((cluster.state(0), cluster.reason(0)), (Some(UserState::Blocked), Some(Reason::Disconnected)));
    cluster.requested_at = Some("now".to_owned());
    cluster.settle();
    assert_eq!(cluster.state(0), Some(UserState::Connected));
    assert_eq!(cluster.status.last_handled_reconcile_at.as_deref(), Some("now"));
    assert_eq!(cluster.puts.len(), 2);
}

#[test]
fn a_pair_that_somebody_disabled_is_reported_and_not_touched() {
    let mut cluster = Cluster::connected(1);
    cluster.world.pair(0).enabled = false;
    cluster.read_twice();
    cluster.settle();
    assert_eq!((cluster.state(0), cluster.reason(0)), (Some(UserState::Blocked), Some(Reason::Disconnected)));
    assert_eq!(cluster.user(0).spec.managed, Managed::Added);
}

/// A user who waits for a write and is not found is neither written nor forgotten.
#[test]
fn an_action_for_a_user_who_is_not_found_waits_for_the_second_reading() {
    let mut cluster = Cluster::of(1);
    let plan = cluster.pass();
    cluster.world.remove_person(0);
    cluster.between(&plan);
    let plan = cluster.pass();
    assert!(plan.steps().is_empty());
    assert_eq!(cluster.state(0), Some(UserState::Pending));
    cluster.read();
    cluster.settle();
    assert!(cluster.users.is_empty() && cluster.puts.is_empty());
    assert_eq!(cluster.run_states(), [Some(crate::api::RunState::Superseded)]);
}

/// R5, for the pair: a listing that lost it does not decide alone.
#[test]
fn a_retained_pair_that_vanished_is_given_up_after_two_readings() {
    let mut cluster = Cluster::connected(1);
    cluster.world.remove_person(0);
    cluster.read_twice();
    cluster.pass();
    cluster.world.remove_pair(0);
    cluster.read();
    assert!(cluster.pass().is_empty());
    cluster.read();
    assert_eq!(cluster.pass().obsolete, [key(0)]);
}
