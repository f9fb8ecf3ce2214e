//! A run from its creation to its end.

use super::cluster::{Cluster, is, problem};
use super::world::{World, key, minutes, number};
use crate::api::conditions::{READY, RECONCILING, STALLED};
use crate::api::{Managed, Reason, RunState, UserStage, UserState};
use crate::plan::run_status::{COMPLETE, FAILED, Wait};
use crate::plan::runs::{MAX_ACTIONS, plan_hash};
use crate::plan::user_plan::RunPlan;

#[test]
fn a_run_is_stored_before_anything_is_sent() {
    let mut cluster = Cluster::of(3);
    let plan = cluster.pass();
    assert!(matches!(plan.run, RunPlan::Create(_)));
    assert!(cluster.puts.is_empty());
    assert_eq!(cluster.run().status.state, Some(RunState::Running));
    assert_eq!(cluster.run().spec.actions.len(), 3);
    assert!((0..3).all(|index| cluster.user(index).spec.managed == Managed::Added));
}

#[test]
fn the_name_of_a_run_is_policy_hash_and_attempt() {
    let mut cluster = Cluster::of(2);
    cluster.pass();
    let run = cluster.run();
    assert_eq!(run.spec.plan_hash, plan_hash(&run.spec.actions));
    assert_eq!(run.name, format!("hq-{}-1", &run.spec.plan_hash[7..15]));
}

#[test]
fn the_counters_of_a_run_are_those_of_its_creation() {
    let mut cluster = Cluster::of(2);
    cluster.settle();
    assert_eq!(cluster.run().status.counters.unwrap().users_to_add, 2);
    assert_eq!(cluster.status.counters.unwrap().users_to_add, 0);
}

/// P4: at most four writes of a user's object from unknown to connected.
#[test]
fn a_user_needs_four_writes_from_unknown_to_connected() {
    let cluster = Cluster::connected(5);
    assert!(cluster.object_writes.values().all(|writes| *writes == 4), "{:?}", cluster.object_writes);
}

/// P4, also for those who find no room in the first run.
#[test]
fn whoever_waits_for_the_second_run_needs_no_more_writes() {
    let mut cluster = Cluster::of(MAX_ACTIONS + 10);
    cluster.settle();
    assert_eq!(cluster.runs.len(), 2);
    assert!(cluster.object_writes.values().all(|writes| *writes == 4));
}

#[test]
fn nothing_is_sent_before_an_import_that_knows_every_user() {
    let mut cluster = Cluster::of(1);
    let old = cluster.now;
    cluster.world.import(old - minutes(1));
    let plan = cluster.pass();
    assert_eq!(plan.needs_import_after, Some(old));
    cluster.read();
    let plan = cluster.pass();
    assert!(matches!(&plan.run, RunPlan::Resume(run) if run.waiting == Some(Wait::Import)));
    assert_eq!(plan.needs_import_after, Some(old));
    cluster.world.import(cluster.now);
    cluster.read();
    assert_eq!(cluster.pass().steps().len(), 1);
}

#[test]
fn the_import_asked_for_is_as_young_as_the_youngest_pair() {
    let mut cluster = Cluster::of(1);
    cluster.gate = Some(problem(Reason::AccountNotReady));
    cluster.pass();
    cluster.world.add_person(1);
    cluster.read();
    cluster.gate = None;
    assert_eq!(cluster.pass().needs_import_after, Some(cluster.now));
}

#[test]
fn an_applied_run_is_complete_and_ready() {
    let cluster = Cluster::connected(2);
    let status = &cluster.run().status;
    assert_eq!(status.state, Some(RunState::Applied));
    let shown: Vec<_> =
        status.conditions.iter().map(|it| (it.type_.as_str(), it.status.as_str(), it.reason.as_str())).collect();
    assert_eq!(shown, [(COMPLETE, "True", "Applied"), (READY, "True", "Applied")]);
    assert!(status.started_at.is_some() && status.finished_at.is_some());
}

/// A run does not wait for the push: it is at its end when its writes are accepted.
#[test]
fn a_run_is_applied_before_anybody_is_connected() {
    let mut cluster = Cluster::of(1);
    let plan = cluster.pass();
    cluster.between(&plan);
    cluster.pass();
    assert_eq!(cluster.run_states(), [Some(RunState::Applied)]);
    assert_eq!((cluster.state(0), cluster.user(0).status.stage), (Some(UserState::Pending), Some(UserStage::Verify)));
    assert_eq!(cluster.user(0).status.last_change.as_ref().unwrap().run, cluster.run().name);
}

/// R17: one bad user never blocks others.
#[test]
fn one_refused_user_blocks_nobody() {
    let mut cluster = Cluster::of(4);
    cluster.world.refuses.insert(key(1), Reason::NumberInUse);
    let plan = cluster.pass();
    cluster.between(&plan);
    cluster.pass();
    assert_eq!(cluster.run_states(), [Some(RunState::PartiallyApplied)]);
    assert_eq!(cluster.run().status.failures[0].reason, "NumberInUse");
    assert_eq!((cluster.state(1), cluster.reason(1)), (Some(UserState::Blocked), Some(Reason::NumberInUse)));
    assert_eq!(cluster.world.pairs.len(), 3);
}

/// R17: above 40 % of at least 5 the run stops.
#[test]
fn too_many_failures_stop_the_run() {
    let mut cluster = Cluster::of(10);
    cluster.spec.rollout.batch_size = 5;
    cluster.world.refuses = (0..5).map(|index| (key(index), Reason::Rejected)).collect();
    let plan = cluster.pass();
    cluster.between(&plan);
    cluster.pass();
    assert_eq!(cluster.run_states(), [Some(RunState::Failed)]);
    assert_eq!(cluster.puts.len(), 5);
    let conditions = &cluster.run().status.conditions;
    let shown: Vec<_> = conditions.iter().map(|it| (it.type_.as_str(), it.status.as_str())).collect();
    assert_eq!(shown, [(FAILED, "True"), (READY, "False"), (STALLED, "True")]);
    assert!(conditions.iter().all(|it| it.reason == "FailureLimitReached"));
    assert_eq!(cluster.run().status.outcome.unwrap().remaining, 5);
}

#[test]
fn a_run_in_which_all_failed_has_failed() {
    let mut cluster = Cluster::of(2);
    cluster.world.refuses = (0..2).map(|index| (key(index), Reason::Rejected)).collect();
    let plan = cluster.pass();
    cluster.between(&plan);
    cluster.pass();
    assert_eq!(cluster.run_states(), [Some(RunState::Failed)]);
    assert!(cluster.run().status.conditions.iter().all(|it| it.reason == "RunFailed"));
}

#[test]
fn whoever_failed_waits_for_the_back_off() {
    let mut cluster = Cluster::of(3);
    cluster.world.refuses.insert(key(0), Reason::Rejected);
    let plan = cluster.pass();
    cluster.between(&plan);
    cluster.pass();
    assert_eq!(cluster.status.failure.as_ref().unwrap().count, 1);
    cluster.read();
    cluster.settle();
    assert_eq!(cluster.runs.len(), 1);
    cluster.wait(60);
    cluster.world.refuses.clear();
    cluster.settle();
    assert_eq!(cluster.run_states(), [Some(RunState::PartiallyApplied), Some(RunState::Applied)]);
    assert_eq!((cluster.state(0), &cluster.status.failure), (Some(UserState::Connected), &None));
}

#[test]
fn the_back_off_doubles_from_a_minute_to_an_hour() {
    let mut cluster = Cluster::of(1);
    cluster.world.refuses.insert(key(0), Reason::Rejected);
    let mut distances = Vec::new();
    while distances.len() < 8 {
        let plan = cluster.pass();
        if let RunPlan::Resume(_) = plan.run
            && !plan.steps().is_empty()
        {
            let next = cluster.status.failure.as_ref().unwrap().next_attempt_time.0;
            distances.push(next.duration_since(cluster.now).as_secs() / 60);
            cluster.now = next;
        }
        cluster.between(&plan);
    }
    assert_eq!(distances, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(cluster.runs.len(), 8);
}

#[test]
fn a_request_tries_again_at_once() {
    let mut cluster = Cluster::of(2);
    cluster.world.refuses.insert(key(0), Reason::Rejected);
    let plan = cluster.pass();
    cluster.between(&plan);
    cluster.pass();
    cluster.world.refuses.clear();
    cluster.requested_at = Some("again".to_owned());
    cluster.read();
    assert!(matches!(cluster.pass().run, RunPlan::Create(_)));
    assert_eq!(cluster.status.last_handled_reconcile_at.as_deref(), Some("again"));
    let retry_at = cluster.status.failure.as_ref().unwrap().next_attempt_time.0;
    cluster.between(&cluster.plan());
    cluster.pass();
    assert!(cluster.now < retry_at);
    assert_eq!(cluster.run_states(), [Some(RunState::PartiallyApplied), Some(RunState::Applied)]);
}

/// Only who failed waits; a newcomer does not.
#[test]
fn a_newcomer_does_not_wait_for_the_back_off_of_others() {
    let mut cluster = Cluster::of(1);
    cluster.world.refuses.insert(key(0), Reason::Rejected);
    let plan = cluster.pass();
    cluster.between(&plan);
    cluster.pass();
    cluster.world.add_person(1);
    cluster.read();
    let RunPlan::Create(run) = cluster.pass().run else { panic!("no run") };
    assert_eq!(run.spec.actions.iter().map(|action| action.user.as_str()).collect::<Vec<_>>(), [key(1).as_str()]);
}

#[test]
fn the_second_attempt_of_one_plan_has_another_name() {
    let mut cluster = Cluster::of(1);
    cluster.world.refuses.insert(key(0), Reason::Rejected);
    let plan = cluster.pass();
    cluster.between(&plan);
    cluster.pass();
    cluster.wait(61);
    cluster.read();
    cluster.pass();
    let names: Vec<_> = cluster.runs.keys().map(|name| name.rsplit('-').next().unwrap().to_owned()).collect();
    assert_eq!(names, ["1", "2"]);
}

/// A user that the connector does not know needs another import before the next try.
#[test]
fn whom_the_connector_does_not_know_is_imported_again() {
    let mut cluster = Cluster::of(1);
    cluster.world.refuses.insert(key(0), Reason::TeamsUserNotImported);
    let plan = cluster.pass();
    cluster.between(&plan);
    cluster.pass();
    let failed_at = cluster.now;
    assert_eq!((cluster.state(0), cluster.reason(0)), (Some(UserState::Pending), Some(Reason::TeamsUserNotImported)));
    cluster.wait(61);
    cluster.world.refuses.clear();
    cluster.read();
    cluster.pass();
    cluster.read();
    assert_eq!(cluster.pass().needs_import_after, Some(failed_at));
    cluster.settle();
    assert_eq!(cluster.state(0), Some(UserState::Connected));
}

#[test]
fn failures_are_kept_up_to_a_hundred() {
    let mut cluster = Cluster::of(400);
    cluster.world.refuses =
        (0..400).filter(|index| index % 3 == 2).map(|index| (key(index), Reason::Rejected)).collect();
    let plan = cluster.pass();
    cluster.between(&plan);
    cluster.pass();
    assert_eq!(cluster.run().status.failures.len(), 100);
    assert_eq!(cluster.run().status.outcome.unwrap().failed, 133);
    cluster.read();
    let plan = cluster.plan();
    assert_eq!(plan.run, RunPlan::None);
    assert_eq!(plan.counts.unwrap().blocked, 133);
}

#[test]
fn no_run_is_created_while_the_gate_is_closed_or_the_policy_suspended() {
    let mut cluster = Cluster::of(1);
    cluster.gate = Some(problem(Reason::AwaitingConsent));
    assert_eq!(cluster.pass().run, RunPlan::None);
    cluster.gate = None;
    cluster.suspended = true;
    assert_eq!(cluster.pass().run, RunPlan::None);
    assert_eq!(cluster.status.counters.unwrap().users_to_add, 1);
}

#[test]
fn the_run_of_a_plan_carries_id_and_number() {
    let mut cluster = Cluster::of(1);
    cluster.pass();
    let action = &cluster.run().spec.actions[0];
    assert_eq!(action.args.phone_number.as_deref(), Some(number(0).as_str()));
    assert!(!action.expected.in_connector);
}

#[test]
fn the_policy_shows_its_open_run() {
    let mut cluster = Cluster::new(World::of(1));
    cluster.read();
    cluster.pass();
    assert_eq!(cluster.status.runs[0].name, cluster.run().name);
    assert_eq!(cluster.condition(RECONCILING), is("True", Reason::ChangesPending));
    cluster.settle();
    assert!(cluster.status.runs.is_empty());
}
