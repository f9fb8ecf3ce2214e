//! Each part of the set-up, taken away in every way that can be read.

use std::collections::BTreeMap;

use super::fixture::{BRANCH, HEAD, World, domain, failed_source, job, minute, pbx, permission, record};
use crate::api::Reason;
use crate::plan::account::{
    CONNECTION_VERIFIED, CONSENT_GRANTED, CREDENTIALS_VALID, DIRECTORY_IMPORTED, DOMAIN_ACTIVATED, ENTITLED,
    MANAGER_ONBOARDED, PBXS_BOUND, PERMISSIONS_GRANTED, SERVICE_ENABLED, TEMPORARY_USER_REMOVED, TENANT_PUSHED,
};
use crate::plan::observed::Problem;
use crate::plan::snapshot::{
    Activity, ConsentState, DomainState, Entitlement, GotoAccess, InvitationState, JobState, Service, Source, Tick,
    VerificationState,
};

/// What is taken away, which condition tells, and with which reason.
type Case = (&'static str, &'static str, Reason, fn(&mut World));

fn set<T: Clone>(source: &mut Source<T>, change: impl FnOnce(&mut T)) {
    let mut value = source.known().unwrap().clone();
    change(&mut value);
    *source = Source::complete(value, minute(119));
}

fn access(world: &mut World, change: fn(&mut GotoAccess)) {
    set(&mut world.snapshot().goto_access, change);
}

fn entitlement(world: &mut World, value: Option<Entitlement>) {
    world.pbx(HEAD).entitlement = Source::complete(value, minute(119));
}

fn invitation(world: &mut World, state: InvitationState) {
    set(&mut world.snapshot().record, |record| record.as_mut().unwrap().invitation.state = state);
}

fn service(world: &mut World, user_import_enabled: bool, enabled: bool) {
    world.pbx(HEAD).service = Source::complete(Some(Service { user_import_enabled, enabled }), minute(119));
}

fn consent(world: &mut World, state: ConsentState) {
    set(&mut world.snapshot().consents, |consents| consents[1].state = state);
}

fn import(world: &mut World, change: fn(&mut Activity)) {
    world.activity(|activity| {
        activity.imports.clear();
        activity.directory_tick = Tick::ChangesQueued;
        change(activity);
    });
}

fn verification(world: &mut World, state: VerificationState, at: Option<i64>) {
    set(&mut world.pbx(HEAD).verification, |verification| {
        let verification = verification.as_mut().unwrap();
        verification.state = state;
        verification.verified_at = at.map(minute);
        verification.failed_checks = vec!["Consent".to_owned()];
    });
}

fn activation(world: &mut World, state: DomainState) {
    world.snapshot().domains = Source::complete(vec![domain(state)], minute(119));
}

fn of_access() -> Vec<Case> {
    vec![
        ("Secret", CREDENTIALS_VALID, Reason::SecretNotFound, |world| {
            let message = "The Secret goto-login does not exist.".to_owned();
            world.credentials = Some(Problem { reason: Reason::SecretNotFound, message });
        }),
        ("token", CREDENTIALS_VALID, Reason::CredentialsRejected, |world| {
            let source = &mut world.snapshot().teams_users;
            *source = source.failed(failed_source(Reason::CredentialsRejected));
        }),
        ("account", CREDENTIALS_VALID, Reason::TenantMismatch, |world| {
            access(world, |access| access.accounts = vec!["99".parse().unwrap()]);
        }),
        ("role", CREDENTIALS_VALID, Reason::NotSuperAdministrator, |world| {
            access(world, |access| access.super_admin = Some(false));
        }),
        ("account key", CREDENTIALS_VALID, Reason::InvalidSpec, |world| world.spec.goto.account_key = "x".to_owned()),
        ("permission", PERMISSIONS_GRANTED, Reason::PermissionMissing, |world| {
            world.snapshot().graph_permissions =
                Source::complete(vec![permission("TeamsTelephoneNumber.Read.All", false)], minute(119));
        }),
        ("scope", PERMISSIONS_GRANTED, Reason::PermissionMissing, |world| {
            access(world, |access| access.missing_scopes = vec!["users.v1.lines.read".to_owned()]);
        }),
        ("right", PERMISSIONS_GRANTED, Reason::PermissionMissing, |world| {
            let source = &mut world.snapshot().voice;
            *source = source.failed(failed_source(Reason::PermissionMissing));
        }),
        ("integration", ENTITLED, Reason::NotEntitled, |world| entitlement(world, None)),
        ("active", ENTITLED, Reason::NotEntitled, |world| {
            let entitled = Entitlement { active: false, licenses_total: 50, licenses_in_use: 12 };
            entitlement(world, Some(entitled));
        }),
        ("licenses", ENTITLED, Reason::NotEntitled, |world| {
            let entitled = Entitlement { active: true, licenses_total: 0, licenses_in_use: 0 };
            entitlement(world, Some(entitled));
        }),
        ("PBX", ENTITLED, Reason::PbxNotFound, |world| {
            entitlement(world, None);
            world.snapshot().lines = Source::complete(vec![], minute(119));
        }),
        ("organization id", ENTITLED, Reason::InvalidSpec, |world| {
            world.spec.pbxs[0].organization_id = "head office".to_owned();
        }),
    ]
}

fn of_connector() -> Vec<Case> {
    vec![
        ("binding", PBXS_BOUND, Reason::Progressing, |world| {
            world.snapshot().record = Source::complete(Some(record(BTreeMap::new())), minute(119));
        }),
        ("record", PBXS_BOUND, Reason::WaitingForPrerequisite, |world| {
            world.snapshot().record = Source::complete(None, minute(119));
        }),
        ("manager", MANAGER_ONBOARDED, Reason::ManagerMismatch, |world| {
            world.spec.manager.email = "joao@contoso.example".to_owned();
        }),
        ("manager's address", MANAGER_ONBOARDED, Reason::InvalidSpec, |world| {
            world.spec.manager.email = "@".to_owned();
        }),
        ("acceptance", MANAGER_ONBOARDED, Reason::InvitationPending, |world| {
            invitation(world, InvitationState::Sent);
        }),
        ("invitation", MANAGER_ONBOARDED, Reason::Progressing, |world| {
            invitation(world, InvitationState::NotSent);
        }),
        ("time", MANAGER_ONBOARDED, Reason::InvitationExpired, |world| invitation(world, InvitationState::Expired)),
        ("link", MANAGER_ONBOARDED, Reason::InvitationExpired, |world| {
            invitation(world, InvitationState::Sent);
            world.now = minute(2881);
        }),
        ("Enable Sync", SERVICE_ENABLED, Reason::ServiceDisabled, |world| service(world, false, true)),
        ("Enable Service", SERVICE_ENABLED, Reason::ServiceDisabled, |world| service(world, true, false)),
        ("Services", SERVICE_ENABLED, Reason::ServiceDisabled, |world| {
            world.pbx(HEAD).service = Source::complete(None, minute(119));
        }),
        ("consent", CONSENT_GRANTED, Reason::AwaitingConsent, |world| {
            consent(world, ConsentState::Pending);
            set(&mut world.snapshot().consents, |consents| consents[1].granted_at = None);
        }),
        ("consent, again", CONSENT_GRANTED, Reason::ConsentRevoked, |world| consent(world, ConsentState::Pending)),
        ("consent's link", CONSENT_GRANTED, Reason::AwaitingConsent, |world| {
            consent(world, ConsentState::NotRequested);
        }),
        ("consents", CONSENT_GRANTED, Reason::Progressing, |world| {
            world.snapshot().consents = Source::complete(vec![], minute(119));
        }),
        ("granted", CONSENT_GRANTED, Reason::ConsentRevoked, |world| consent(world, ConsentState::Revoked)),
        ("import", DIRECTORY_IMPORTED, Reason::Progressing, |world| import(world, |_| {})),
        ("import's success", DIRECTORY_IMPORTED, Reason::ImportOverdue, |world| {
            import(world, |it| it.imports = vec![job("import-1", JobState::Failed, minute(115))]);
        }),
        ("import's end", DIRECTORY_IMPORTED, Reason::Progressing, |world| {
            import(world, |it| it.imports = vec![job("import-1", JobState::Open, minute(105))]);
        }),
        ("import's hurry", DIRECTORY_IMPORTED, Reason::ImportOverdue, |world| {
            import(world, |it| it.imports = vec![job("import-1", JobState::Open, minute(104))]);
        }),
    ]
}

fn of_calls() -> Vec<Case> {
    vec![
        ("verification", CONNECTION_VERIFIED, Reason::VerificationRunning, |world| {
            world.pbx(HEAD).verification = Source::complete(None, minute(119));
        }),
        ("verification's end", CONNECTION_VERIFIED, Reason::VerificationRunning, |world| {
            verification(world, VerificationState::Running, None);
        }),
        ("verification's success", CONNECTION_VERIFIED, Reason::VerificationFailed, |world| {
            verification(world, VerificationState::Failed, None);
        }),
        ("verification's time", CONNECTION_VERIFIED, Reason::VerificationFailed, |world| {
            verification(world, VerificationState::Verified, None);
        }),
        ("verification's age", CONNECTION_VERIFIED, Reason::VerificationRunning, |world| {
            verification(world, VerificationState::Verified, Some(11));
        }),
        ("domain", DOMAIN_ACTIVATED, Reason::DomainUnverified, |world| {
            world.snapshot().domains = Source::complete(vec![], minute(119));
        }),
        ("domain's verification", DOMAIN_ACTIVATED, Reason::DomainVerificationPending, |world| {
            activation(world, DomainState::Published);
        }),
        ("domain's activation", DOMAIN_ACTIVATED, Reason::DomainActivationPending, |world| {
            activation(world, DomainState::Activating);
        }),
        ("domain's luck", DOMAIN_ACTIVATED, Reason::DomainActivationStuck, |world| {
            activation(world, DomainState::Failed);
        }),
    ]
}

fn beside_writes() -> Vec<Case> {
    vec![
        ("removal", TEMPORARY_USER_REMOVED, Reason::TemporaryUserLeftover, |world| {
            set(&mut world.snapshot().domains, |domains| domains[0].temporary_users = vec!["x".to_owned()]);
        }),
        ("push", TENANT_PUSHED, Reason::AwaitingPushSignIn, |world| {
            world.activity(|activity| activity.push_tick = Tick::ChangesQueued);
        }),
        ("push's success", TENANT_PUSHED, Reason::PushFailed, |world| {
            world.activity(|activity| {
                activity.push_tick = Tick::Failed;
                activity.pushes = vec![job("push-1", JobState::Failed, minute(110))];
            });
        }),
        ("push's end", TENANT_PUSHED, Reason::Progressing, |world| {
            world.activity(|activity| activity.pushes = vec![job("push-1", JobState::Open, minute(110))]);
        }),
    ]
}

fn gating() -> Vec<Case> {
    [of_access(), of_connector(), of_calls()].concat()
}

#[test]
fn everything_holds_in_a_world_that_is_set_up() {
    let mut world = World::set_up();
    let plan = world.plan();
    assert_eq!(plan.gates.iter().filter(|gate| gate.status != Some(true)).collect::<Vec<_>>(), Vec::<&_>::new());
    assert!(plan.is_empty());
    world.pass();
    assert_eq!(world.condition("Ready"), Some(("True".to_owned(), Reason::Succeeded)));
}

/// Each gate is read, not assumed: its condition tells.
#[test]
fn what_is_taken_away_shows_in_its_condition() {
    for (what, kind, reason, take) in [gating(), beside_writes()].concat() {
        let mut world = World::set_up();
        take(&mut world);
        world.pass();
        assert_eq!(world.condition(kind), Some(("False".to_owned(), reason)), "{what}");
        assert_ne!(world.condition("Ready").unwrap().0, "True", "{what}");
    }
}

/// Each gate taken away holds back the first write, whatever the status of before says.
#[test]
fn what_is_taken_away_closes_the_write_gate_though_the_status_says_ready() {
    for (what, _, reason, take) in gating() {
        let mut world = World::set_up();
        world.pass();
        take(&mut world);
        let plan = world.plan();
        let found = plan.write_gate.as_ref().map(|problem| problem.reason);
        assert_eq!(found, Some(reason), "{what}");
        assert!(plan.write_gate(pbx(HEAD)).is_some(), "{what}");
    }
}

#[test]
fn push_and_temporary_user_close_no_write_gate() {
    for (what, _, _, take) in beside_writes() {
        let mut world = World::set_up();
        take(&mut world);
        assert_eq!(world.plan().write_gate, None, "{what}");
    }
}

/// What was never read completely proves nothing.
#[test]
fn an_unread_source_closes_the_write_gate() {
    let mut world = World::set_up();
    world.pass();
    world.snapshot().consents = Source::default();
    let problem = world.plan().write_gate.unwrap();
    assert_eq!(problem.reason, Reason::SourceIncomplete);
    world.snapshot = None;
    assert_eq!(world.plan().write_gate.unwrap().reason, Reason::SourceIncomplete);
}

/// What a listing lacks for the first time changes no condition, but nobody is written before a second reading agrees; an outage
/// says nothing of the gate.
#[test]
fn a_gate_that_a_listing_lacks_for_the_first_time_is_closed_at_once() {
    let takes: [fn(&mut World, Reason); 3] = [
        |world, reason| {
            let doubted = world.snapshot().graph_permissions.failed(failed_source(reason));
            world.snapshot().graph_permissions = doubted;
        },
        |world, reason| world.snapshot().consents = world.snapshot().consents.failed(failed_source(reason)),
        |world, reason| world.snapshot().domains = world.snapshot().domains.failed(failed_source(reason)),
    ];
    for take in takes {
        let mut world = World::set_up();
        world.pass();
        take(&mut world, Reason::MicrosoftUnreachable);
        assert_eq!(world.plan().write_gate, None);
        take(&mut world, Reason::SourceIncomplete);
        assert_eq!(world.plan().write_gate.unwrap().reason, Reason::SourceIncomplete);
        world.pass();
        assert_eq!(world.condition("Ready").unwrap().0, "True");
    }
}

#[test]
fn one_pbx_does_not_close_the_gate_of_another() {
    let mut world = World::with_two_pbxs();
    world.pbx(BRANCH).service = Source::complete(None, minute(119));
    let plan = world.plan();
    assert_eq!(plan.write_gate(pbx(HEAD)), None);
    assert_eq!(plan.write_gate(pbx(BRANCH)).unwrap().reason, Reason::ServiceDisabled);
    assert_eq!(plan.write_gate.unwrap().reason, Reason::ServiceDisabled);
}

#[test]
fn the_gate_of_a_pbx_that_the_account_does_not_list_is_closed() {
    let problem = World::set_up().plan().write_gate(pbx(BRANCH)).unwrap();
    assert_eq!(problem.reason, Reason::PbxNotFound);
}

/// GoTo answers 404 for "no permission" too: an invisible PBX that has lines exists.
#[test]
fn a_pbx_is_missing_only_when_all_its_sources_are_complete() {
    let mut world = World::set_up();
    entitlement(&mut world, None);
    world.snapshot().lines = Source::complete(vec![], minute(119));
    let numbers = world.snapshot().numbers.failed(failed_source(Reason::GoToUnreachable));
    world.snapshot().numbers = numbers;
    world.pass();
    assert_eq!(world.condition(ENTITLED).unwrap().1, Reason::NotEntitled);
}

/// A user in the connector was seen by an import, though old imports are listed no more.
#[test]
fn a_connector_user_proves_an_import() {
    let mut world = World::set_up();
    import(&mut world, |_| {});
    world.add_user(minute(60));
    world.pass();
    assert_eq!(world.condition(DIRECTORY_IMPORTED).unwrap().0, "True");
}

/// Activation takes up to 24 hours and is stuck after 36.
#[test]
fn a_domain_is_stuck_after_thirty_six_hours() {
    let mut world = World::set_up();
    activation(&mut world, DomainState::Activating);
    world.pass();
    world.now = minute(120 + 36 * 60);
    world.pass();
    assert_eq!(world.condition(DOMAIN_ACTIVATED).unwrap().1, Reason::DomainActivationPending);
    world.now = minute(121 + 36 * 60);
    world.pass();
    assert_eq!(world.condition(DOMAIN_ACTIVATED).unwrap().1, Reason::DomainActivationStuck);
}
