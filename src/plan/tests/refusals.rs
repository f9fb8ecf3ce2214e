//! Batches that the connector does not answer: shown with their reason, repeated with growing distance, nothing lost.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::cluster::{Cluster, is};
use super::disconnecting::{leaves, removing};
use super::resuming::ready_run;
use super::world::key;
use crate::api::conditions::{ACTION_REQUIRED, READY, RECONCILING};
use crate::api::{Reason, RemovalAction, RunRefusal, RunState, RunType, UserState};
use crate::plan::acted::{ActOutcome, Acted, Refusal, StepResult, after};
use crate::plan::observed::{Next, ReadingKind};

fn refused(cluster: &mut Cluster, reason: Reason, until: Option<Timestamp>) -> Acted {
    let outcome = ActOutcome { refusal: Some(Refusal { reason, until }), ..ActOutcome::default() };
    let acted = after(&cluster.plan(), &outcome, cluster.now);
    let name = cluster.run().name.clone();
    cluster.runs.get_mut(&name).unwrap().status = acted.runs[0].status.clone();
    acted
}

fn refusal(cluster: &Cluster) -> RunRefusal {
    cluster.run().status.refusal.clone().unwrap()
}

/// Rule 7 of performance: half a minute, doubling to an hour; nothing is sent meanwhile, and the run stays open.
#[test]
fn refused_batches_come_again_with_growing_distance() {
    let mut cluster = ready_run(3);
    for (count, seconds) in [30, 60, 120, 240, 480, 960, 1920, 3600, 3600].into_iter().enumerate() {
        let acted = refused(&mut cluster, Reason::ConnectorUnreachable, None);
        let at = cluster.now + SignedDuration::from_secs(seconds);
        assert_eq!(acted.next, Next::At(at, ReadingKind::Outcome), "after {} refusals", count + 1);
        assert_eq!(cluster.run_states(), [Some(RunState::Running)]);
        cluster.wait(seconds - 1);
        let plan = cluster.plan();
        assert!(plan.steps().is_empty(), "after {} refusals", count + 1);
        assert_eq!(plan.next, Next::At(at, ReadingKind::Outcome));
        cluster.wait(1);
        assert_eq!(cluster.plan().steps().len(), 3);
    }
}

/// T27: never earlier than the vendor said.
#[test]
fn a_vendor_that_asks_for_more_patience_gets_it() {
    let mut cluster = ready_run(1);
    let until = cluster.now + SignedDuration::from_mins(20);
    let acted = refused(&mut cluster, Reason::RateLimited, Some(until));
    assert_eq!(acted.next, Next::At(until, ReadingKind::Outcome));
}

/// The status tells why nothing moves, who acts, and is quiet about a single lost batch.
#[test]
fn a_lasting_refusal_shows_on_run_and_policy() {
    let mut cluster = ready_run(2);
    refused(&mut cluster, Reason::ConnectorUnreachable, None);
    cluster.pass();
    assert_eq!(cluster.condition(RECONCILING), is("True", Reason::ChangesPending), "one lost batch is no news");
    cluster.wait(30);
    cluster.read();
    refused(&mut cluster, Reason::ConnectorUnreachable, None);
    cluster.pass();
    assert_eq!(cluster.condition(RECONCILING), is("True", Reason::AccountNotReady));
    assert_eq!(cluster.condition(ACTION_REQUIRED), None);
    cluster.wait(60);
    cluster.read();
    refused(&mut cluster, Reason::CredentialsRejected, None);
    cluster.pass();
    assert_eq!(cluster.condition(ACTION_REQUIRED), is("True", Reason::CredentialsRejected));
    assert_eq!(cluster.condition(READY), is("False", Reason::AccountNotReady));
    let message = &cluster.run().status.conditions[0].message;
    assert!(message.contains("CredentialsRejected"), "{message}");
}

/// T43: a request goes past the back-off; what is answered ends it.
#[test]
fn a_request_and_an_answer_end_the_pause() {
    let mut cluster = ready_run(2);
    refused(&mut cluster, Reason::ConnectorUnreachable, None);
    assert_eq!(refusal(&cluster).count, 1);
    cluster.wait(5);
    cluster.read();
    assert!(cluster.plan().steps().is_empty());
    cluster.requested_at = Some("now".to_owned());
    assert_eq!(cluster.plan().steps().len(), 2);
    cluster.settle();
    assert_eq!(cluster.run_states(), [Some(RunState::Applied)]);
    assert_eq!((cluster.run().status.refusal.clone(), cluster.puts.len()), (None, 2));
}

/// R5, R17: a last look that is refused holds up nobody but those who are to lose something; whom it found gone goes.
#[test]
fn a_look_that_is_refused_holds_up_no_newcomer() {
    let mut cluster = removing(4, RemovalAction::Remove);
    leaves(&mut cluster, 0);
    // The removal takes a pass longer to begin.
    for newcomer in [None, Some(4)] {
        if let Some(index) = newcomer {
            cluster.world.add_person(index);
        }
        cluster.read_twice();
        let plan = cluster.pass();
        cluster.between(&plan);
    }
    cluster.read();
    let steps = |cluster: &Cluster| cluster.plan().steps().iter().map(|step| step.user.clone()).collect::<Vec<_>>();
    assert_eq!(steps(&cluster), [key(0), key(4)]);
    let look = Some(Refusal { reason: Reason::SourceIncomplete, until: None });
    let plan = cluster.plan();
    let acted = after(&plan, &ActOutcome { look, ..ActOutcome::default() }, cluster.now);
    for report in &acted.runs {
        let run = cluster.runs.get_mut(&report.name).unwrap();
        run.status = report.status.clone();
        assert_eq!(run.status.refusal.is_some(), run.spec.run_type == RunType::Disconnect);
    }
    assert_eq!(acted.runs.len(), 2);
    assert_eq!(steps(&cluster), [key(4)]);
    cluster.wait(30);
    cluster.read();
    assert_eq!(steps(&cluster), [key(0), key(4)]);
}

/// R17: looks that are refused again and again cost the one whom they are for his place in the run, and nobody else's.
#[test]
fn who_cannot_be_looked_at_fails_in_the_end() {
    let mut cluster = removing(4, RemovalAction::Remove);
    leaves(&mut cluster, 0);
    while cluster.plan().steps().is_empty() {
        let plan = cluster.pass();
        cluster.between(&plan);
    }
    let look = Some(Refusal { reason: Reason::GoToUnreachable, until: None });
    for _ in 0..5 {
        assert!(!cluster.plan().is_out_of_patience());
        let acted = after(&cluster.plan(), &ActOutcome { look, ..ActOutcome::default() }, cluster.now);
        cluster.runs.get_mut(&acted.runs[0].name).unwrap().status = acted.runs[0].status.clone();
        cluster.wait(480);
        cluster.read();
    }
    let plan = cluster.plan();
    assert!(plan.is_out_of_patience() && plan.steps().len() == 1);
    let failed = StepResult::Failed { reason: Reason::GoToUnreachable, message: String::new() };
    let acted = after(&plan, &ActOutcome { results: vec![(key(0), failed)], ..ActOutcome::default() }, cluster.now);
    assert!(acted.runs[0].closed);
}

/// R16: what is taken away is what was read. Of a pair that somebody changed since, nothing is sent again before it was read anew.
#[test]
fn a_pair_that_changed_since_it_was_read_is_read_anew() {
    let mut cluster = removing(3, RemovalAction::Remove);
    leaves(&mut cluster, 0);
    while cluster.plan().steps().is_empty() {
        let plan = cluster.pass();
        cluster.between(&plan);
    }
    cluster.world.pair(0).etag = "by somebody else".to_owned();
    cluster.pass();
    assert_eq!((cluster.other_calls.len(), cluster.world.pair(0).enabled), (1, true));
    cluster.wait(19);
    cluster.read();
    assert!(cluster.plan().steps().is_empty());
    cluster.wait(1);
    assert_eq!(cluster.plan().steps().len(), 1);
    cluster.settle();
    assert_eq!(cluster.state(0), Some(UserState::Removed));
}

/// One user for whom patience is asked is no reason for a longer pause while others go through.
#[test]
fn an_accepted_user_begins_the_count_anew() {
    let mut cluster = ready_run(3);
    refused(&mut cluster, Reason::ConnectorUnreachable, None);
    cluster.wait(30);
    refused(&mut cluster, Reason::ConnectorUnreachable, None);
    assert_eq!(refusal(&cluster).count, 2);
    cluster.wait(60);
    let mut outcome = ActOutcome::default();
    outcome.add(vec![(key(0), StepResult::Accepted), (key(1), StepResult::NotTried)]);
    let acted = after(&cluster.plan(), &outcome, cluster.now);
    let refusal = acted.runs[0].status.refusal.clone().unwrap();
    assert_eq!((refusal.count, refusal.reason.as_str()), (1, "RateLimited"));
}
