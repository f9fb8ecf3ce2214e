//! What is written for the account, and what is not.

use std::collections::BTreeMap;

use k8s_openapi::jiff::SignedDuration;

use super::fixture::{BRANCH, HEAD, World, failed_source, job, minute, pbx, record};
use crate::api::{Reason, StepFailure};
use crate::plan::account::{AccountStep, TENANT_PUSHED};
use crate::plan::observed::{Next, Problem, ReadingKind};
use crate::plan::snapshot::{
    ConsentState, JobState, PushAuthorizationState, Service, Source, Tick, Verification, VerificationState,
};

fn unbound() -> World {
    let mut world = World::with_two_pbxs();
    world.snapshot().record = Source::complete(Some(record(BTreeMap::from([(pbx(HEAD), minute(5))]))), minute(119));
    world
}

fn verification(world: &mut World, state: VerificationState, verified_at: Option<i64>) {
    let verification = Verification { state, verified_at: verified_at.map(minute), failed_checks: vec![] };
    world.pbx(HEAD).verification = Source::complete(Some(verification), minute(119));
}

fn waiting_for_push() -> World {
    let mut world = World::set_up();
    world.activity(|activity| {
        activity.push_tick = Tick::ChangesQueued;
        activity.push_changes_since = Some(minute(100));
    });
    world.authorization(PushAuthorizationState::Granted, Some(minute(170)));
    world
}

fn key(world: &World) -> String {
    match &world.plan().steps[..] {
        [
            AccountStep::StartVerification { key, .. }
            | AccountStep::StartDirectoryImport { key, .. }
            | AccountStep::RequestPushAuthorization { key }
            | AccountStep::StartPush { key },
        ] => key.clone(),
        steps => panic!("one step with a key is expected, not {steps:?}"),
    }
}

fn in_words(world: &World) -> String {
    world.plan().to_string()
}

/// An empty plan prints nothing and causes no write.
#[test]
fn an_empty_plan_prints_nothing() {
    assert_eq!(in_words(&World::set_up()), "");
}

#[test]
fn a_listed_pbx_is_bound_and_no_other() {
    insta::assert_snapshot!(in_words(&unbound()), @r"
    holds writes: Progressing (Branch: the PBX is being bound.)
    step: bind PBX 00000000-0000-4000-8000-0000000000ee
    ");
}

/// P1: one call for one intent. It is looked for soon, and taken again only if a later reading does not show it.
#[test]
fn a_step_is_not_repeated_before_a_reading_that_would_show_it() {
    let mut world = unbound();
    let taken = world.plan().steps;
    world.last_step = Some(world.now);
    let plan = world.plan();
    assert_eq!(plan.steps, vec![]);
    assert_eq!(plan.next, Next::At(world.now + SignedDuration::from_secs(2), ReadingKind::Account));
    let record = Source::complete(world.snapshot().record.known().unwrap().clone(), world.now);
    world.snapshot().record = record;
    assert_eq!(world.plan().steps, taken);
}

#[test]
fn nothing_is_bound_without_an_account_record_or_entitlement() {
    let mut world = unbound();
    world.pbx(BRANCH).entitlement = Source::complete(None, minute(119));
    assert_eq!(world.plan().steps, vec![]);
    let mut world = unbound();
    world.snapshot().record = Source::complete(None, minute(119));
    assert!(!world.plan().steps.iter().any(|step| matches!(step, AccountStep::BindPbx { .. })));
}

#[test]
fn a_verification_older_than_consent_or_binding_is_repeated() {
    let mut world = World::set_up();
    verification(&mut world, VerificationState::Verified, Some(11));
    insta::assert_snapshot!(in_words(&world), @r"
    holds writes: VerificationRunning (Head office: the verification is older than the consent or the binding and is started again.)
    step: verify the connection of PBX 00000000-0000-4000-8000-0000000000ff
    ");
    world.pbx(HEAD).verification = Source::complete(None, minute(119));
    assert_eq!(world.plan().steps.len(), 1);
}

#[test]
fn a_verification_is_not_repeated_while_it_runs_or_after_it_failed() {
    let mut world = World::set_up();
    for state in [VerificationState::Running, VerificationState::Failed] {
        verification(&mut world, state, None);
        assert_eq!(world.plan().steps, vec![], "{state:?}");
    }
}

/// A request is acted upon once.
#[test]
fn a_failed_verification_is_repeated_once_for_each_request() {
    let mut world = World::set_up();
    verification(&mut world, VerificationState::Failed, None);
    world.requested_at = Some("first".to_owned());
    let first = key(&world);
    world.pass();
    assert_eq!(world.status.last_handled_reconcile_at.as_deref(), Some("first"));
    assert_eq!(world.plan().steps, vec![]);
    world.requested_at = Some("second".to_owned());
    assert_ne!(key(&world), first);
}

#[test]
fn an_import_is_started_when_a_policy_has_newer_users() {
    let mut world = World::set_up();
    world.demand(HEAD, Some(minute(110)));
    insta::assert_snapshot!(in_words(&world), @"step: start a directory import for PBX 00000000-0000-4000-8000-0000000000ff");
    assert_eq!(key(&world), key(&world));
}

#[test]
fn an_import_that_began_at_or_after_the_newest_user_meets_the_demand() {
    let mut world = World::set_up();
    world.demand(HEAD, Some(minute(15)));
    assert_eq!(world.plan().steps, vec![]);
}

#[test]
fn no_second_import_is_started_while_one_is_open() {
    let mut world = World::set_up();
    world.demand(HEAD, Some(minute(110)));
    world.activity(|activity| activity.imports.insert(0, job("import-2", JobState::Open, minute(109))));
    assert_eq!(world.plan().steps, vec![]);
}

/// The distance grows with each failed import; the key differs, so the connector starts another.
#[test]
fn after_failed_imports_the_next_waits_longer_and_longer() {
    let mut world = World::set_up();
    world.demand(HEAD, Some(minute(110)));
    let first = key(&world);
    for (failed, pause) in [(1, 1), (2, 2), (3, 4), (9, 60)] {
        world.activity(|activity| {
            activity.imports = (0..failed).map(|n| job(&format!("f{n}"), JobState::Failed, minute(111))).collect();
        });
        world.now = minute(112 + pause) - k8s_openapi::jiff::SignedDuration::from_secs(1);
        assert_eq!(world.plan().steps, vec![], "{failed}");
        world.now = minute(112 + pause);
        assert_ne!(key(&world), first);
    }
}

#[test]
fn no_import_is_started_while_writes_are_held() {
    let mut world = World::set_up();
    world.demand(HEAD, Some(minute(110)));
    verification(&mut world, VerificationState::Failed, None);
    assert_eq!(world.plan().steps, vec![]);
}

#[test]
fn waiting_changes_are_pushed_once_the_administrator_signed_in() {
    let world = waiting_for_push();
    insta::assert_snapshot!(in_words(&world), @"step: start a push to Teams");
}

/// The tick may lag behind the pairs.
#[test]
fn a_pair_newer_than_the_newest_push_needs_another() {
    let mut world = World::set_up();
    world.authorization(PushAuthorizationState::NotRequired, None);
    world.activity(|activity| activity.pushes = vec![job("push-1", JobState::Done, minute(100))]);
    world.add_user(minute(100));
    assert_eq!(world.plan().steps, vec![]);
    world.add_user(minute(101));
    assert!(matches!(world.plan().steps[..], [AccountStep::StartPush { .. }]));
}

#[test]
fn a_running_push_is_not_started_again() {
    let mut world = waiting_for_push();
    world.activity(|activity| activity.pushes = vec![job("push-1", JobState::Open, minute(119))]);
    assert_eq!(world.plan().steps, vec![]);
}

/// R13: one push carries both halves of a replacement, and a removal whole, but for a run that waits it does not wait for ever.
#[test]
fn a_push_waits_for_a_run_that_takes_service_away() {
    let mut world = waiting_for_push();
    world.add_user(minute(119));
    world.demand(HEAD, None);
    world.policies[0].disconnects = true;
    assert_eq!(world.plan().steps, vec![]);
    world.now = minute(121);
    assert!(matches!(world.plan().steps[..], [AccountStep::StartPush { .. }]));
    world.policies[0].replaces_since = Some(minute(119));
    assert_eq!(world.plan().steps, vec![]);
    assert!(matches!(world.plan().next, Next::At(_, ReadingKind::Account)));
    world.now = minute(134);
    assert!(matches!(world.plan().steps[..], [AccountStep::StartPush { .. }]));
    world.now = minute(120);
    (world.policies[0].disconnects, world.policies[0].replaces_since) = (false, None);
    assert!(matches!(world.plan().steps[..], [AccountStep::StartPush { .. }]));
}

/// Two policies share one push, and one push carries the changes of a whole run.
#[test]
fn a_push_waits_for_the_runs_of_all_policies_but_not_for_ever() {
    let mut world = waiting_for_push();
    world.add_user(minute(119));
    world.demand(HEAD, None);
    world.demand(HEAD, Some(minute(10)));
    assert_eq!(world.plan().steps, vec![]);
    assert!(matches!(world.plan().next, Next::At(_, ReadingKind::Account)));
    world.now = minute(121);
    assert!(matches!(world.plan().steps[..], [AccountStep::StartPush { .. }]));
    world.now = minute(120);
    world.policies[1].needs_import_after = None;
    assert!(matches!(world.plan().steps[..], [AccountStep::StartPush { .. }]));
}

#[test]
fn a_failed_push_is_repeated_only_after_a_newer_change_or_on_request() {
    let mut world = waiting_for_push();
    world.activity(|activity| {
        activity.push_tick = Tick::Failed;
        activity.pushes = vec![job("push-1", JobState::Failed, minute(110))];
    });
    assert_eq!(world.plan().steps, vec![]);
    world.pass();
    assert_eq!(world.condition(TENANT_PUSHED).unwrap().1, Reason::PushFailed);
    world.requested_at = Some("again".to_owned());
    assert_eq!(world.plan().steps.len(), 1);
    world.requested_at = None;
    world.add_user(minute(111));
    assert_eq!(world.plan().steps.len(), 1);
}

#[test]
fn no_push_is_started_without_consent() {
    let mut world = waiting_for_push();
    let mut consents = world.snapshot().consents.known().unwrap().clone();
    consents[1].state = ConsentState::Revoked;
    world.snapshot().consents = Source::complete(consents, minute(119));
    assert!(!world.plan().steps.iter().any(|step| matches!(step, AccountStep::StartPush { .. })));
}

/// Links are renewed without limit while wanted; each renewal has a key of its own.
#[test]
fn a_sign_in_link_is_requested_and_renewed_before_it_stops_working() {
    let mut world = waiting_for_push();
    world.authorization(PushAuthorizationState::NotRequested, None);
    insta::assert_snapshot!(in_words(&world), @r"
    step: request a link to sign in for the push
    waits: GlobalAdministrator SignInForPush
    ");
    let first = key(&world);
    world.authorization(PushAuthorizationState::Pending, Some(minute(180)));
    assert_eq!(world.plan().steps, vec![]);
    world.pass();
    world.now = minute(175);
    let renewed = key(&world);
    world.now = minute(180);
    world.authorization(PushAuthorizationState::Expired, None);
    let after = key(&world);
    assert!(first != renewed && renewed != after && after != first);
}

/// The connector tells of an expired link nothing but that: the request of the next hour must not repeat the old answer.
#[test]
fn two_expired_links_lead_to_two_keys() {
    let mut world = waiting_for_push();
    world.authorization(PushAuthorizationState::Expired, None);
    let first = key(&world);
    assert_eq!(key(&world), first);
    world.now = minute(181);
    assert_ne!(key(&world), first);
}

#[test]
fn a_grant_that_has_ended_needs_another_sign_in() {
    let mut world = waiting_for_push();
    world.authorization(PushAuthorizationState::Granted, Some(minute(120)));
    assert!(matches!(world.plan().steps[..], [AccountStep::RequestPushAuthorization { .. }]));
}

#[test]
fn nothing_is_written_while_suspended() {
    for mut world in [unbound(), waiting_for_push()] {
        world.suspended = true;
        assert_eq!(world.plan().steps, vec![]);
        assert_eq!(world.plan().write_gate.unwrap().reason, Reason::Suspended);
    }
}

/// Nothing is started on the strength of a source that could not be read.
#[test]
fn nothing_is_written_from_sources_that_are_not_current() {
    let mut world = unbound();
    world.snapshot().record = world.snapshot().record.failed(failed_source(Reason::ConnectorUnreachable));
    assert_eq!(world.plan().steps, vec![]);
    let mut world = waiting_for_push();
    world.snapshot().activity = world.snapshot().activity.failed(failed_source(Reason::ConnectorUnreachable));
    assert_eq!(world.plan().steps, vec![]);
    let mut world = World::set_up();
    verification(&mut world, VerificationState::Verified, Some(11));
    let source = world.pbx(HEAD).verification.failed(failed_source(Reason::ConnectorUnreachable));
    world.pbx(HEAD).verification = source;
    assert_eq!(world.plan().steps, vec![]);
}

#[test]
fn a_failed_step_is_tried_again_after_its_back_off_or_on_request() {
    let mut world = waiting_for_push();
    let problem = Problem { reason: Reason::ConnectorUnreachable, message: "HTTP 503.".to_owned() };
    let report = world.pass_with(Some(problem));
    let Some(StepFailure { count: 1, next_attempt_time, conditions }) = &world.status.failure else {
        panic!("{:?}", world.status.failure)
    };
    assert_eq!(conditions, &[TENANT_PUSHED]);
    let retry_at = next_attempt_time.0;
    assert_eq!(report.next, Next::At(retry_at, ReadingKind::Account));
    assert_eq!(world.condition(TENANT_PUSHED).unwrap().1, Reason::ConnectorUnreachable);
    insta::assert_snapshot!(in_words(&world), @"held back: start a push to Teams");
    let held = world.status.clone();
    world.pass();
    assert_eq!(world.status, held);
    world.now = retry_at;
    assert_eq!(world.plan().steps.len(), 1);
    world.pass();
    assert_eq!(world.status.failure, None);
}

/// T5: one step that is refused for good holds back no step for another condition, and those do not make it come earlier.
#[test]
fn a_failed_step_holds_back_only_those_of_its_condition() {
    let mut world = waiting_for_push();
    let problem = Problem { reason: Reason::ConnectorUnreachable, message: "HTTP 503.".to_owned() };
    world.pass_with(Some(problem.clone()));
    let retry_at = world.status.failure.as_ref().unwrap().next_attempt_time.0;
    world.now += SignedDuration::from_secs(1);
    let off = Service { user_import_enabled: false, enabled: true };
    world.pbx(HEAD).service = Source::complete(Some(off), world.now);
    insta::assert_snapshot!(in_words(&world), @"
    holds writes: ServiceDisabled (Head office: Enable Sync is off.)
    step: switch on Enable Sync of PBX 00000000-0000-4000-8000-0000000000ff
    held back: start a push to Teams
    ");
    let report = world.pass();
    assert_eq!(report.next, Next::At(world.now + SignedDuration::from_secs(2), ReadingKind::Account));
    assert_eq!(world.status.failure.as_ref().unwrap().next_attempt_time.0, retry_at);
    world.now += SignedDuration::from_secs(3);
    world.pass_with(Some(problem));
    let failure = world.status.failure.as_ref().unwrap();
    assert_eq!((failure.count, failure.conditions.len()), (2, 2));
}
