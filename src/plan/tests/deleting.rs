//! A policy that is being deleted with `deletionPolicy: Delete` (T40, T41, R6, R8, R11, R13, R15).

use std::collections::BTreeSet;

use super::cluster::{Cluster, is, problem};
use super::disconnecting::{decide, disconnects, leaves, removing};
use super::world::{OURS, World, at, key, minutes};
use crate::api::conditions::{ACTION_REQUIRED, READY, RECONCILING, STALLED, SUSPENDED};
use crate::api::{
    Approval, Decision, DeletionPolicy, Managed, Reason, RemovalAction, RunOperation, RunState, RunType, UserState,
};
use crate::plan::deleting::{Circumstances, Way, left, way};
use crate::plan::snapshot::SourceFailure;
use crate::plan::user_plan::UserPlan;

/// So many people connected by a policy that is then deleted with `Delete`.
fn deleted(people: usize) -> Cluster {
    let mut cluster = Cluster::connected(people);
    delete(&mut cluster);
    cluster
}

fn delete(cluster: &mut Cluster) {
    cluster.spec.deletion_policy = DeletionPolicy::Delete;
    cluster.deleting = true;
    cluster.generation += 1;
}

/// Everybody is in the connector already, two of them added by this policy, and all are adopted or found again.
fn mixed() -> Cluster {
    let mut world = World::of(5);
    world.add_pair(2, 2, None, at(-99));
    world.add_pair(3, 3, Some("another-policy"), at(-99));
    let mut cluster = Cluster::new(world);
    cluster.read();
    cluster.settle();
    assert_eq!((cluster.user(2).spec.managed, cluster.user(0).spec.managed), (Managed::Adopted, Managed::Added));
    cluster
}

/// Passes until the plan says that it is over; a run that waits is approved.
fn finish(cluster: &mut Cluster) {
    for _ in 0..60 {
        let plan = cluster.pass();
        if plan.is_over {
            return;
        }
        if disconnects(cluster).iter().any(|run| run.status.state == Some(RunState::AwaitingApproval)) {
            decide(cluster, Decision::Approve);
        }
        cluster.between(&plan);
    }
    panic!("the deletion does not end:\n{}", cluster.plan());
}

/// Passes with readings between them; the last plan.
fn passes(cluster: &mut Cluster, count: usize) -> UserPlan {
    for _ in 0..count {
        let plan = cluster.pass();
        cluster.between(&plan);
    }
    cluster.pass()
}

fn paired(cluster: &Cluster) -> BTreeSet<crate::domain::UserKey> {
    cluster.world.pairs.iter().map(|pair| pair.key.clone()).collect()
}

fn keys(indices: impl IntoIterator<Item = usize>) -> BTreeSet<crate::domain::UserKey> {
    indices.into_iter().map(key).collect()
}

/// T40, T41: `Orphan` waits for nothing; with `Delete` a namespace that is deleted, `force-finalize` and the end of the work do so too.
#[test]
fn only_delete_in_a_living_namespace_disconnects() {
    let none = Circumstances::default();
    let forced = Circumstances { forced: true, ..none };
    let terminating = Circumstances { terminating: true, forced: true, ..none };
    let done = Circumstances { disconnected: true, terminating: true, forced: true };
    for circumstances in [none, forced, terminating, done] {
        assert_eq!(way(DeletionPolicy::Orphan, circumstances), Way::Orphan);
    }
    assert_eq!(way(DeletionPolicy::Delete, none), Way::Disconnect);
    assert_eq!(way(DeletionPolicy::Delete, forced), Way::Left(Reason::DeletionForced));
    assert_eq!(way(DeletionPolicy::Delete, terminating), Way::Left(Reason::NamespaceTerminating));
    assert_eq!(way(DeletionPolicy::Delete, done), Way::Orphan);
}

/// T40: what is left is told in counts.
#[test]
fn what_is_left_is_told_without_names() {
    let cluster = mixed();
    let told = left(cluster.users.values().map(|user| &user.spec), cluster.status.users);
    assert_eq!(
        told,
        "Its user objects tell of 3 users whom it added and 2 whom it adopted, 0 of them half removed; its status last showed 5 connected and 0 retained."
    );
}

/// T40, R8, R13: those it added go, in order and once; adopted ones and those of others keep service. Under Retain too.
#[test]
fn an_approved_deletion_takes_exactly_those_that_were_added() {
    let mut cluster = mixed();
    assert_eq!(cluster.spec.removal.action, RemovalAction::Retain);
    let before = paired(&cluster);
    delete(&mut cluster);
    finish(&mut cluster);
    assert_eq!(paired(&cluster), &before - &keys([0, 1, 4]));
    let mut calls = cluster.other_calls.clone();
    calls.sort_by_key(|(_, user)| user.clone());
    let expected: Vec<_> = [0, 1, 4]
        .into_iter()
        .flat_map(|it| [(RunOperation::Disable, key(it)), (RunOperation::Delete, key(it))])
        .collect();
    assert_eq!(calls, expected);
    assert!(cluster.world.pairs.iter().all(|pair| pair.enabled));
    assert_eq!(cluster.world.changes_since, None, "pushed");
}

/// R6, T40: under `Automatic` and within the guard too nothing happens before the decision.
#[test]
fn a_deletion_always_waits_for_a_decision() {
    for approval in [Approval::Automatic, Approval::Disconnects, Approval::All] {
        let mut cluster = Cluster::connected(3);
        cluster.spec.approval = approval;
        cluster.spec.removal.guard.max_percent = 100;
        cluster.spec.removal.guard.always_allow = 10;
        // Somebody stays, so the guard would let the others go.
        cluster.spec.protected_users = vec!["p2@contoso.example".to_owned()];
        delete(&mut cluster);
        let plan = passes(&mut cluster, 6);
        assert!(!plan.is_over && cluster.other_calls.is_empty());
        let [run] = disconnects(&cluster)[..] else { panic!("one run") };
        assert_eq!((run.status.state, run.spec.actions.len()), (Some(RunState::AwaitingApproval), 2));
        for kind in [RECONCILING, ACTION_REQUIRED] {
            assert_eq!(cluster.condition(kind), is("True", Reason::DeletionAwaitingApproval));
        }
        assert_eq!(cluster.condition(READY), is("False", Reason::DeletionAwaitingApproval));
        assert_eq!(cluster.status.pending_actions.len(), 1);
        assert_eq!(cluster.condition(STALLED), None);
    }
}

/// T40: nobody is added and nothing is planned for anybody new.
#[test]
fn nobody_is_added_while_a_policy_is_deleted() {
    let mut cluster = Cluster::of(4);
    cluster.pass();
    let run = cluster.run().name.clone();
    delete(&mut cluster);
    cluster.world.add_person(7);
    cluster.read();
    finish(&mut cluster);
    assert!(cluster.puts.is_empty() && cluster.world.pairs.is_empty());
    assert_eq!(cluster.runs[&run].status.state, Some(RunState::Superseded));
    assert_eq!(cluster.runs.len(), 1);
    assert!(!cluster.users.contains_key(&key(7)));
}

/// R15: a protected user keeps service, and an entry that names nobody holds everything.
#[test]
fn the_protected_keep_service() {
    let mut cluster = Cluster::connected(3);
    cluster.spec.protected_users = vec!["p1@contoso.example".to_owned()];
    delete(&mut cluster);
    finish(&mut cluster);
    assert_eq!(paired(&cluster), keys([1]));
    assert!(cluster.world.pair(1).enabled);

    let mut cluster = deleted(3);
    cluster.spec.protected_users = vec!["nobody@contoso.example".to_owned()];
    passes(&mut cluster, 5);
    assert!(disconnects(&cluster).is_empty() && cluster.other_calls.is_empty());
    assert_eq!(cluster.condition(ACTION_REQUIRED), is("True", Reason::ProtectedUserNotFound));
}

/// R15: who is protected after the calls were forbidden gets them back before the policy goes.
#[test]
fn who_is_protected_half_way_gets_the_calls_back() {
    let mut cluster = deleted(2);
    passes(&mut cluster, 2);
    decide(&mut cluster, Decision::Approve);
    while cluster.other_calls.len() < 2 {
        cluster.pass();
        cluster.read();
    }
    assert!(cluster.world.pairs.iter().all(|pair| !pair.enabled));
    cluster.spec.protected_users = vec!["p1@contoso.example".to_owned()];
    cluster.generation += 1;
    finish(&mut cluster);
    assert_eq!(paired(&cluster), keys([1]));
    assert!(cluster.world.pair(1).enabled);
}

/// T40: a denied run takes nobody, the policy stays and says what to do; `requestedAt` brings a new run, once.
#[test]
fn a_denied_deletion_stays_and_can_be_asked_for_again() {
    let mut cluster = deleted(3);
    passes(&mut cluster, 2);
    decide(&mut cluster, Decision::Deny);
    let plan = passes(&mut cluster, 6);
    assert!(!plan.is_over && cluster.other_calls.is_empty());
    assert_eq!(disconnects(&cluster).len(), 1);
    assert_eq!(cluster.condition(ACTION_REQUIRED), is("True", Reason::DeletionDenied));
    assert_eq!(cluster.condition(STALLED), None);
    cluster.requested_at = Some("again".to_owned());
    passes(&mut cluster, 6);
    assert_eq!(disconnects(&cluster).len(), 2);
    assert_eq!(cluster.status.last_handled_reconcile_at.as_deref(), Some("again"));
    assert_eq!(cluster.condition(ACTION_REQUIRED), is("True", Reason::DeletionAwaitingApproval));
    finish(&mut cluster);
    assert!(cluster.world.pairs.is_empty());
}

/// R6: what was denied for those who left says nothing about the policy, and an approval from before it was deleted neither.
#[test]
fn a_decision_from_before_the_deletion_is_none_about_it() {
    for decision in [Decision::Approve, Decision::Deny] {
        let mut cluster = removing(4, RemovalAction::Remove);
        cluster.spec.approval = Approval::Disconnects;
        leaves(&mut cluster, 0);
        passes(&mut cluster, 2);
        decide(&mut cluster, decision);
        delete(&mut cluster);
        passes(&mut cluster, 6);
        assert!(cluster.other_calls.is_empty());
        let states: Vec<_> = disconnects(&cluster).iter().map(|run| run.status.state).collect();
        let first = if decision == Decision::Deny { RunState::Denied } else { RunState::Superseded };
        assert_eq!(states, [Some(first), Some(RunState::AwaitingApproval)]);
        assert_eq!(disconnects(&cluster)[1].spec.actions.len(), 4);
    }
}

/// R6: a run of a deletion, approved and restored beside a living policy of the same spec, takes nobody.
#[test]
fn an_approved_deletion_run_does_nothing_for_a_living_policy() {
    let mut cluster = deleted(3);
    passes(&mut cluster, 2);
    decide(&mut cluster, Decision::Approve);
    cluster.deleting = false;
    passes(&mut cluster, 6);
    assert!(cluster.other_calls.is_empty());
    assert_eq!(disconnects(&cluster)[0].status.state, Some(RunState::Superseded));
}

/// T40, T4: already gone, never created, or none of ours: over without a run.
#[test]
fn nothing_left_is_over_without_a_run() {
    let mut gone = deleted(3);
    (0..3).for_each(|index| gone.world.remove_pair(index));
    gone.read_twice();
    let mut never = Cluster::of(0);
    delete(&mut never);
    let mut foreign = Cluster::new(World::of(2));
    foreign.world.add_pair(0, 0, Some("another-policy"), at(0));
    foreign.read();
    delete(&mut foreign);
    for cluster in [&mut gone, &mut never, &mut foreign] {
        finish(cluster);
        assert!(disconnects(cluster).is_empty() && cluster.other_calls.is_empty());
    }
    assert!(foreign.users.is_empty(), "no object is made for anybody");
}

/// T4, R4: while a source cannot be read nothing is concluded, and the deletion says why it waits.
#[test]
fn an_api_that_is_down_holds_the_deletion() {
    let mut cluster = deleted(2);
    (0..2).for_each(|index| cluster.world.remove_pair(index));
    for (reason, asks) in [(Reason::ConnectorUnreachable, false), (Reason::CredentialsRejected, true)] {
        cluster.read();
        let users = &mut cluster.snapshot.as_mut().unwrap().pbxs.values_mut().next().unwrap().users;
        users.failure = Some(SourceFailure { reason, cause: "down".to_owned(), retry_at: None });
        let plan = cluster.pass();
        assert!(!plan.is_over);
        assert_eq!(cluster.condition(RECONCILING), is("True", reason));
        assert_eq!(cluster.condition(ACTION_REQUIRED), is("True", reason).filter(|_| asks));
    }
    cluster.read_twice();
    finish(&mut cluster);
}

/// T40: without its account the deletion waits for a human, who has ways out.
#[test]
fn a_missing_account_asks_for_somebody() {
    for reason in [Reason::AccountNotFound, Reason::PbxNotFound] {
        let mut cluster = deleted(2);
        cluster.reference = Some(problem(reason));
        assert!(!cluster.pass().is_over);
        assert_eq!(cluster.condition(ACTION_REQUIRED), is("True", reason));
        assert_eq!(cluster.condition(STALLED), None);
        assert!(cluster.status.pending_actions[0].action.contains("force-finalize"));
    }
}

/// R8: the later of two policies for one PBX takes nobody from the older, even if it thinks it added them.
#[test]
fn a_conflicting_policy_takes_nobody_from_the_older_one() {
    let mut cluster = Cluster::connected(3);
    cluster.world.pairs.iter_mut().for_each(|pair| pair.external_id = Some("the-older-policy".to_owned()));
    cluster.reference = Some(problem(Reason::ConflictingPolicy));
    cluster.world.remove_person(0);
    cluster.read_twice();
    delete(&mut cluster);
    finish(&mut cluster);
    assert!(disconnects(&cluster).is_empty() && cluster.other_calls.is_empty());
    assert_eq!(cluster.world.pairs.len(), 3);
}

/// T42: suspended, nothing is sent, whatever was approved; the deletion goes on afterwards.
#[test]
fn a_suspended_deletion_waits() {
    let mut cluster = deleted(3);
    passes(&mut cluster, 2);
    decide(&mut cluster, Decision::Approve);
    cluster.suspended = true;
    let plan = passes(&mut cluster, 5);
    assert!(!plan.is_over && cluster.other_calls.is_empty());
    assert_eq!(cluster.condition(SUSPENDED), is("True", Reason::Suspended));
    assert_eq!((cluster.condition(RECONCILING), cluster.condition(ACTION_REQUIRED)), (None, None));
    cluster.suspended = false;
    finish(&mut cluster);
    assert!(cluster.world.pairs.is_empty());
}

/// R16: what a connector says that may be another one ends nothing.
#[test]
fn a_strange_connector_is_no_proof() {
    let mut cluster = deleted(3);
    (0..3).for_each(|index| cluster.world.remove_pair(index));
    cluster.gate = Some(problem(Reason::ConnectorStrange));
    cluster.read_twice();
    assert!(!passes(&mut cluster, 4).is_over);
    assert_eq!(cluster.condition(ACTION_REQUIRED), is("True", Reason::ConnectorStrange));
}

/// R11: with every object lost those it added are found again by their id, protected ones by the list, and the run waits all the same.
#[test]
fn lost_objects_change_nothing_about_whom_a_deletion_takes() {
    let mut cluster = mixed();
    cluster.spec.protected_users = vec!["p4@contoso.example".to_owned()];
    delete(&mut cluster);
    cluster.users.clear();
    cluster.runs.clear();
    cluster.restart();
    finish(&mut cluster);
    assert_eq!(paired(&cluster), keys([2, 3, 4]));
}

/// T1, T2: a put whose answer and note were lost shows up late; until it must have, the deletion is not over.
#[test]
fn a_put_that_is_not_listed_yet_is_waited_for() {
    let mut cluster = Cluster::of(2);
    let plan = cluster.pass();
    cluster.between(&plan);
    let (run, now) = (cluster.run().name.clone(), cluster.now);
    cluster.restart();
    delete(&mut cluster);
    assert!(!passes(&mut cluster, 3).is_over);
    assert_eq!(cluster.runs[&run].status.state, Some(RunState::Superseded));
    cluster.world.add_pair(0, 0, Some(OURS), now);
    cluster.read_twice();
    finish(&mut cluster);
    assert!(cluster.world.pairs.is_empty());
    let mut nothing = Cluster::of(2);
    let plan = nothing.pass();
    nothing.between(&plan);
    delete(&mut nothing);
    nothing.pass();
    nothing.now += minutes(11);
    nothing.read_twice();
    assert!(nothing.pass().is_over);
}

/// T1, R10, R13: the process may end before any write of a deletion; it ends the same, and nobody is disabled or deleted twice.
#[test]
fn a_crash_before_any_write_of_a_deletion_ends_the_same() {
    let start = || {
        let mut cluster = mixed();
        delete(&mut cluster);
        passes(&mut cluster, 2);
        decide(&mut cluster, Decision::Approve);
        cluster.writes = 0;
        cluster
    };
    let mut whole = start();
    finish(&mut whole);
    assert!(whole.writes > 10);
    for budget in 0..whole.writes {
        let mut cluster = start();
        cluster.budget = Some(budget);
        for _ in 0..60 {
            let Ok(plan) = cluster.try_pass() else { break };
            cluster.between(&plan);
        }
        cluster.restart();
        finish(&mut cluster);
        assert_eq!(paired(&cluster), paired(&whole), "crash before write {budget}");
        let calls: BTreeSet<_> = cluster.other_calls.iter().map(|(op, user)| (format!("{op:?}"), user)).collect();
        assert_eq!(calls.len(), cluster.other_calls.len(), "crash before write {budget}");
    }
}

/// R10: every status lost half-way: an approval whose run no longer tells that it began is worth nothing, and a new one finishes.
#[test]
fn a_lost_status_in_a_deletion_takes_nobody_else() {
    for count in 0..8 {
        let mut cluster = mixed();
        delete(&mut cluster);
        passes(&mut cluster, 2);
        decide(&mut cluster, Decision::Approve);
        passes(&mut cluster, count);
        cluster.status = crate::api::UserSyncPolicyStatus::default();
        cluster.users.values_mut().for_each(|user| user.status = crate::api::TeamsConnectorUserStatus::default());
        cluster.runs.values_mut().for_each(|run| run.status = crate::api::UserSyncRunStatus::default());
        cluster.restart();
        finish(&mut cluster);
        assert_eq!(paired(&cluster), keys([2, 3]), "after {count} passes");
    }
}

/// More than 2,000 go in consecutive runs, each with its own decision; denying one ends it for all.
#[test]
fn more_than_two_thousand_go_in_consecutive_runs() {
    let mut world = World::of(2_003);
    (0..2_003).for_each(|index| world.add_pair(index, index, Some(OURS), at(-99)));
    world.entitlement.licenses_total = 3_000;
    let mut cluster = Cluster::new(world);
    cluster.spec.rollout.batch_size = 500;
    cluster.read();
    cluster.settle();
    delete(&mut cluster);
    let mut denied = cluster.clone();
    passes(&mut denied, 2);
    decide(&mut denied, Decision::Deny);
    passes(&mut denied, 3);
    assert_eq!((disconnects(&denied).len(), denied.other_calls.len()), (1, 0));
    finish(&mut cluster);
    let sizes: Vec<_> = disconnects(&cluster).iter().map(|run| run.spec.actions.len()).collect();
    assert_eq!((sizes, cluster.world.pairs.len()), (vec![2_000, 3], 0));
    assert!(cluster.runs.values().all(|run| run.spec.run_type == RunType::Disconnect));
}

/// Whoever is being deleted stands so: waiting for the approval, then removed.
#[test]
fn each_user_tells_of_the_deletion() {
    let mut cluster = deleted(2);
    passes(&mut cluster, 2);
    assert_eq!((cluster.state(0), cluster.reason(0)), (Some(UserState::Retained), Some(Reason::ApprovalPending)));
    assert_eq!(cluster.user(0).spec.unmatched_since, None, "the person is still called for");
}
