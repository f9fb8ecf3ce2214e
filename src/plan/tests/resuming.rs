//! An open run is resumed from its actions and never recomputed; what is no longer called for is skipped.

use super::cluster::{Cluster, problem};
use super::world::{World, key, minutes, number, teams_id};
use crate::api::{Reason, RunState, TeamsAttribute, UserState, UserSyncRunStatus};
use crate::plan::acted::{ActOutcome, StepResult, after};
use crate::plan::run_status::Wait;
use crate::plan::user_plan::{ResumedRun, RunPlan};

/// A run that is stored, with its import done, before its first write.
pub(super) fn ready_run(people: usize) -> Cluster {
    let mut cluster = Cluster::of(people);
    let plan = cluster.pass();
    cluster.between(&plan);
    cluster
}

fn resumed(cluster: &Cluster) -> ResumedRun {
    match cluster.plan().run {
        RunPlan::Resume(run) => run,
        other => panic!("not resumed: {other}"),
    }
}

#[test]
fn a_run_with_a_lost_status_is_resumed() {
    let mut cluster = ready_run(2);
    for run in cluster.runs.values_mut() {
        run.status = UserSyncRunStatus::default();
    }
    assert_eq!(resumed(&cluster).steps.len(), 2);
}

/// R10: a restored backup revives nothing that is done.
#[test]
fn a_finished_run_with_a_lost_status_does_nothing_again() {
    let mut cluster = Cluster::connected(2);
    for run in cluster.runs.values_mut() {
        run.status = UserSyncRunStatus::default();
    }
    cluster.settle();
    assert_eq!(cluster.puts.len(), 2);
    assert_eq!(cluster.run_states(), [Some(RunState::Applied)]);
}

#[test]
fn what_is_in_the_connector_already_is_done() {
    let mut cluster = ready_run(3);
    let step = cluster.plan().steps()[0].clone();
    cluster.world.answer(&step, cluster.now);
    cluster.read();
    let run = resumed(&cluster);
    assert_eq!((run.tally.applied, run.steps.len()), (1, 2));
}

macro_rules! skipped {
    ($($fact:ident: $change:expr => $why:literal;)*) => {
        $(
            #[test]
            fn $fact() {
                let mut cluster = ready_run(2);
                let change: fn(&mut World) = $change;
                change(&mut cluster.world);
                cluster.read();
                let run = resumed(&cluster);
                assert_eq!(run.skipped, [(key(0), $why.to_owned())]);
                assert_eq!(run.steps.iter().map(|step| &step.user).collect::<Vec<_>>(), [&key(1)]);
                cluster.pass();
                assert!(cluster.run_states().contains(&Some(RunState::PartiallyApplied)));
                assert!(!cluster.puts.contains(&key(0)));
            }
        )*
    };
}

skipped! {
    who_is_no_longer_eligible_is_skipped: |it| it.teams[0].has_phone_system = false => "no longer called for: NoPhoneSystemLicense";
    whose_number_changed_is_skipped: |it| it.numbers[0].number = Some(number(700)) => "another telephone number is routed to the user";
    who_was_added_by_somebody_else_is_skipped: |it| it.add_pair(0, 0, Some("somebody"), super::world::at(11)) => "no longer called for: ForeignUser";
    whose_counterpart_is_taken_is_skipped: |it| it.add_pair(8, 0, None, super::world::at(11)) => "no longer called for: TeamsUserTaken";
    who_turned_secure_calling_on_is_skipped: |it| it.candidates[0].secure_calling = true => "no longer called for: SecureCallingEnabled";
}

#[test]
fn a_license_that_vanished_skips_the_youngest() {
    let mut cluster = ready_run(3);
    cluster.world.entitlement.licenses_total = 2;
    cluster.read();
    let run = resumed(&cluster);
    assert_eq!((run.steps.len(), run.skipped.len()), (2, 1));
    assert_eq!(run.skipped[0].1, "no longer called for: ConnectorLicenseExhausted");
}

/// A run that somebody forged can do nothing that the plan would not.
#[test]
fn a_forged_run_writes_nothing() {
    let mut cluster = ready_run(2);
    let name = cluster.run().name.clone();
    let run = cluster.runs.get_mut(&name).unwrap();
    run.spec.actions[0].args.teams_user_id = Some(teams_id(1).to_string());
    run.spec.actions[1].user = "99".to_owned();
    let plan = cluster.plan();
    assert!(plan.steps().is_empty());
    assert!(matches!(plan.run, RunPlan::Close(run) if run.status.state == Some(RunState::Superseded)));
}

fn edit_spec(cluster: &mut Cluster) {
    cluster.generation += 1;
    cluster.spec.matching.automatic.as_mut().unwrap().teams_attribute = TeamsAttribute::Mail;
}

/// T42: suspended and resumed by its spec, a policy goes on with the run that it had.
#[test]
fn suspending_by_the_spec_does_not_supersede_the_run() {
    let mut cluster = ready_run(2);
    let switch = |cluster: &mut Cluster, on: bool| {
        cluster.generation += 1;
        (cluster.spec.suspend, cluster.suspended) = (on, on);
    };
    switch(&mut cluster, true);
    cluster.pass();
    assert_eq!(cluster.run_states(), [Some(RunState::Running)]);
    switch(&mut cluster, false);
    cluster.settle();
    assert_eq!(cluster.run_states(), [Some(RunState::Applied)]);
}

/// R22
#[test]
fn an_edit_of_the_policy_supersedes_the_run_and_another_follows() {
    let mut cluster = ready_run(2);
    edit_spec(&mut cluster);
    let plan = cluster.pass();
    assert!(matches!(plan.run, RunPlan::Close(_)) && cluster.puts.is_empty());
    assert_eq!(cluster.run_states(), [Some(RunState::Superseded)]);
    cluster.read();
    cluster.settle();
    assert_eq!(cluster.run_states(), [Some(RunState::Superseded), Some(RunState::Applied)]);
    assert!(cluster.object_writes.values().all(|writes| *writes == 4));
}

/// R22
#[test]
fn suspend_pauses_the_run() {
    let mut cluster = ready_run(1);
    cluster.suspended = true;
    assert_eq!(resumed(&cluster).waiting, Some(Wait::Suspended));
    cluster.pass();
    assert!(cluster.puts.is_empty());
    cluster.suspended = false;
    cluster.settle();
    assert_eq!(cluster.state(0), Some(UserState::Connected));
}

#[test]
fn a_closed_gate_pauses_the_run_and_says_why() {
    let mut cluster = ready_run(1);
    cluster.gate = Some(problem(Reason::ConsentRevoked));
    assert_eq!(resumed(&cluster).waiting, Some(Wait::Gate(Reason::ConsentRevoked)));
    cluster.pass();
    let ready = &cluster.run().status.conditions[0];
    assert_eq!(ready.message, "Waits: the account is not ready for writes (ConsentRevoked).");
}

#[test]
fn a_reading_that_is_older_than_the_last_write_moves_nothing() {
    let mut cluster = ready_run(1);
    cluster.last_write = Some(cluster.now + minutes(1));
    let run = resumed(&cluster);
    assert_eq!((run.waiting, run.steps.len()), (Some(Wait::OlderReading), 0));
}

/// The mark is stored before the connector is asked, whatever the executor does.
#[test]
fn nobody_is_written_whose_mark_is_not_stored() {
    let mut cluster = ready_run(2);
    cluster.users.remove(&key(0));
    let run = resumed(&cluster);
    assert_eq!(run.steps.iter().map(|step| &step.user).collect::<Vec<_>>(), [&key(1)]);
    cluster.users.get_mut(&key(1)).unwrap().spec.managed = crate::api::Managed::None;
    assert_eq!(resumed(&cluster).waiting, Some(Wait::Objects));
}

#[test]
fn steps_that_were_not_tried_stay_to_do() {
    let cluster = ready_run(3);
    let plan = cluster.plan();
    let results = vec![(key(0), StepResult::Accepted), (key(1), StepResult::NotTried)];
    let mut acted = after(&plan, &ActOutcome { results, ..ActOutcome::default() }, cluster.now);
    let report = acted.runs.remove(0);
    assert!(!report.closed);
    assert_eq!(report.status.outcome.unwrap().remaining, 2);
    assert_eq!(acted.users.iter().map(|user| &user.key).collect::<Vec<_>>(), [&key(0)]);
}

#[test]
fn what_the_executor_skips_is_counted_as_skipped() {
    let cluster = ready_run(2);
    let results = vec![(key(0), StepResult::Accepted), (key(1), StepResult::Skipped("gone".to_owned()))];
    let report = after(&cluster.plan(), &ActOutcome { results, ..ActOutcome::default() }, cluster.now).runs.remove(0);
    assert_eq!(report.status.state, Some(RunState::PartiallyApplied));
    assert_eq!(report.status.outcome.unwrap().skipped, 1);
}

/// A write whose answer was lost is found done and is no failure.
#[test]
fn a_failure_that_went_through_after_all_is_done() {
    let mut cluster = ready_run(3);
    let plan = cluster.plan();
    let lost = StepResult::Failed { reason: Reason::ConnectorUnreachable, message: "no answer".to_owned() };
    let results = vec![(key(0), lost), (key(1), StepResult::NotTried), (key(2), StepResult::NotTried)];
    let mut acted = after(&plan, &ActOutcome { results, ..ActOutcome::default() }, cluster.now);
    assert_eq!(acted.users[0].status.state, Some(UserState::Pending));
    let name = cluster.run().name.clone();
    cluster.runs.get_mut(&name).unwrap().status = acted.runs.remove(0).status;
    let step = plan.steps()[0].clone();
    cluster.world.answer(&step, cluster.now);
    cluster.read();
    cluster.settle();
    assert_eq!(cluster.run_states(), [Some(RunState::Applied)]);
    assert_eq!(cluster.puts, [key(1), key(2)]);
    assert!(cluster.run().status.failures.is_empty());
}

/// Read-after-write lag: accepted, not listed yet.
#[test]
fn an_accepted_user_who_is_not_listed_is_waited_for() {
    let mut cluster = ready_run(1);
    cluster.pass();
    let pairs = std::mem::take(&mut cluster.world.pairs);
    cluster.read_twice();
    let plan = cluster.pass();
    assert!(plan.is_empty(), "{plan}");
    assert_eq!(cluster.state(0), Some(UserState::Pending));
    cluster.world.pairs = pairs;
    cluster.read();
    cluster.settle();
    assert_eq!((cluster.state(0), cluster.puts.len()), (Some(UserState::Connected), 1));
}

/// The lag of the listing does not take a license from those who still have an action.
#[test]
fn licenses_in_use_that_are_not_listed_yet_are_not_counted_twice() {
    let mut world = World::of(4);
    world.entitlement.licenses_total = 4;
    let mut cluster = Cluster::new(world);
    cluster.read();
    let plan = cluster.pass();
    cluster.between(&plan);
    let plan = cluster.plan();
    let results: Vec<_> = (0..2).map(|index| (key(index), StepResult::Accepted)).collect();
    for step in &plan.steps()[..2] {
        cluster.world.answer(step, cluster.now);
    }
    let acted = after(&plan, &ActOutcome { results, ..ActOutcome::default() }, cluster.now);
    for user in &acted.users {
        cluster.users.get_mut(&user.key).unwrap().status = user.status.clone();
    }
    let pairs = std::mem::take(&mut cluster.world.pairs);
    cluster.read();
    let run = resumed(&cluster);
    assert_eq!((run.steps.len(), run.tally.applied, run.skipped.len()), (2, 2, 0));
    cluster.world.entitlement.licenses_in_use = 0;
    cluster.world.add_person(4);
    cluster.read();
    assert_eq!(cluster.plan().user(&key(4)).unwrap().status.state, Some(UserState::Waiting));
    cluster.world.entitlement.licenses_in_use = 2;
    cluster.world.pairs = pairs;
    cluster.read();
    assert_eq!(resumed(&cluster).steps.len(), 2);
}

#[test]
fn a_refused_user_is_not_tried_again_in_the_same_run() {
    let mut cluster = ready_run(3);
    let refused = StepResult::Failed { reason: Reason::Rejected, message: "no".to_owned() };
    let outcome = ActOutcome { results: vec![(key(0), refused)], ..ActOutcome::default() };
    let mut acted = after(&cluster.plan(), &outcome, cluster.now);
    let name = cluster.run().name.clone();
    cluster.runs.get_mut(&name).unwrap().status = acted.runs.remove(0).status;
    cluster.read();
    let run = resumed(&cluster);
    assert_eq!((run.tally.failed, run.skipped.len()), (1, 0));
    assert_eq!(run.steps.iter().map(|step| &step.user).collect::<Vec<_>>(), [&key(1), &key(2)]);
}
