//! Whom the account waits for, and when it looks again.

use std::fmt::Write;

use k8s_openapi::jiff::SignedDuration;

use super::fixture::{HEAD, World, failed_source, job, minute, record};
use crate::api::{Actor, PendingAction, Reason};
use crate::plan::observed::{Next, Problem, ReadingKind};
use crate::plan::snapshot::{
    ConsentState, Entitlement, InvitationState, JobState, PushAuthorizationState, Source, Tick, VerificationState,
};

fn only(world: &World) -> PendingAction {
    match &world.plan().pending_actions[..] {
        [action] => action.clone(),
        actions => panic!("one action is expected, not {actions:?}"),
    }
}

fn waits_for_sign_in() -> World {
    let mut world = World::set_up();
    world.activity(|activity| activity.push_tick = Tick::ChangesQueued);
    world.authorization(PushAuthorizationState::Pending, Some(minute(170)));
    world
}

fn missing_secret() -> World {
    let mut world = World::set_up();
    let message = "The Secret goto-login does not exist.".to_owned();
    world.credentials = Some(Problem { reason: Reason::SecretNotFound, message });
    world.snapshot = None;
    world
}

/// A waiting human sees who acts, what to click, where, since when and until when.
#[test]
fn the_sign_in_for_the_push_is_told_in_the_words_of_the_guide() {
    let action = only(&waits_for_sign_in());
    assert_eq!((action.id.as_str(), action.actor), ("SignInForPush", Actor::GlobalAdministrator));
    assert_eq!(action.action, "Open the link and sign in as Global Administrator: card #6 Sync Now.");
    assert_eq!(action.link.as_deref(), Some("https://connector.example.test/sign-in/1"));
    assert_eq!(action.since.0, minute(120));
    assert_eq!(action.expires_at.unwrap().0, minute(170));
}

#[test]
fn a_link_that_stopped_working_is_not_shown() {
    let mut world = waits_for_sign_in();
    world.now = minute(170);
    assert_eq!(only(&world).link, None);
}

#[test]
fn a_consent_is_awaited_with_its_link() {
    let mut world = World::set_up();
    let mut consents = world.snapshot().consents.known().unwrap().clone();
    consents[1].state = ConsentState::Pending;
    consents[1].granted_at = None;
    consents[1].link = Some("https://login.example.test/consent".to_owned());
    consents[1].link_expires_at = Some(minute(160));
    world.snapshot().consents = Source::complete(consents, minute(119));
    let action = only(&world);
    assert_eq!(action.link.as_deref(), Some("https://login.example.test/consent"));
    insta::assert_snapshot!(format!("{} {}: {}", action.actor, action.id, action.action), @"GlobalAdministrator GrantConsent: Open the link and sign in as Global Administrator: card #3, Services > Teams, grant the permissions. Not granted yet: Calling.");
}

#[test]
fn each_human_is_told_what_to_do() {
    let mut lines = String::new();
    let mut tell = |take: fn(&mut World)| {
        let mut world = World::set_up();
        take(&mut world);
        world.pass();
        let action = &world.status.pending_actions[0];
        let short = world.status.waiting_for.clone().unwrap();
        writeln!(lines, "{short}\n  {}: {}", action.id, action.action).unwrap();
    };
    tell(|world| *world = missing_secret());
    tell(|world| {
        let none = Entitlement { active: true, licenses_total: 0, licenses_in_use: 0 };
        world.pbx(HEAD).entitlement = Source::complete(Some(none), minute(119));
    });
    tell(|world| {
        let mut record = record(std::collections::BTreeMap::from([(super::fixture::pbx(HEAD), minute(5))]));
        record.invitation.state = InvitationState::Sent;
        world.snapshot().record = Source::complete(Some(record), minute(119));
    });
    tell(|world| world.spec.manager.email = "joao@contoso.example".to_owned());
    tell(|world| {
        let mut verification = world.pbx(HEAD).verification.known().unwrap().clone().unwrap();
        verification.state = VerificationState::Failed;
        verification.failed_checks = vec!["Domain".to_owned(), "Consent".to_owned()];
        world.pbx(HEAD).verification = Source::complete(Some(verification), minute(119));
    });
    insta::assert_snapshot!(lines, @r"
    PlatformTeam: create the Secret
      CreateSecret: Create the named Secret in the namespace of the account. The Secret goto-login does not exist.
    Purchasing: buy the Teams Connector
      BuyIntegration: Buy the Teams Connector integration through the sales contact of GoTo; it then shows in the integrations dashboard as the card GoTo Connect Teams Connector (General in the side bar, then the drop-down with the PBX). Head office: no connector license was bought.
    Manager: accept the invitation
      AcceptInvitation: Open the link in the invitation mail, or sign in at https://admin.goto.team.com.
    PlatformTeam: correct spec.manager
      CorrectManager: Put whoever accepted the invitation at #1 of the card GoTo Connect Teams Connector into spec.manager.
    GoToSuperAdministrator: verify the connection
      VerifyConnection: Mend the failed check, then press Verify connection at #4, or set the annotation teamsconnector.dev/requestedAt. Head office: the verification failed: Domain, Consent.
    ");
}

#[test]
fn an_action_keeps_its_beginning_while_it_waits() {
    let mut world = waits_for_sign_in();
    world.pass();
    world.now = minute(150);
    world.pass();
    assert_eq!(only(&world).since.0, minute(120));
}

/// 2 s to 30 s in the first minutes, then minutes.
#[test]
fn a_machine_is_asked_less_often_with_age() {
    for (age, pause) in [(0, 2), (10, 2), (60, 12), (149, 29), (600, 60), (900, 90), (4000, 300)] {
        let mut world = World::set_up();
        world.spec.interval = crate::api::Period::minutes(30);
        let started_at = world.now - SignedDuration::from_secs(age);
        world.activity(|activity| activity.pushes = vec![job("push-1", JobState::Open, started_at)]);
        let expected = Next::At(world.now + SignedDuration::from_secs(pause), ReadingKind::Account);
        assert_eq!(world.plan().next, expected, "{age}");
    }
}

#[test]
fn a_human_is_looked_after_every_minute_and_later_every_five() {
    let mut world = waits_for_sign_in();
    world.pass();
    for (now, pause) in [(120, 1), (129, 1), (130, 5), (140, 5)] {
        world.now = minute(now);
        assert_eq!(world.plan().next, Next::At(minute(now + pause), ReadingKind::Account), "{now}");
    }
}

/// A Secret is looked at again after 5 s, growing to 5 min.
#[test]
fn a_missing_secret_is_looked_for_after_five_seconds_growing_to_five_minutes() {
    let mut world = missing_secret();
    for pause in [5, 10, 20, 40, 80, 160, 300, 300] {
        let at = world.now + SignedDuration::from_secs(pause);
        assert_eq!(world.pass().next, Next::At(at, ReadingKind::Full), "{pause}");
        let status = world.status.clone();
        world.now += SignedDuration::from_secs(1);
        world.pass();
        assert_eq!(world.status, status, "an early pass changes nothing");
        world.now = at;
    }
    world.credentials = None;
    world.snapshot = World::set_up().snapshot;
    world.pass();
    assert_eq!(world.status.failure, None);
    assert_eq!(world.condition("Ready").unwrap().0, "True");
}

#[test]
fn a_mended_secret_does_not_leave_the_steps_backing_off() {
    let mut world = missing_secret();
    world.pass();
    world.credentials = None;
    world.snapshot = World::set_up().snapshot;
    world.snapshot().record = Source::complete(Some(record(std::collections::BTreeMap::new())), minute(119));
    assert_eq!(world.plan().steps.len(), 1);
}

#[test]
fn at_rest_the_next_look_is_the_regular_reading() {
    assert_eq!(World::set_up().plan().next, Next::Interval);
}

#[test]
fn a_vendor_is_asked_again_when_it_said() {
    let mut world = World::set_up();
    let mut failure = failed_source(Reason::RateLimited);
    failure.retry_at = Some(minute(123));
    world.snapshot().domains = world.snapshot().domains.failed(failure);
    assert_eq!(world.plan().next, Next::At(minute(123), ReadingKind::Account));
}

#[test]
fn what_is_stalled_is_looked_at_again_after_six_hours() {
    let mut world = World::set_up();
    world.spec.interval = crate::api::Period::minutes(24 * 60);
    let mut access = world.snapshot().goto_access.known().unwrap().clone();
    access.accounts.clear();
    world.snapshot().goto_access = Source::complete(access, minute(119));
    assert_eq!(world.plan().next, Next::At(minute(120 + 360), ReadingKind::Full));
}

/// What a push changed is read when it ended, and once only.
#[test]
fn the_end_of_a_push_asks_for_an_outcome_reading() {
    let mut world = World::set_up();
    world.activity(|activity| activity.pushes = vec![job("push-1", JobState::Done, minute(118))]);
    let plan = world.plan();
    assert_eq!(plan.push_finished_at, Some(minute(119)));
    assert!(matches!(plan.next, Next::At(_, ReadingKind::Outcome)));
    world.pbx(HEAD).users = Source::complete(vec![], minute(119));
    assert_eq!(world.plan().push_finished_at, None);
    assert_eq!(world.plan().next, Next::Interval);
}
