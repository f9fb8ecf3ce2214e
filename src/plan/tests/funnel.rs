//! Every stage and reason of the funnel (design: the first stage that is not passed gives the one reason).

use super::cluster::Cluster;
use super::world::{World, key, number, other_pbx, teams_id};
use crate::api::{Managed, Reason, UserStage, UserState};
use crate::plan::snapshot::{Line, TeamsNumber, TeamsNumberKind, VoiceAccount};

/// What the first complete plan says of person 0 after a change of the world.
fn judged(change: impl FnOnce(&mut World)) -> (UserState, UserStage, Reason) {
    let mut world = World::of(2);
    change(&mut world);
    let mut cluster = Cluster::new(world);
    cluster.read();
    let plan = cluster.pass();
    let user = plan.user(&key(0)).unwrap();
    if user.status.stage != Some(UserStage::Apply) {
        assert_eq!(user.spec.managed, Managed::None);
        assert!(plan.counters.unwrap().users_to_add <= 1);
    }
    (user.status.state.unwrap(), user.status.stage.unwrap(), cluster.reason(0).unwrap())
}

/// One test for each row: a fact, the change that makes it, and where the user then stands.
macro_rules! funnel {
    ($($fact:ident: $change:expr => $state:ident, $stage:ident, $reason:ident;)*) => {
        $(
            #[test]
            fn $fact() {
                assert_eq!(judged($change), (UserState::$state, UserStage::$stage, Reason::$reason));
            }
        )*
    };
}

funnel! {
    who_passes_all_is_to_be_connected: |_| {} => Pending, Apply, ChangesPending;
    who_has_no_line_is_blocked_at_import: |it| it.lines[0].lines.clear() => Blocked, Import, NoLine;
    who_has_no_address_is_blocked_at_import: |it| {
        it.people[0].email = None;
        it.people[0].address = None;
    } => Blocked, Import, MissingEmail;
    who_has_no_counterpart_is_unmatched: |it| it.teams[0].upn_address = Some("x@y.example".parse().unwrap()) => Blocked, Match, NoMatch;
    who_has_two_counterparts_is_ambiguous: |it| it.teams[1].upn_address = it.teams[0].upn_address.clone() => Blocked, Match, AmbiguousMatch;
    who_shares_an_address_is_a_duplicate: |it| it.people[1].address = it.people[0].address.clone() => Blocked, Match, DuplicateEmail;
    a_disabled_account_is_named: |it| it.teams[0].enabled = false => Blocked, Preflight, AccountDisabled;
    a_guest_is_named: |it| it.teams[0].guest = true => Blocked, Preflight, GuestOrResourceAccount;
    a_resource_account_is_named: |it| it.voice[0].account = VoiceAccount::NotAPerson => Blocked, Preflight, GuestOrResourceAccount;
    a_user_homed_on_premises_is_named: |it| it.voice[0].account = VoiceAccount::OnPremises => Blocked, Preflight, HomedOnPremises;
    a_missing_teams_plan_is_named: |it| it.teams[0].has_teams = false => Blocked, Preflight, NoTeamsLicense;
    a_missing_phone_system_is_named: |it| it.teams[0].has_phone_system = false => Blocked, Preflight, NoPhoneSystemLicense;
    a_calling_plan_is_a_conflict: |it| it.assignments.push(assigned(900, 0, TeamsNumberKind::Other, false)) => Blocked, Preflight, CallingPlanConflict;
    a_license_that_propagates_is_waited_for: |it| it.voice.retain(|voice| voice.id != teams_id(0)) => Pending, Preflight, LicensePropagating;
    secure_calling_is_named: |it| it.candidates[0].secure_calling = true => Blocked, Preflight, SecureCallingEnabled;
    who_is_no_candidate_is_not_known: |it| it.candidates.retain(|candidate| candidate.key != key(0)) => Pending, Preflight, SourceIncomplete;
    a_missing_number_is_named: |it| it.numbers[0].extension_id = None => Blocked, Preflight, NumberMissing;
    a_missing_extension_is_a_missing_number: |it| it.extensions[0].organization = other_pbx() => Blocked, Preflight, NumberMissing;
    a_number_in_another_form_is_invalid: |it| it.numbers[0].number = None => Blocked, Preflight, NumberInvalid;
    a_number_of_the_local_directory_is_named: |it| it.assignments.push(assigned(0, 0, TeamsNumberKind::DirectRouting, true)) => Blocked, Preflight, NumberOwnedOnPremises;
    a_number_of_another_microsoft_user_is_in_use: |it| it.assignments.push(assigned(0, 1, TeamsNumberKind::DirectRouting, false)) => Blocked, Preflight, NumberInUse;
    a_number_of_another_pair_is_in_use: |it| {
        it.add_pair(1, 1, None, super::world::at(0));
        it.pair(1).number = Some(number(0));
    } => Blocked, Preflight, NumberInUse;
    no_license_left_is_waited_for: |it| it.entitlement.licenses_in_use = it.entitlement.licenses_total => Waiting, License, ConnectorLicenseExhausted;
    more_licenses_in_use_than_bought_admit_nobody: |it| it.entitlement.licenses_in_use = it.entitlement.licenses_total + 3 => Waiting, License, ConnectorLicenseExhausted;
    a_paused_integration_admits_nobody: |it| it.entitlement.active = false => Waiting, License, ConnectorLicenseExhausted;
    a_teams_user_in_another_pair_is_taken: |it| {
        it.remove_person(1);
        it.add_pair(7, 0, None, super::world::at(0));
    } => Blocked, Apply, TeamsUserTaken;
    the_first_stage_wins: |it| {
        it.teams[0].enabled = false;
        it.numbers[0].number = None;
        it.candidates[0].secure_calling = true;
    } => Blocked, Preflight, AccountDisabled;
}

fn assigned(index: usize, teams: usize, kind: TeamsNumberKind, on_premises: bool) -> TeamsNumber {
    TeamsNumber { number: number(index), kind, target: Some(teams_id(teams)), on_premises }
}

#[test]
fn a_user_with_lines_in_other_pbxs_only_has_no_object() {
    let mut world = World::of(2);
    world.lines[0].lines[0].organization = other_pbx();
    let mut cluster = Cluster::new(world);
    cluster.read();
    assert!(cluster.pass().user(&key(0)).is_none());
}

#[test]
fn the_extension_of_this_pbx_counts_though_the_primary_line_is_elsewhere() {
    let mut world = World::of(1);
    let elsewhere = Line { organization: other_pbx(), extension: "77".to_owned(), primary: true };
    world.lines[0].lines[0].primary = false;
    world.lines[0].lines.insert(0, elsewhere);
    let mut cluster = Cluster::new(world);
    cluster.read();
    cluster.pass();
    assert_eq!(cluster.user(0).status.extension.as_deref(), Some("1000"));
}

#[test]
fn the_lowest_routed_number_is_expected() {
    let mut world = World::of(1);
    for index in [500, 300, 400] {
        let extension_id = Some("ext-0".to_owned());
        let organization = super::world::pbx();
        world.numbers.push(crate::plan::snapshot::PbxNumber {
            organization,
            number: Some(number(index)),
            extension_id,
        });
    }
    world.numbers.remove(0);
    let mut cluster = Cluster::new(world);
    cluster.read();
    cluster.pass();
    let stored = cluster.user(0).status.phone_number.clone().unwrap();
    assert_eq!(stored.expected.as_deref(), Some(number(300).as_str()));
}

#[test]
fn the_actual_number_stays_expected_while_it_is_routed() {
    let mut cluster = Cluster::connected(1);
    let extension_id = Some("ext-0".to_owned());
    let lower = "+12000000000".parse().unwrap();
    let organization = super::world::pbx();
    cluster.world.numbers.push(crate::plan::snapshot::PbxNumber { organization, number: Some(lower), extension_id });
    cluster.read_twice();
    assert!(cluster.plan().is_empty());
}

#[test]
fn two_users_with_one_number_are_not_both_admitted() {
    let mut world = World::of(2);
    world.lines[1].lines[0].extension = "1000".to_owned();
    let mut cluster = Cluster::new(world);
    cluster.read();
    cluster.pass();
    assert_eq!((cluster.reason(0), cluster.reason(1)), (Some(Reason::ChangesPending), Some(Reason::NumberInUse)));
}

/// The messages of user objects are short.
#[test]
fn every_message_of_a_user_fits() {
    for reason in Reason::ALL {
        assert!(crate::plan::standing::shortened(reason.message()).chars().count() <= 200, "{reason}");
    }
}
