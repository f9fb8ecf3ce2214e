//! A GoTo user who was created again under another key (R1, R8, R10, R13, R14, R15, R20).

use super::cluster::{Cluster, is};
use super::disconnecting::{decide, disconnects, leaves, removing};
use super::world::{at, key, minutes, number, teams_id};
use crate::api::conditions::READY;
use crate::api::{Approval, Decision, Managed, Reason, RemovalAction, RunOperation, RunState, RunType, UserState};
use crate::plan::readiness::GUARD_TRIPPED;

/// The key under which person 0 comes back.
pub(super) const NEW: usize = 900;

pub(super) fn recreated(people: usize) -> Cluster {
    let mut cluster = Cluster::connected(people);
    cluster.spec.removal.guard.max_percent = 100;
    cluster.world.recreate_person(0, NEW);
    cluster.read_twice();
    cluster
}

pub(super) fn pairs(cluster: &Cluster) -> Vec<(crate::domain::UserKey, crate::domain::EntraObjectId)> {
    cluster.world.pairs.iter().map(|pair| (pair.key.clone(), pair.teams_user)).collect()
}

/// R13, R14: under `Retain` and without any grace period; the old pair is disabled, then removed, then the new key gets the same
/// Microsoft user and number, all by one action of one run.
#[test]
fn a_user_who_was_created_again_is_replaced_at_once() {
    let mut cluster = recreated(3);
    cluster.puts.clear();
    cluster.settle();
    assert_eq!(cluster.other_calls, [(RunOperation::Disable, key(0)), (RunOperation::Replace, key(0))]);
    assert_eq!(cluster.puts, [key(NEW)]);
    assert_eq!(pairs(&cluster), [(key(1), teams_id(1)), (key(2), teams_id(2)), (key(NEW), teams_id(0))]);
    assert_eq!(cluster.world.pair(NEW).number, Some(number(0)));
    assert_eq!((cluster.state(0), cluster.reason(0)), (Some(UserState::Removed), Some(Reason::Replaced)));
    assert_eq!((cluster.state(NEW), cluster.reason(NEW)), (Some(UserState::Connected), Some(Reason::Connected)));
    let runs = disconnects(&cluster);
    assert_eq!((runs.len(), runs[0].spec.actions.len(), runs[0].status.state), (1, 1, Some(RunState::Applied)));
    let connects = cluster.runs.values().filter(|run| run.spec.run_type == RunType::Connect);
    assert_eq!(connects.count(), 1, "the first synchronization, and none for the new key");
    let old = cluster.user(0);
    let before = old.status.last_change.as_ref().unwrap().before.as_ref().unwrap();
    assert_eq!((before.phone_number.as_deref(), before.enabled), (Some(number(0).as_str()), Some(true)));
    assert_eq!((old.spec.managed, &old.spec.leaving), (Managed::None, &None));
    assert_eq!(cluster.user(NEW).spec.managed, Managed::Added);
    assert_eq!(cluster.condition(READY), is("True", Reason::InSync));
}

/// R18: the license that the old pair frees is the new key's, and nobody else gets it in between.
#[test]
fn the_license_that_becomes_free_is_kept_for_the_new_key() {
    let mut cluster = Cluster::connected(3);
    cluster.world.entitlement.licenses_total = 3;
    cluster.world.add_person(3);
    cluster.read_twice();
    cluster.settle();
    cluster.world.recreate_person(0, NEW);
    cluster.read_twice();
    cluster.settle();
    assert_eq!(cluster.state(NEW), Some(UserState::Connected));
    assert_eq!(cluster.reason(3), Some(Reason::ConnectorLicenseExhausted));
}

/// The license comes free a little later than the pair goes; if it does not in time, the run ends and the new key waits like anybody.
#[test]
fn a_license_that_is_late_is_waited_for_and_not_for_ever() {
    for late in [5, 20] {
        let mut cluster = recreated(3);
        cluster.world.entitlement.licenses_total = 3;
        for _ in 0..9 {
            if cluster.world.pairs.len() < 3 {
                break;
            }
            let plan = cluster.pass();
            cluster.between(&plan);
        }
        cluster.world.entitlement.licenses_in_use = 3;
        cluster.read();
        let plan = cluster.pass();
        assert!(plan.steps().is_empty());
        cluster.now += minutes(late);
        cluster.read();
        cluster.pass();
        let ended = disconnects(&cluster)[0].status.state != Some(RunState::Running);
        assert_eq!(ended, late == 20, "after {late} minutes");
        cluster.world.entitlement.licenses_in_use = 2;
        cluster.read();
        cluster.settle();
        assert_eq!(cluster.state(NEW), Some(UserState::Connected), "after {late} minutes");
    }
}

/// R1, R3: counted by the guard, once for each; above it nobody is touched, and the approval carries out both halves.
#[test]
fn replacements_wait_for_the_guard_and_one_approval_covers_both_halves() {
    let mut cluster = Cluster::connected(20);
    (0..3).for_each(|index| cluster.world.recreate_person(index, NEW + index));
    cluster.read_twice();
    cluster.spec.approval = Approval::All;
    cluster.settle_while_waiting();
    assert_eq!(cluster.condition(GUARD_TRIPPED), is("True", Reason::RemovalGuardTripped));
    assert!(cluster.other_calls.is_empty());
    assert_eq!((cluster.state(NEW), cluster.reason(NEW)), (Some(UserState::Pending), Some(Reason::ApprovalPending)));
    assert_eq!(cluster.reason(0), Some(Reason::ApprovalPending));
    let counters = cluster.status.counters.unwrap();
    assert_eq!((counters.users_to_add, counters.users_to_remove, counters.users_after_sync), (3, 3, 20));
    decide(&mut cluster, Decision::Approve);
    cluster.settle_while_waiting();
    assert!((0..3).all(|index| cluster.state(NEW + index) == Some(UserState::Connected)));
    assert_eq!(cluster.runs.values().filter(|run| run.spec.run_type == RunType::Connect).count(), 1);
}

/// R10: a denied replacement is not proposed again and says so on both sides.
#[test]
fn a_denied_replacement_leaves_the_old_pair() {
    let mut cluster = recreated(3);
    cluster.spec.approval = Approval::Disconnects;
    cluster.settle_while_waiting();
    decide(&mut cluster, Decision::Deny);
    cluster.settle_while_waiting();
    assert!(cluster.other_calls.is_empty() && disconnects(&cluster).len() == 1);
    assert_eq!((cluster.reason(0), cluster.reason(NEW)), (Some(Reason::Denied), Some(Reason::Denied)));
}

type Case = (&'static str, fn(&mut Cluster));

/// R8, R15: a pair that is not the policy's, a protected user and a new key that could not be connected replace nobody.
#[test]
fn nothing_is_replaced_that_is_not_ours_protected_or_cannot_follow() {
    let cases: [Case; 5] = [
        ("protected", |cluster| cluster.spec.protected_users = vec![key(0).to_string()]),
        ("secure calling", |cluster| {
            cluster.world.candidates.iter_mut().find(|it| it.key == key(NEW)).unwrap().secure_calling = true;
        }),
        ("sign-in blocked", |cluster| cluster.world.teams[0].enabled = false),
        ("not ours", |cluster| {
            (cluster.world.pair(0).external_id, cluster.world.pair(0).updated_at) = (None, at(9_000));
            cluster.users.get_mut(&key(0)).unwrap().spec.managed = Managed::None;
        }),
        ("the old key only lost the line", |cluster| {
            let old = crate::plan::snapshot::UserLines { key: key(0), lines: Vec::new() };
            let mut person = cluster.world.people.iter().find(|it| it.key == key(NEW)).unwrap().clone();
            (person.key, person.address, person.email) = (key(0), None, None);
            cluster.world.lines.push(old);
            cluster.world.people.push(person);
        }),
    ];
    for (case, change) in cases {
        let mut cluster = Cluster::connected(3);
        cluster.world.recreate_person(0, NEW);
        change(&mut cluster);
        cluster.read_twice();
        cluster.settle_while_waiting();
        assert!(cluster.other_calls.is_empty(), "{case}: {:?}", cluster.other_calls);
        assert_eq!(cluster.world.pair(0).teams_user, teams_id(0), "{case}");
    }
}

/// R5: one reading that lists the new key and not the old one proves nothing, and who is found by id just before keeps the pair.
#[test]
fn two_readings_and_a_last_look_must_agree() {
    let mut cluster = Cluster::connected(3);
    cluster.world.recreate_person(0, NEW);
    cluster.read();
    assert!(cluster.pass().disconnect.steps().is_empty() && disconnects(&cluster).is_empty());
    cluster.found_by_id.insert(key(0));
    cluster.read();
    for _ in 0..5 {
        let plan = cluster.pass();
        cluster.between(&plan);
    }
    assert!(cluster.world.pair(0).enabled && cluster.world.pairs.len() == 3);
}

/// R10, T1: whatever is lost or edited in the middle, the person ends with the service under the new key, once.
#[test]
fn half_a_replacement_is_finished_after_any_crash() {
    let mut whole = recreated(3);
    whole.settle();
    for budget in 0..60 {
        let mut cluster = recreated(3);
        cluster.budget = Some(budget);
        if cluster.try_settle().is_ok() {
            break;
        }
        cluster.restart();
        cluster.read();
        cluster.settle();
        assert_eq!(pairs(&cluster), pairs(&whole), "crash at write {budget}");
        assert_eq!(
            (cluster.state(0), cluster.state(NEW)),
            (whole.state(0), whole.state(NEW)),
            "crash at write {budget}"
        );
        assert_eq!(cluster.puts.iter().filter(|it| **it == key(NEW)).count(), 1, "crash at write {budget}");
    }
}

/// R6, R22: an edit of the policy supersedes the run in the middle; the new key is then connected by an ordinary run.
#[test]
fn a_replacement_that_is_superseded_halfway_ends_with_the_service_under_the_new_key() {
    for passes in 1..6 {
        let mut cluster = recreated(3);
        for _ in 0..passes {
            let plan = cluster.pass();
            cluster.between(&plan);
        }
        cluster.spec.history_limit = 9;
        cluster.generation += 1;
        cluster.settle();
        assert_eq!(cluster.state(NEW), Some(UserState::Connected), "edited after {passes} passes");
        assert_eq!(cluster.world.pairs.len(), 3, "edited after {passes} passes");
        assert_eq!(cluster.world.pair(NEW).number, Some(number(0)));
    }
}

/// Somebody who was removed claims the Microsoft user no longer: whoever comes later with the same address is connected.
#[test]
fn a_removed_user_claims_nobody() {
    let mut cluster = removing(3, RemovalAction::Remove);
    let world = cluster.world.clone();
    leaves(&mut cluster, 0);
    cluster.settle();
    assert_eq!(cluster.state(0), Some(UserState::Removed));
    let person = world.people.iter().find(|it| it.key == key(0)).unwrap().clone();
    let lines = world.lines.iter().find(|it| it.key == key(0)).unwrap().clone();
    cluster.world.people.push(crate::plan::snapshot::GotoUser { key: key(NEW), ..person });
    cluster.world.lines.push(crate::plan::snapshot::UserLines { key: key(NEW), ..lines });
    cluster.world.candidates.push(crate::plan::snapshot::Candidate { key: key(NEW), secure_calling: false });
    cluster.read_twice();
    cluster.settle();
    assert_eq!((cluster.state(NEW), cluster.reason(NEW)), (Some(UserState::Connected), Some(Reason::Connected)));
}
