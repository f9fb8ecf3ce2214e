//! The five counters, the counts and the order of licenses (R18).

use super::cluster::{Cluster, problem};
use super::world::{World, at, key};
use crate::api::{Counters, Reason, UserState};

/// R18: a deterministic order decides the last license: longest known, then address.
#[test]
fn the_last_license_goes_to_who_is_known_longest() {
    let mut world = World::of(2);
    world.entitlement.licenses_total = 0;
    let mut cluster = Cluster::new(world);
    cluster.read();
    cluster.pass();
    cluster.world.add_person(2);
    cluster.world.people[2].address = Some("a@contoso.example".parse().unwrap());
    cluster.world.teams[2].upn_address = Some("a@contoso.example".parse().unwrap());
    cluster.world.entitlement.licenses_total = 1;
    cluster.read();
    cluster.pass();
    let states = [0, 1, 2].map(|index| cluster.state(index).unwrap());
    assert_eq!(states, [UserState::Pending, UserState::Waiting, UserState::Waiting]);
}

/// R18
#[test]
fn of_two_known_equally_long_the_address_decides() {
    let mut world = World::of(2);
    world.entitlement.licenses_total = 1;
    world.people[1].address = Some("a@contoso.example".parse().unwrap());
    world.teams[1].upn_address = Some("a@contoso.example".parse().unwrap());
    let mut cluster = Cluster::new(world);
    cluster.read();
    cluster.pass();
    assert_eq!([cluster.state(0), cluster.state(1)], [Some(UserState::Waiting), Some(UserState::Pending)]);
}

/// R18: what an open run has promised stays promised.
#[test]
fn a_promise_of_an_open_run_comes_first() {
    let mut world = World::of(2);
    world.entitlement.licenses_total = 1;
    let mut cluster = Cluster::new(world);
    cluster.read();
    cluster.pass();
    cluster.world.people[1].address = Some("a@contoso.example".parse().unwrap());
    cluster.read();
    cluster.pass();
    assert_eq!([cluster.state(0), cluster.state(1)], [Some(UserState::Pending), Some(UserState::Waiting)]);
}

/// R18: a freed license counts when it is read back, and the next in line gets it.
#[test]
fn a_freed_license_goes_to_who_waits() {
    let mut world = World::of(2);
    world.entitlement.licenses_total = 1;
    let mut cluster = Cluster::new(world);
    cluster.read();
    cluster.settle();
    assert_eq!([cluster.state(0), cluster.state(1)], [Some(UserState::Connected), Some(UserState::Waiting)]);
    cluster.world.entitlement.licenses_total = 2;
    cluster.read();
    cluster.settle();
    assert_eq!(cluster.state(1), Some(UserState::Connected));
}

#[test]
fn the_counters_move_from_to_add_to_current() {
    let mut world = World::of(3);
    world.entitlement.licenses_total = 4;
    let mut cluster = Cluster::new(world);
    cluster.read();
    let plan = cluster.pass();
    let before =
        Counters { licenses_available: 4, licenses_total: 4, users_to_add: 3, users_to_remove: 0, users_after_sync: 3 };
    assert_eq!(plan.counters, Some(before));
    cluster.between(&plan);
    let step = cluster.plan().steps()[0].clone();
    cluster.world.answer(&step, cluster.now);
    cluster.read();
    let half = Counters { licenses_available: 3, users_to_add: 2, ..before };
    assert_eq!(cluster.pass().counters, Some(half));
    cluster.settle();
    let done = Counters { licenses_available: 1, users_to_add: 0, ..before };
    assert_eq!(cluster.status.counters, Some(done));
}

#[test]
fn licenses_available_is_never_below_zero() {
    let mut world = World::of(1);
    world.entitlement.licenses_in_use = 9;
    world.entitlement.licenses_total = 4;
    let mut cluster = Cluster::new(world);
    cluster.read();
    let counters = cluster.pass().counters.unwrap();
    assert_eq!((counters.licenses_available, counters.users_to_add), (0, 0));
}

#[test]
fn in_scope_is_the_sum_of_the_states() {
    let mut world = World::of(7);
    world.entitlement.licenses_total = 2;
    world.teams[1].upn_address = Some("x@y.example".parse().unwrap());
    world.teams[2].enabled = false;
    world.teams[3].enabled = false;
    world.candidates[4].secure_calling = true;
    world.voice.remove(5);
    world.add_pair(0, 0, None, at(-9));
    let mut cluster = Cluster::new(world);
    cluster.read();
    cluster.settle();
    let counts = cluster.status.users.unwrap();
    assert_eq!((counts.in_scope, counts.connected, counts.blocked, counts.unmatched), (7, 2, 3, 1));
    assert_eq!((counts.pending, counts.waiting, counts.retained, counts.foreign), (1, 0, 0, 0));
    let rows: Vec<_> = cluster.status.blocked_reasons.iter().map(|row| (row.reason.as_str(), row.users)).collect();
    assert_eq!(rows, [("AccountDisabled", 2), ("SecureCallingEnabled", 1)]);
}

/// The demo world of this slice.
#[test]
fn six_users_end_as_described() {
    let mut world = World::of(6);
    world.entitlement.licenses_total = 2;
    world.teams[2].upn_address = Some("nobody@contoso.example".parse().unwrap());
    world.teams[3].has_phone_system = false;
    world.candidates[4].secure_calling = true;
    let mut cluster = Cluster::new(world);
    cluster.read();
    cluster.settle();
    let reasons: Vec<_> = (0..6).filter_map(|index| cluster.reason(index)).collect();
    assert_eq!(
        reasons,
        [
            Reason::Connected,
            Reason::Connected,
            Reason::NoMatch,
            Reason::NoPhoneSystemLicense,
            Reason::SecureCallingEnabled,
            Reason::ConnectorLicenseExhausted,
        ]
    );
    assert_eq!(cluster.puts, [key(0), key(1)]);
}

/// Users who wait for a gate are counted as the dashboard would.
#[test]
fn a_closed_gate_does_not_change_the_counters() {
    let mut cluster = Cluster::of(2);
    let open = cluster.plan().counters;
    cluster.gate = Some(problem(Reason::AwaitingConsent));
    assert_eq!(cluster.plan().counters, open);
}

/// Somebody about whom nothing is concluded keeps the promised license.
#[test]
fn a_user_who_is_not_found_once_keeps_the_license() {
    let mut world = World::of(2);
    world.entitlement.licenses_total = 1;
    let mut cluster = Cluster::new(world);
    cluster.read();
    cluster.pass();
    cluster.world.remove_person(0);
    cluster.read();
    cluster.pass();
    assert_eq!([cluster.state(0), cluster.state(1)], [Some(UserState::Pending), Some(UserState::Waiting)]);
}
