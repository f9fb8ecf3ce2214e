//! The order of the set-up graph.

use super::fixture::{World, failed_source, minute};
use crate::api::Reason;
use crate::plan::account::{CONSENT_GRANTED, ENTITLED, PBXS_BOUND, PERMISSIONS_GRANTED, SERVICE_ENABLED};
use crate::plan::snapshot::{ConsentState, Source};

fn statuses(world: &World) -> String {
    let line = |gate: &crate::api::conditions::Draft| {
        let status = gate.status.map_or("Unknown", |status| if status { "True" } else { "False" });
        format!("{}={status} {}\n", gate.kind, gate.reason)
    };
    world.plan().gates.iter().map(line).collect()
}

#[test]
fn gates_come_in_the_order_of_the_set_up() {
    let mut world = World::set_up();
    world.pbx(super::fixture::HEAD).service = Source::complete(None, minute(119));
    insta::assert_snapshot!(statuses(&world), @r"
    CredentialsValid=True Succeeded
    PermissionsGranted=True Succeeded
    Entitled=True Succeeded
    PbxsBound=True Succeeded
    ManagerOnboarded=True Succeeded
    AdministratorsReady=True Succeeded
    ServiceEnabled=False ServiceDisabled
    ConsentGranted=Unknown WaitingForPrerequisite
    DirectoryImported=Unknown WaitingForPrerequisite
    DomainActivated=True Succeeded
    ConnectionVerified=Unknown WaitingForPrerequisite
    TemporaryUserRemoved=True Succeeded
    TenantPushed=Unknown WaitingForPrerequisite
    ");
}

/// Set-up is a graph, not a line: what is beside a missing part goes on.
#[test]
fn a_missing_record_holds_only_what_is_behind_it() {
    let mut world = World::set_up();
    world.snapshot().record = Source::complete(None, minute(119));
    insta::assert_snapshot!(statuses(&world), @r"
    CredentialsValid=True Succeeded
    PermissionsGranted=True Succeeded
    Entitled=True Succeeded
    PbxsBound=False WaitingForPrerequisite
    ManagerOnboarded=False Progressing
    AdministratorsReady=Unknown WaitingForPrerequisite
    ServiceEnabled=Unknown WaitingForPrerequisite
    ConsentGranted=Unknown WaitingForPrerequisite
    DirectoryImported=Unknown WaitingForPrerequisite
    DomainActivated=True Succeeded
    ConnectionVerified=Unknown WaitingForPrerequisite
    TemporaryUserRemoved=True Succeeded
    TenantPushed=Unknown WaitingForPrerequisite
    ");
}

#[test]
fn before_the_first_reading_nothing_is_known() {
    let mut world = World::set_up();
    world.snapshot = None;
    insta::assert_snapshot!(statuses(&world), @r"
    CredentialsValid=Unknown Progressing
    PermissionsGranted=Unknown Progressing
    Entitled=Unknown WaitingForPrerequisite
    PbxsBound=Unknown WaitingForPrerequisite
    ManagerOnboarded=Unknown WaitingForPrerequisite
    AdministratorsReady=Unknown WaitingForPrerequisite
    ServiceEnabled=Unknown WaitingForPrerequisite
    ConsentGranted=Unknown WaitingForPrerequisite
    DirectoryImported=Unknown WaitingForPrerequisite
    DomainActivated=Unknown WaitingForPrerequisite
    ConnectionVerified=Unknown WaitingForPrerequisite
    TemporaryUserRemoved=Unknown WaitingForPrerequisite
    TenantPushed=Unknown WaitingForPrerequisite
    ");
}

/// Once evaluated a condition keeps its last status when an earlier one is lost.
#[test]
fn a_condition_keeps_its_status_when_an_earlier_one_is_lost() {
    let mut world = World::set_up();
    let mut consents = world.snapshot().consents.known().unwrap().clone();
    consents[0].state = ConsentState::Revoked;
    world.snapshot().consents = Source::complete(consents, minute(119));
    world.pass();
    world.snapshot().graph_permissions = Source::complete(vec![super::fixture::permission("X", false)], minute(119));
    world.pass();
    assert_eq!(world.condition(PERMISSIONS_GRANTED).unwrap().1, Reason::PermissionMissing);
    for kind in [ENTITLED, PBXS_BOUND, SERVICE_ENABLED] {
        assert_eq!(world.condition(kind).unwrap().0, "True", "{kind}");
    }
    assert_eq!(world.condition(CONSENT_GRANTED), Some(("False".to_owned(), Reason::ConsentRevoked)));
}

/// A source that fails keeps its newest complete value; only one that was never read leaves the condition as it was.
#[test]
fn a_failed_reading_changes_no_gate() {
    let mut world = World::set_up();
    world.pass();
    let before = world.status.clone();
    let consents = world.snapshot().consents.failed(failed_source(Reason::ConnectorUnreachable));
    world.snapshot().consents = consents;
    world.snapshot().domains = Source::default().failed(failed_source(Reason::ConnectorUnreachable));
    world.now = minute(125);
    world.pass();
    for kind in before.conditions.iter().map(|it| &it.type_).filter(|kind| *kind != "SourcesComplete") {
        let find = |status: &crate::api::TeamsConnectorAccountStatus| {
            status.conditions.iter().find(|it| it.type_ == *kind).cloned()
        };
        assert_eq!(find(&world.status), find(&before), "{kind}");
    }
    assert_eq!(world.condition("SourcesComplete"), Some(("False".to_owned(), Reason::ConnectorUnreachable)));
}
