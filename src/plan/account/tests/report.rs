//! The status: the condition contract, and that a pass that changes nothing writes nothing.

use k8s_openapi::jiff::SignedDuration;
use proptest::prelude::*;

use super::fixture::{HEAD, World, domain, failed_source, job, minute, permission, record};
use crate::api::Reason;
use crate::api::conditions::{find, is_true};
use crate::plan::observed::Problem;
use crate::plan::snapshot::{
    ConsentState, DomainState, Entitlement, JobState, PushAuthorizationState, Service, Source, Tick, VerificationState,
};

/// Ways in which the world can change, each of which a property applies or not.
const CHANGES: [fn(&mut World); 16] = [
    |world| {
        let message = "The Secret goto-login does not exist.".to_owned();
        world.credentials = Some(Problem { reason: Reason::SecretNotFound, message });
    },
    |world| {
        let message = "GoTo could not be read.".to_owned();
        world.credentials = Some(Problem { reason: Reason::GoToUnreachable, message });
    },
    |world| world.suspended = true,
    |world| world.snapshot = None,
    |world| {
        with(world, |it| it.snapshot().graph_permissions = Source::complete(vec![permission("X", false)], minute(119)));
    },
    |world| with(world, |it| it.pbx(HEAD).entitlement = Source::complete(None, minute(119))),
    |world| with(world, |it| it.snapshot().lines = Source::complete(vec![], minute(119))),
    |world| {
        with(world, |it| {
            let off = Service { user_import_enabled: false, enabled: false };
            it.pbx(HEAD).service = Source::complete(Some(off), minute(119));
        });
    },
    |world| with(world, |it| it.snapshot().record = Source::complete(Some(record([].into())), minute(119))),
    |world| {
        with(world, |it| {
            let mut consents = it.snapshot().consents.known().unwrap().clone();
            consents[0].state = ConsentState::Revoked;
            it.snapshot().consents = Source::complete(consents, minute(119));
        });
    },
    |world| {
        with(world, |it| it.snapshot().domains = Source::complete(vec![domain(DomainState::Verified)], minute(119)));
    },
    |world| with(world, |it| it.activity(|activity| activity.push_tick = Tick::ChangesQueued)),
    |world| {
        with(world, |it| {
            it.activity(|activity| activity.pushes = vec![job("p", JobState::Failed, minute(100))]);
            it.activity(|activity| activity.push_tick = Tick::Failed);
        });
    },
    |world| with(world, |it| it.authorization(PushAuthorizationState::Granted, None)),
    |world| {
        with(world, |it| {
            let failed = it.snapshot().consents.failed(failed_source(Reason::ConnectorUnreachable));
            it.snapshot().consents = failed;
        });
    },
    |world| {
        with(world, |it| {
            let mut verification = it.pbx(HEAD).verification.known().unwrap().clone();
            verification.as_mut().unwrap().state = VerificationState::Failed;
            it.pbx(HEAD).verification = Source::complete(verification, minute(119));
        });
    },
];

fn with(world: &mut World, change: impl FnOnce(&mut World)) {
    if world.snapshot.is_some() {
        change(world);
    }
}

fn assert_contract(world: &World) {
    let conditions = &world.status.conditions;
    let ready = find(conditions, "Ready").expect("Ready is always present");
    let (reconciling, stalled) = (is_true(conditions, "Reconciling"), is_true(conditions, "Stalled"));
    assert!(!(reconciling && stalled));
    assert!(!stalled || ready.status == "False");
    assert!(world.suspended || reconciling || stalled || ready.status == "True");
    assert!(!world.suspended || !(reconciling || stalled || is_true(conditions, "ActionRequired")));
    assert_eq!(is_true(conditions, "ActionRequired"), !world.status.pending_actions.is_empty());
    assert!(ready.status != "True" || world.status.pending_actions.is_empty() || world.suspended);
    for kind in ["Reconciling", "Stalled", "ActionRequired", "Suspended"] {
        assert!(find(conditions, kind).is_none_or(|it| it.status == "True"), "{kind} exists only while it is true");
    }
    for condition in conditions {
        assert_eq!(condition.observed_generation, Some(4), "{}", condition.type_);
        assert!(!condition.message.is_empty() && condition.message.len() <= 1024, "{}", condition.type_);
    }
    assert_eq!(world.status.observed_generation, 4);
}

proptest! {
    /// The condition contract, whatever changes in which order; and a pass that changes nothing yields an equal status,
    /// though time goes on.
    #[test]
    fn the_condition_contract_holds_and_an_unchanged_pass_changes_nothing(
        first in proptest::collection::vec(0..CHANGES.len(), 0..4),
        second in proptest::collection::vec(0..CHANGES.len(), 0..4),
        seconds in 0_i64..4,
    ) {
        let mut world = World::set_up();
        for index in first {
            CHANGES[index](&mut world);
        }
        world.pass();
        assert_contract(&world);
        for index in second {
            CHANGES[index](&mut world);
        }
        world.now += SignedDuration::from_secs(60);
        world.pass();
        assert_contract(&world);
        let status = world.status.clone();
        world.now += SignedDuration::from_secs(seconds);
        world.pass();
        prop_assert_eq!(&world.status, &status);
    }
}

#[test]
fn a_status_repeats_what_was_read() {
    let mut world = World::with_two_pbxs();
    world.demand(HEAD, None);
    world.pass();
    let status = serde_json::to_value(&world.status).unwrap();
    assert_eq!(status["licenses"], "24/100");
    assert_eq!(status["pbxs"][0]["policy"], "policy-0");
    assert_eq!(status["pbxs"][0]["bound"], true);
    assert_eq!(status["pbxs"][1]["verification"]["state"], "Verified");
    assert_eq!(status["invitation"]["state"], "Accepted");
    assert_eq!(status["consents"][1]["group"], "Calling");
    assert_eq!(status["domains"][0]["state"], "Activated");
    assert_eq!(status["microsoftLicenses"]["phoneSystemInUse"], 14);
    assert_eq!(status["directoryImport"]["usersDiscovered"], 6);
    assert_eq!(status["sources"].as_array().unwrap().len(), 22);
}

/// P3: a sign-in that runs out while no change waits for a push is no change; while one waits it is told.
#[test]
fn a_sign_in_is_told_while_changes_wait_for_it() {
    let mut world = World::set_up();
    world.authorization(PushAuthorizationState::Granted, Some(minute(170)));
    world.pass();
    let at_rest = world.status.clone();
    world.authorization(PushAuthorizationState::Expired, None);
    world.pass();
    assert_eq!(world.status, at_rest);
    world.activity(|activity| activity.push_changes_since = Some(minute(119)));
    world.pass();
    assert_eq!(world.status.tenant_push.as_ref().unwrap().authorization.as_deref(), Some("Expired"));
}

/// A restart knows nothing until the first reading ended: the status stays.
#[test]
fn a_restart_changes_nothing_before_the_first_reading() {
    let mut world = World::set_up();
    world.activity(|activity| activity.push_tick = Tick::ChangesQueued);
    world.pass();
    assert!(!world.status.pending_actions.is_empty());
    let before = world.status.clone();
    world.snapshot = None;
    world.now = minute(125);
    world.pass();
    assert_eq!(world.status, before);
}

/// A failed reading leaves Ready as it is until the newest complete one is older than three intervals.
#[test]
fn ready_is_lost_when_a_source_cannot_be_read_for_three_intervals() {
    let mut world = World::set_up();
    world.pass();
    let teams_users = world.snapshot().teams_users.failed(failed_source(Reason::MicrosoftUnreachable));
    world.snapshot().teams_users = teams_users;
    world.now = minute(148);
    world.pass();
    assert_eq!(world.condition("Ready").unwrap().0, "True");
    assert_eq!(world.condition("Reconciling"), None);
    assert_eq!(world.plan().write_gate, None);
    world.now = minute(149);
    world.pass();
    assert_eq!(world.condition("Ready"), Some(("False".to_owned(), Reason::MicrosoftUnreachable)));
    assert_eq!(world.plan().write_gate.unwrap().reason, Reason::MicrosoftUnreachable);
}

/// After a restart the condition tells how long a source could not be read.
#[test]
fn ready_is_lost_after_three_intervals_though_the_operator_restarted() {
    let mut world = World::set_up();
    world.pass();
    world.snapshot().teams_users = Source::default().failed(failed_source(Reason::MicrosoftUnreachable));
    world.pass();
    world.now = minute(150);
    world.pass();
    assert_eq!(world.condition("Ready").unwrap().0, "True");
    world.now = minute(151);
    world.pass();
    assert_eq!(world.condition("Ready").unwrap().0, "False");
}

#[test]
fn suspension_keeps_ready_and_ends_waiting() {
    let mut world = World::set_up();
    world.pass();
    world.suspended = true;
    world.snapshot = None;
    world.pass();
    assert_eq!(world.condition("Ready").unwrap().0, "True");
    assert_eq!(world.condition("Suspended").unwrap().0, "True");
    assert_eq!(world.status.waiting_for, None);
}

/// A request made while suspended is acted upon afterwards.
#[test]
fn a_request_is_not_taken_for_handled_while_suspended() {
    let mut world = World::set_up();
    world.suspended = true;
    world.requested_at = Some("now".to_owned());
    world.pass();
    assert_eq!(world.status.last_handled_reconcile_at, None);
}

#[test]
fn a_pbx_that_does_not_exist_stalls_and_names_who_acts() {
    let mut world = World::set_up();
    world.pbx(HEAD).entitlement = Source::complete(Option::<Entitlement>::None, minute(119));
    world.snapshot().lines = Source::complete(vec![], minute(119));
    world.pass();
    assert_eq!(world.condition("Stalled"), Some(("True".to_owned(), Reason::PbxNotFound)));
    assert_eq!(world.condition("Reconciling"), None);
    insta::assert_snapshot!(find(&world.status.conditions, "Ready").unwrap().message, @"Head office: the GoTo account has no such PBX. PlatformTeam: Correct organizationId, or add the PBX to the account.");
    assert_eq!(world.status.waiting_for.as_deref(), Some("PlatformTeam: PbxNotFound"));
}

/// No condition and no action repeats a person's address.
#[test]
fn a_status_contains_no_address() {
    let mut world = World::set_up();
    world.spec.manager.email = "joao@fabrikam.example".to_owned();
    world.pass();
    let text = serde_json::to_string(&world.status).unwrap();
    assert!(!text.contains("fabrikam") && !text.contains("maria"));
}

/// A failed step that a human must mend is a pending action.
#[test]
fn a_step_that_lacks_a_permission_asks_a_human() {
    let mut world = World::set_up();
    world.snapshot().record = Source::complete(Some(record([].into())), minute(119));
    let message = "The connector refuses the binding: the role is missing.".to_owned();
    world.pass_with(Some(Problem { reason: Reason::PermissionMissing, message }));
    assert_eq!(world.condition("ActionRequired").unwrap().1, Reason::PermissionMissing);
    let before = world.status.clone();
    world.pass();
    assert_eq!(world.status, before);
}

#[test]
fn a_failed_import_shows_beside_a_directory_that_was_imported_before() {
    let mut world = World::set_up();
    world.demand(HEAD, Some(minute(110)));
    let message = "The connector could not be reached.".to_owned();
    world.pass_with(Some(Problem { reason: Reason::ConnectorUnreachable, message }));
    assert_eq!(world.condition("Ready").unwrap().0, "True");
    assert_eq!(world.condition("Reconciling"), Some(("True".to_owned(), Reason::ConnectorUnreachable)));
    let before = world.status.clone();
    world.pass();
    assert_eq!(world.status, before);
}

/// Nothing was read for a long time and nothing says why: that is no health either.
#[test]
fn ready_is_lost_when_nothing_was_even_tried_for_three_intervals() {
    let mut world = World::set_up();
    world.pass();
    world.now = minute(180);
    world.pass();
    assert_eq!(world.condition("Ready"), Some(("False".to_owned(), Reason::SourceIncomplete)));
    assert_eq!(world.plan().write_gate.unwrap().reason, Reason::SourceIncomplete);
}

/// kstatus: what held for another spec says nothing of this one. A restart is no other spec.
#[test]
fn another_spec_is_not_ready_before_it_was_read() {
    let mut world = World::set_up();
    world.pass();
    world.snapshot = None;
    world.pass();
    assert_eq!(world.condition("Ready").unwrap().0, "True", "a restart");
    world.generation += 1;
    world.pass();
    assert_eq!(world.condition("Ready"), Some(("Unknown".to_owned(), Reason::Progressing)));
    assert_eq!(world.condition("Reconciling").unwrap().0, "True");
    world.pass();
    assert_eq!(world.condition("Ready").unwrap().0, "Unknown", "still not read");
}
