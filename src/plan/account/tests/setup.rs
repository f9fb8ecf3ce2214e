//! Cards 1 to 3: what the operator enters, sends, switches on and asks for, once each.

use super::fixture::{HEAD, World, job, manager, minute};
use crate::api::Reason;
use crate::plan::account::{
    ADMINISTRATORS_READY, AccountStep, CONSENT_GRANTED, DIRECTORY_IMPORTED, MANAGER_ONBOARDED, SERVICE_ENABLED,
};
use crate::plan::snapshot::{
    Administrator, ConsentState, DomainState, InvitationState, JobState, Service, Source, Tick,
};

fn steps(world: &World) -> Vec<String> {
    world.plan().steps.iter().map(ToString::to_string).collect()
}

fn record(world: &mut World, change: impl FnOnce(&mut crate::plan::snapshot::AccountRecord)) {
    let mut record = world.snapshot().record.known().unwrap().clone();
    change(record.as_mut().unwrap());
    let now = world.now;
    world.snapshot().record = Source::complete(record, now);
}

fn invited(world: &mut World, state: InvitationState) {
    record(world, |record| record.invitation.state = state);
}

fn service(world: &mut World, user_import_enabled: bool, enabled: bool) {
    let now = world.now;
    world.pbx(HEAD).service = Source::complete(Some(Service { user_import_enabled, enabled }), now);
}

fn consent(world: &mut World, state: ConsentState, link_until: Option<i64>) {
    let now = world.now;
    let mut consents = world.snapshot().consents.known().unwrap().clone();
    consents[1].state = state;
    consents[1].granted_at = None;
    consents[1].link = link_until.map(|_| "https://connector.example.test/consent/1".to_owned());
    consents[1].link_expires_at = link_until.map(minute);
    world.snapshot().consents = Source::complete(consents, now);
}

fn administrators(world: &mut World, spec: &[(&str, &str)], known: &[(&str, &str, InvitationState)]) {
    let wanted = spec.iter().map(|(email, role)| serde_json::json!({"email": email, "role": role}));
    world.spec.administrators = serde_json::from_value(wanted.collect()).unwrap();
    let administrator = |(email, role, state): &(&str, &str, InvitationState)| Administrator {
        email: (*email).to_owned(),
        role: (*role).to_owned(),
        state: *state,
        expires_at: Some(minute(2881)),
    };
    let now = world.now;
    world.snapshot().administrators = Source::complete(known.iter().map(administrator).collect(), now);
}

/// Guide step 11: card 1 is filled in once the integration is bought, and not before.
#[test]
fn the_managing_user_is_entered_once_the_integration_is_bought() {
    let mut world = World::set_up();
    world.snapshot().record = Source::complete(None, minute(119));
    assert_eq!(steps(&world), ["enter the managing user at card 1"]);
    world.pass();
    assert_eq!(world.condition(MANAGER_ONBOARDED), Some(("False".to_owned(), Reason::Progressing)));
    assert_eq!(world.status.pending_actions, vec![], "nobody has to do what the operator does");
    world.pbx(HEAD).entitlement = Source::complete(None, minute(119));
    assert_eq!(steps(&world), Vec::<String>::new());
}

/// Before acceptance the spec is entered again when it changes; afterwards the connector keeps whoever accepted.
#[test]
fn a_managing_user_can_be_corrected_until_the_invitation_is_accepted() {
    let mut world = World::set_up();
    record(&mut world, |record| record.manager = manager("Silva", "joao@contoso.example"));
    assert_eq!(steps(&world), Vec::<String>::new());
    world.pass();
    assert_eq!(world.condition(MANAGER_ONBOARDED), Some(("False".to_owned(), Reason::ManagerMismatch)));
    invited(&mut world, InvitationState::Sent);
    assert_eq!(steps(&world), ["enter the managing user at card 1"]);
    record(&mut world, |record| record.manager = manager("Sylva", "maria@contoso.example"));
    assert_eq!(steps(&world), ["enter the managing user at card 1"], "a name is corrected too");
    invited(&mut world, InvitationState::Accepted);
    assert_eq!(steps(&world), Vec::<String>::new());
    world.pass();
    assert_eq!(world.condition(MANAGER_ONBOARDED).unwrap().0, "True");
}

/// Guide step 12: sent once, not once per pass, with the same key until somebody else is to be invited.
#[test]
fn the_invitation_is_sent_once() {
    let mut world = World::set_up();
    invited(&mut world, InvitationState::NotSent);
    let sent = world.plan().steps;
    assert!(matches!(&sent[..], [AccountStep::SendInvitation { .. }]), "{sent:?}");
    world.now = minute(121);
    world.last_step = Some(world.now);
    assert_eq!(steps(&world), Vec::<String>::new(), "not before it was looked for");
    invited(&mut world, InvitationState::NotSent);
    assert_eq!(world.plan().steps, sent, "a reading that lags behind repeats the same call");
    invited(&mut world, InvitationState::Sent);
    assert_eq!(steps(&world), Vec::<String>::new());
}

/// T47: an expired invitation is Stalled until `resendInvitation`, and sent once for each value.
#[test]
fn an_expired_invitation_is_sent_again_once_for_each_value() {
    let mut world = World::set_up();
    invited(&mut world, InvitationState::Expired);
    world.pass();
    assert_eq!(steps(&world), Vec::<String>::new());
    assert_eq!(world.condition("Stalled"), Some(("True".to_owned(), Reason::InvitationExpired)));
    world.resend_invitation = Some("1".to_owned());
    let first = world.plan().steps;
    assert!(matches!(&first[..], [AccountStep::SendInvitation { .. }]), "{first:?}");
    world.pass();
    assert_eq!(world.plan().steps, first, "not acted upon before it was read back");
    invited(&mut world, InvitationState::Sent);
    world.pass();
    assert_eq!(world.status.last_handled_resend.as_deref(), Some("1"));
    invited(&mut world, InvitationState::Expired);
    world.pass();
    assert_eq!(steps(&world), Vec::<String>::new());
    world.resend_invitation = Some("2".to_owned());
    assert_ne!(world.plan().steps, first);
    assert_eq!(steps(&world).len(), 1);
}

/// An invitation whose time is over is expired, though the connector still calls it sent.
#[test]
fn an_invitation_is_sent_again_when_its_time_is_over() {
    let mut world = World::set_up();
    invited(&mut world, InvitationState::Sent);
    world.now = minute(2881);
    world.resend_invitation = Some("1".to_owned());
    invited(&mut world, InvitationState::Sent);
    assert_eq!(steps(&world), ["send the invitation to the managing user"]);
}

/// Guide step 17: Enable Sync, then Enable Service; what is on is never turned off.
#[test]
fn the_switches_are_turned_on_in_order() {
    let mut world = World::set_up();
    let mut seen = Vec::new();
    for (sync, enabled) in [(false, false), (false, true), (true, false), (true, true)] {
        service(&mut world, sync, enabled);
        seen.push(steps(&world));
    }
    let sync = format!("switch on Enable Sync of PBX {HEAD}");
    let service_on = format!("switch on Enable Service of PBX {HEAD}");
    assert_eq!(seen, [vec![sync.clone()], vec![sync.clone()], vec![service_on], vec![]]);
    world.pbx(HEAD).service = Source::complete(None, minute(119));
    assert_eq!(steps(&world), [sync]);
    record(&mut world, |record| record.bound.clear());
    assert_eq!(steps(&world), [format!("bind PBX {HEAD}")], "not before the PBX is bound");
}

/// Guide step 18: links are asked for, renewed without limit while wanted, and not asked for while one works.
#[test]
fn links_for_the_consents_are_asked_for_and_renewed() {
    let mut world = World::set_up();
    let mut keys = Vec::new();
    for (state, until, now) in [
        (ConsentState::NotRequested, None, 120),
        (ConsentState::Pending, Some(180), 121),
        (ConsentState::Pending, Some(180), 181),
        (ConsentState::Revoked, None, 300),
    ] {
        world.now = minute(now);
        consent(&mut world, state, until);
        keys.push(match &world.plan().steps[..] {
            [AccountStep::RequestConsents { key }] => Some(key.clone()),
            [] => None,
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(keys.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true, true]);
    assert_ne!(keys[0], keys[2], "another link is another intent");
    assert_ne!(keys[2], keys[3]);
    service(&mut world, true, false);
    assert_eq!(steps(&world).len(), 1, "no consent is asked for before the service is on");
    world.pass();
    assert_eq!(world.condition(SERVICE_ENABLED), Some(("False".to_owned(), Reason::ServiceDisabled)));
}

/// The Global Administrator sees what he consents to before he clicks.
#[test]
fn a_consent_shows_its_link_and_permissions_while_it_waits() {
    let mut world = World::set_up();
    consent(&mut world, ConsentState::Pending, Some(180));
    world.pass();
    let shown = &world.status.consents[1];
    assert_eq!((shown.link.is_some(), shown.permissions[0].name.as_str()), (true, "Domain.ReadWrite.All"));
    assert_eq!(world.condition(CONSENT_GRANTED), Some(("False".to_owned(), Reason::AwaitingConsent)));
    world.now = minute(181);
    world.pass();
    assert_eq!(world.status.consents[1].link, None, "a link that stopped working is not shown");
}

/// Guide step 19: the first import is started by the operator, once, and again with growing distance after it failed.
#[test]
fn the_first_import_is_started() {
    let mut world = World::set_up();
    world.activity(|activity| {
        activity.directory_tick = Tick::ChangesQueued;
        activity.imports = vec![];
    });
    assert_eq!(steps(&world), [format!("start a directory import for PBX {HEAD}")]);
    world.pass();
    assert_eq!(world.condition(DIRECTORY_IMPORTED), Some(("False".to_owned(), Reason::Progressing)));
    world.activity(|activity| activity.imports = vec![job("import-1", JobState::Open, minute(119))]);
    assert_eq!(steps(&world), Vec::<String>::new());
    world.activity(|activity| activity.imports = vec![job("import-1", JobState::Failed, minute(119))]);
    assert_eq!(steps(&world), Vec::<String>::new());
    world.now = minute(122);
    world.activity(|_| ());
    assert_eq!(steps(&world).len(), 1);
}

/// A verification that must fail is not started: it waits for the domain.
#[test]
fn a_connection_is_verified_once_the_domain_is_ready() {
    let mut world = World::set_up();
    world.pbx(HEAD).verification = Source::complete(None, minute(119));
    assert_eq!(steps(&world).len(), 1);
    world.snapshot().domains = Source::complete(vec![super::fixture::domain(DomainState::Activating)], minute(119));
    assert_eq!(steps(&world), Vec::<String>::new());
}

/// Guide step 14: each administrator is added, invited and given the role; whoever never accepts does not stop telephony.
#[test]
fn administrators_are_added_invited_and_given_their_roles() {
    use InvitationState::{Accepted, NotSent, Sent};
    let mut world = World::set_up();
    let wanted = [("Joao@contoso.example", "SyncOperator"), ("ines@contoso.example", "Viewer")];
    administrators(&mut world, &wanted, &[]);
    assert_eq!(steps(&world), ["enter an administrator", "enter an administrator"]);
    let known =
        [("joao@contoso.example", "SyncOperator", NotSent), ("ines@contoso.example", "Administrator", Accepted)];
    administrators(&mut world, &wanted, &known);
    assert_eq!(steps(&world), ["invite an administrator", "enter an administrator"]);
    let known = [("joao@contoso.example", "SyncOperator", Sent), ("ines@contoso.example", "Viewer", Accepted)];
    administrators(&mut world, &wanted, &known);
    assert_eq!(steps(&world), Vec::<String>::new());
    world.pass();
    assert_eq!(world.condition(ADMINISTRATORS_READY), Some(("False".to_owned(), Reason::AdministratorPending)));
    assert_eq!(world.plan().write_gate, None);
    let states: Vec<_> = world.status.administrators.iter().map(|it| (it.email.as_str(), it.state.as_str())).collect();
    assert_eq!(states, [("Joao@contoso.example", "Invited"), ("ines@contoso.example", "Active")]);
}

/// An administrator whose invitation expired is invited again by the same annotation.
#[test]
fn an_expired_administrator_is_invited_again_on_request() {
    let mut world = World::set_up();
    let wanted = [("joao@contoso.example", "Viewer")];
    administrators(&mut world, &wanted, &[("joao@contoso.example", "Viewer", InvitationState::Expired)]);
    world.pass();
    assert_eq!(world.condition(ADMINISTRATORS_READY), Some(("False".to_owned(), Reason::AdministratorExpired)));
    assert_eq!(steps(&world), Vec::<String>::new());
    world.resend_invitation = Some("1".to_owned());
    world.pass();
    assert_eq!(steps(&world), ["invite an administrator"]);
    administrators(&mut world, &wanted, &[("joao@contoso.example", "Viewer", InvitationState::Sent)]);
    world.pass();
    assert_eq!(world.status.last_handled_resend.as_deref(), Some("1"));
}

/// Administrators whom the spec does not list are removed only where it says so.
#[test]
fn unlisted_administrators_are_removed_only_with_prune() {
    let mut world = World::set_up();
    let known = [
        ("maria@contoso.example", "Owner", InvitationState::Accepted),
        ("old@contoso.example", "Viewer", InvitationState::Accepted),
    ];
    administrators(&mut world, &[], &known);
    assert_eq!(steps(&world), Vec::<String>::new());
    world.spec.prune_administrators = true;
    assert_eq!(steps(&world), ["remove an administrator whom the spec does not list"], "the managing user stays");
    let lost = world.snapshot().administrators.failed(super::fixture::failed_source(Reason::ConnectorUnreachable));
    world.snapshot().administrators = lost;
    assert_eq!(steps(&world), Vec::<String>::new(), "R4: nobody is removed by an incomplete reading");
}

/// R15: the last owner is neither removed nor given a lesser role before another owner has accepted.
#[test]
fn the_last_owner_stays() {
    use InvitationState::{Accepted, Sent};
    let owner = ("owner@contoso.example", "Owner", Accepted);
    let heir = |state| ("heir@contoso.example", "Owner", state);
    for (wanted, prune) in [(None, true), (Some(("owner@contoso.example", "Viewer")), false)] {
        let mut world = World::set_up();
        world.spec.prune_administrators = prune;
        let spec: Vec<_> = wanted.into_iter().chain([("heir@contoso.example", "Owner")]).collect();
        let mut touched = |known: &[(&str, &str, InvitationState)]| {
            administrators(&mut world, &spec, known);
            world.plan().steps.iter().filter(|step| takes_from_owner(step)).count()
        };
        assert_eq!(touched(&[owner]), 0, "{wanted:?}");
        assert_eq!(touched(&[owner, heir(Sent)]), 0, "{wanted:?}");
        assert_eq!(touched(&[owner, heir(Accepted)]), 1, "{wanted:?}");
    }
    let mut world = World::set_up();
    world.spec.prune_administrators = true;
    administrators(&mut world, &[], &[owner, heir(Accepted)]);
    assert_eq!(steps(&world).len(), 1, "one owner at a time, or nobody would be left");
    let mut world = World::set_up();
    administrators(&mut world, &[("owner@contoso.example", "Viewer")], &[owner]);
    world.pass();
    assert_eq!(world.condition(ADMINISTRATORS_READY), Some(("False".to_owned(), Reason::LastOwner)));
}

fn takes_from_owner(step: &AccountStep) -> bool {
    match step {
        AccountStep::RemoveAdministrator { email } => email == "owner@contoso.example",
        AccountStep::PutAdministrator { administrator } => administrator.email == "owner@contoso.example",
        _ => false,
    }
}
