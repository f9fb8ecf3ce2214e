//! Whose pair it is (R8): added, adopted at the first complete plan, or foreign.

use super::cluster::Cluster;
use super::world::{OURS, World, at, key};
use crate::api::{Managed, Reason, UserState};

fn first_plan(change: impl FnOnce(&mut World)) -> Cluster {
    let mut world = World::of(2);
    change(&mut world);
    let mut cluster = Cluster::new(world);
    cluster.read();
    cluster
}

#[test]
fn a_pair_with_our_mark_is_found_again_as_added() {
    let mut cluster = first_plan(|it| it.add_pair(0, 0, Some(OURS), at(-99)));
    cluster.pass();
    assert_eq!(cluster.user(0).spec.managed, Managed::Added);
}

#[test]
fn a_matching_pair_is_adopted_at_the_first_plan() {
    let mut cluster = first_plan(|it| it.add_pair(0, 0, Some("somebody"), at(-99)));
    cluster.settle();
    assert_eq!(cluster.user(0).spec.managed, Managed::Adopted);
    assert_eq!(cluster.state(0), Some(UserState::Connected));
    assert_eq!(cluster.puts, [key(1)]);
}

/// The time in the specs decides, not whether objects exist: a crash in the middle of the first plan adopts the rest later.
#[test]
fn a_crash_in_the_middle_of_the_first_plan_adopts_the_rest() {
    let mut cluster = first_plan(|it| {
        it.add_pair(0, 0, None, at(-99));
        it.add_pair(1, 1, None, at(-99));
    });
    cluster.budget = Some(2);
    assert!(cluster.try_pass().is_err());
    assert_eq!(cluster.users.len(), 1);
    cluster.restart();
    cluster.settle();
    assert_eq!([0, 1].map(|index| cluster.user(index).spec.managed), [Managed::Adopted; 2]);
}

/// R8
#[test]
fn a_pair_that_somebody_adds_later_is_foreign_and_never_overwritten() {
    let mut cluster = Cluster::connected(1);
    cluster.world.add_person(1);
    cluster.world.add_pair(1, 1, Some("somebody"), cluster.now);
    cluster.settle();
    assert_eq!((cluster.state(1), cluster.reason(1)), (Some(UserState::Blocked), Some(Reason::ForeignUser)));
    assert_eq!(cluster.user(1).spec.managed, Managed::None);
    assert_eq!(cluster.status.users.unwrap().foreign, 1);
    assert_eq!(cluster.puts, [key(0)]);
}

/// R8
#[test]
fn a_pair_with_another_microsoft_user_is_foreign() {
    let mut cluster = first_plan(|it| {
        it.add_person(2);
        it.people.pop();
        it.lines.pop();
        it.add_pair(0, 2, Some("somebody"), at(-99));
    });
    cluster.pass();
    assert_eq!(cluster.reason(0), Some(Reason::ForeignUser));
    cluster.settle();
    assert!(!cluster.puts.contains(&key(0)));
}

#[test]
fn a_pair_of_nobody_we_know_is_counted_as_foreign() {
    let mut cluster = first_plan(|it| it.add_pair(9, 9, None, at(-99)));
    cluster.pass();
    assert_eq!(cluster.status.users.unwrap().foreign, 1);
    assert!(!cluster.users.contains_key(&key(9)));
}

/// The mark is written with the run, before the connector is asked.
#[test]
fn nobody_is_marked_before_there_is_a_run() {
    let mut cluster = first_plan(|_| {});
    cluster.gate = Some(super::cluster::problem(Reason::AccountNotReady));
    cluster.pass();
    assert_eq!(cluster.user(0).spec.managed, Managed::None);
    cluster.gate = None;
    cluster.pass();
    assert_eq!(cluster.user(0).spec.managed, Managed::Added);
    assert!(cluster.puts.is_empty());
}

/// A pair that somebody else added after we had marked the user is theirs.
#[test]
fn somebody_who_is_faster_than_the_run_keeps_the_pair() {
    let mut cluster = first_plan(|_| {});
    cluster.pass();
    cluster.world.add_pair(0, 0, Some("somebody"), cluster.now);
    cluster.between(&cluster.plan());
    cluster.settle();
    assert_eq!((cluster.user(0).spec.managed, cluster.reason(0)), (Managed::None, Some(Reason::ForeignUser)));
    assert_eq!(cluster.puts, [key(1)]);
}

#[test]
fn the_mark_goes_when_the_run_ended_without_the_user() {
    let mut cluster = first_plan(|it| {
        it.refuses.insert(key(0), Reason::Rejected);
    });
    let plan = cluster.pass();
    cluster.between(&plan);
    cluster.pass();
    cluster.read();
    cluster.pass();
    assert_eq!((cluster.state(0), cluster.reason(0)), (Some(UserState::Blocked), Some(Reason::Rejected)));
    assert_eq!(cluster.user(0).spec.managed, Managed::None);
}
