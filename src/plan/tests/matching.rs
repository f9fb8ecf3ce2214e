//! Pin first, then equal addresses, one to one (R9).

use super::cluster::Cluster;
use super::world::{World, key, teams_id};
use crate::api::{Reason, TeamsAttribute, UserState};

/// R9: stable ids are pinned at first match; a rename is no external write.
#[test]
fn renaming_a_connected_user_in_goto_writes_nothing_outside() {
    let mut cluster = Cluster::connected(2);
    let puts = cluster.puts.clone();
    cluster.world.people[0].email = Some("new@contoso.example".to_owned());
    cluster.world.people[0].address = Some("new@contoso.example".parse().unwrap());
    cluster.read_twice();
    cluster.settle();
    assert_eq!(cluster.puts, puts);
    assert_eq!(cluster.state(0), Some(UserState::Connected));
    assert_eq!(cluster.user(0).status.goto_email.as_deref(), Some("new@contoso.example"));
}

/// R9
#[test]
fn renaming_every_microsoft_user_writes_nothing_outside() {
    let mut cluster = Cluster::connected(3);
    for (index, user) in cluster.world.teams.iter_mut().enumerate() {
        user.upn = format!("p{index}@fabrikam.example");
        user.upn_address = Some(user.upn.parse().unwrap());
    }
    cluster.read_twice();
    let plan = cluster.pass();
    assert!(plan.steps().is_empty() && plan.obsolete.is_empty());
    assert!((0..3).all(|index| cluster.state(index) == Some(UserState::Connected)));
}

/// R9
#[test]
fn a_pinned_microsoft_user_is_not_matched_again_by_address() {
    let mut cluster = Cluster::connected(1);
    cluster.world.people[0].address = Some("renamed@contoso.example".parse().unwrap());
    cluster.world.add_person(1);
    cluster.world.people[1].address = Some("p0@contoso.example".parse().unwrap());
    cluster.read_twice();
    cluster.pass();
    assert_eq!(cluster.reason(1), Some(Reason::TeamsUserTaken));
    assert_eq!(cluster.state(0), Some(UserState::Connected));
}

#[test]
fn the_mail_address_is_compared_when_it_is_chosen() {
    let mut cluster = Cluster::of(1);
    cluster.world.teams[0].upn_address = Some("other@contoso.example".parse().unwrap());
    cluster.spec.matching.automatic.as_mut().unwrap().teams_attribute = TeamsAttribute::Mail;
    cluster.read();
    cluster.pass();
    assert_eq!(cluster.user(0).spec.teams_user_id, Some(teams_id(0).to_string()));
}

#[test]
fn ambiguity_names_both_sides_and_guesses_nobody() {
    let mut cluster = Cluster::of(2);
    let address = cluster.world.people[0].address.clone();
    cluster.world.people[1].address = address;
    cluster.read();
    cluster.pass();
    assert_eq!((cluster.reason(0), cluster.reason(1)), (Some(Reason::DuplicateEmail), Some(Reason::DuplicateEmail)));
    assert!(cluster.runs.is_empty());
}

/// The pair is found again at the connector by `externalId` (R10).
#[test]
fn a_lost_pin_is_found_again_at_the_connector() {
    let mut cluster = Cluster::connected(2);
    cluster.world.people[0].address = Some("renamed@contoso.example".parse().unwrap());
    cluster.users.clear();
    cluster.read_twice();
    cluster.settle();
    assert_eq!(cluster.user(0).spec.teams_user_id, Some(teams_id(0).to_string()));
    assert_eq!(cluster.state(0), Some(UserState::Connected));
    assert_eq!(cluster.puts.len(), 2);
}

#[test]
fn the_second_pin_of_one_microsoft_user_holds_nobody() {
    let mut cluster = Cluster::connected(1);
    cluster.world.add_person(1);
    cluster.read();
    cluster.gate = Some(super::cluster::problem(Reason::AccountNotReady));
    cluster.pass();
    cluster.users.get_mut(&key(1)).unwrap().spec.teams_user_id = Some(teams_id(0).to_string());
    let plan = cluster.plan();
    assert_eq!(plan.user(&key(0)).unwrap().status.state, Some(UserState::Connected));
    assert_eq!(plan.user(&key(1)).unwrap().spec.teams_user_id, None);
}

#[test]
fn the_time_of_a_pair_starts_with_the_match() {
    let mut world = World::of(1);
    world.teams[0].upn_address = Some("x@y.example".parse().unwrap());
    let mut cluster = Cluster::new(world);
    cluster.read();
    cluster.pass();
    let unmatched = cluster.user(0).spec.first_seen.clone();
    cluster.world.teams[0].upn_address.clone_from(&cluster.world.people[0].address.clone());
    cluster.read();
    cluster.pass();
    assert!(cluster.user(0).spec.first_seen > unmatched);
}

/// R9: a pin holds before anything is in the connector.
#[test]
fn a_pin_without_pair_keeps_its_microsoft_user() {
    let mut cluster = Cluster::of(1);
    cluster.gate = Some(super::cluster::problem(Reason::AccountNotReady));
    cluster.pass();
    cluster.world.people[0].address = Some("renamed@contoso.example".parse().unwrap());
    cluster.world.add_person(1);
    cluster.world.people[1].address = Some("p0@contoso.example".parse().unwrap());
    cluster.read();
    cluster.pass();
    assert_eq!((cluster.reason(0), cluster.reason(1)), (Some(Reason::ChangesPending), Some(Reason::TeamsUserTaken)));
}

/// R9: a pair of ours keeps its Microsoft user though the object is lost.
#[test]
fn a_pair_of_ours_keeps_its_microsoft_user() {
    let mut cluster = Cluster::connected(1);
    cluster.world.people[0].address = Some("renamed@contoso.example".parse().unwrap());
    cluster.world.add_person(1);
    cluster.world.people[1].address = Some("p0@contoso.example".parse().unwrap());
    cluster.users.clear();
    cluster.read_twice();
    cluster.pass();
    assert_eq!((cluster.reason(1), &cluster.user(1).spec.teams_user_id), (Some(Reason::TeamsUserTaken), &None));
    assert_eq!(cluster.user(0).spec.teams_user_id, Some(teams_id(0).to_string()));
}
