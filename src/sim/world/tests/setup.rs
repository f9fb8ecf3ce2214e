//! Cards 1 to 4, consents, humans.

use super::super::connector::Connector;
use super::super::demo::{account_key, organization_id};
use super::super::{HumanAction, Humans, Refusal, WorldEdit};
use super::{ANN, Bench};
use crate::clients::connector::wire::{
    ConsentState, DomainState, InvitationState, Manager, SyncKind, VerificationState,
};

fn manager(name: &str) -> Manager {
    Manager { first_name: name.to_owned(), last_name: "Mensah".to_owned(), email: "kofi@contoso.example".to_owned() }
}

/// A connector of which nothing is set up.
fn blank() -> Bench {
    let mut bench = Bench::new();
    bench.world.connectors.insert(account_key(), Connector::default());
    bench
}

#[test]
fn the_account_record_comes_before_the_invitation_and_the_binding() {
    let mut bench = blank();
    let (account, pbx) = (account_key(), organization_id());
    assert_eq!(bench.world.bind_pbx(&account, pbx, bench.now), Err(Refusal::AccountRequired));
    assert_eq!(bench.world.send_invitation(&account, bench.now), Err(Refusal::AccountRequired));
    bench.world.put_account_record(&account, manager("Kofi")).unwrap();
    bench.world.bind_pbx(&account, pbx, bench.now).unwrap();
    let record = bench.world.account_record(&account, bench.now).unwrap();
    assert_eq!((record.invitation.state, record.pbxs.len()), (InvitationState::NotSent, 1));
}

#[test]
fn an_invitation_is_accepted_by_its_link_or_expires_after_48_hours() {
    let mut bench = blank();
    let account = account_key();
    let state = |bench: &Bench| bench.world.account_record(&account, bench.now).unwrap().invitation.state;
    bench.world.put_account_record(&account, manager("Kofi")).unwrap();
    bench.world.send_invitation(&account, bench.now).unwrap();
    bench.world.put_account_record(&account, manager("Esi")).unwrap();
    bench.pass(48 * 3600 - 1);
    assert_eq!(state(&bench), InvitationState::Sent);
    bench.pass(1);
    assert_eq!(state(&bench), InvitationState::Expired);
    let late = bench.world.human(&account, &HumanAction::AcceptInvitation {}, bench.now);
    assert_eq!(late, Err(Refusal::LinkExpired));
    bench.world.send_invitation(&account, bench.now).unwrap();
    bench.world.human(&account, &HumanAction::AcceptInvitation {}, bench.now).unwrap();
    assert_eq!(state(&bench), InvitationState::Accepted);
    assert_eq!(bench.world.put_account_record(&account, manager("Kofi")), Err(Refusal::AlreadyAccepted));
    assert_eq!(bench.world.send_invitation(&account, bench.now), Err(Refusal::AlreadyAccepted));
}

#[test]
fn the_switches_go_on_in_order_and_need_the_pbx() {
    let mut bench = Bench::new();
    let (account, pbx) = (account_key(), organization_id());
    bench.edit(WorldEdit::SetServices { organization: None, sync_enabled: Some(false), enabled: Some(false) });
    let early = bench.world.set_services(&account, pbx, None, Some(true));
    assert_eq!(early, Err(Refusal::SyncMustBeEnabledFirst));
    bench.world.set_services(&account, pbx, Some(true), None).unwrap();
    assert!(bench.world.set_services(&account, pbx, None, Some(true)).unwrap().enabled);
    bench.edit(WorldEdit::UnbindPbx { organization: None });
    assert_eq!(bench.world.set_services(&account, pbx, None, Some(true)), Err(Refusal::PbxRequired));
    assert_eq!(bench.add(ANN), Err(Refusal::PbxRequired));
}

#[test]
fn a_pbx_with_users_stays_bound() {
    let mut bench = Bench::new();
    bench.add(ANN).unwrap();
    assert_eq!(bench.world.unbind_pbx(&account_key(), organization_id()), Err(Refusal::UsersConnected));
    assert_eq!(bench.world.delete_account_record(&account_key()), Err(Refusal::UsersConnected));
}

#[test]
fn an_integration_that_is_not_visible_has_no_entitlement() {
    let mut bench = Bench::new();
    let (account, pbx) = (account_key(), organization_id());
    bench.edit(WorldEdit::SetEntitlement { organization: None, visible: false, active: false });
    assert_eq!(bench.world.entitlement(&account, pbx, bench.now), Err(Refusal::NotVisible));
    bench.edit(WorldEdit::SetEntitlement { organization: None, visible: true, active: false });
    let entitlement = bench.world.entitlement(&account, pbx, bench.now).unwrap();
    assert_eq!((entitlement.active, entitlement.licenses_total), (false, 2));
    assert_eq!(bench.add(ANN), Err(Refusal::NoLicense));
}

#[test]
fn a_verification_fails_by_the_name_of_what_is_not_right() {
    let mut bench = Bench::new();
    let (account, pbx) = (account_key(), organization_id());
    assert_eq!(bench.world.verification(&account, pbx).unwrap().state, VerificationState::Verified);
    bench.edit(WorldEdit::SetDomain { account: None, state: DomainState::Activating });
    bench.world.start_verification(&account, pbx, bench.now).unwrap();
    assert_eq!(bench.world.start_verification(&account, pbx, bench.now), Err(Refusal::VerificationRunning));
    bench.pass(19);
    assert_eq!(bench.world.verification(&account, pbx).unwrap().state, VerificationState::Running);
    bench.pass(1);
    let failed = bench.world.verification(&account, pbx).unwrap();
    let names: Vec<_> = failed.checks.iter().filter(|it| !it.passed).map(|it| it.name.as_str()).collect();
    assert_eq!((failed.state, names, failed.verified_at), (VerificationState::Failed, vec!["Domain"], None));
    bench.pass(4 * 3600);
    assert_eq!(bench.world.domains(&account).unwrap()[0].state, DomainState::Activated);
    bench.world.start_verification(&account, pbx, bench.now).unwrap();
    bench.pass(20);
    let verified = bench.world.verification(&account, pbx).unwrap();
    assert_eq!((verified.state, verified.verified_at), (VerificationState::Verified, Some(bench.now)));
}

#[test]
fn a_revoked_consent_is_pending_again_while_its_link_works() {
    let mut bench = Bench::new();
    let account = account_key();
    let states = |bench: &Bench| -> Vec<ConsentState> {
        let consents = bench.world.consents(&account, "http://control", bench.now).unwrap();
        consents.into_iter().map(|it| it.state).collect()
    };
    bench.edit(WorldEdit::RevokeConsent { account: None, group: Some("Directory".to_owned()) });
    assert_eq!(states(&bench), [ConsentState::Revoked, ConsentState::Granted]);
    assert_eq!(bench.start(SyncKind::Directory), Err(Refusal::ConsentRequired));
    bench.world.request_consents(&account, bench.now).unwrap();
    assert_eq!(states(&bench)[0], ConsentState::Pending);
    bench.pass(3600);
    assert_eq!(states(&bench)[0], ConsentState::Revoked);
    bench.world.request_consents(&account, bench.now).unwrap();
    bench.world.human(&account, &HumanAction::GrantConsent { group: None }, bench.now).unwrap();
    assert_eq!(states(&bench), [ConsentState::Granted, ConsentState::Granted]);
}

#[test]
fn automatic_humans_follow_a_link_after_their_time() {
    let mut bench = Bench::new();
    bench.world.settings.humans = Humans::Auto { after_seconds: 5 };
    bench.world.request_push_authorization(&account_key(), bench.now).unwrap();
    assert_eq!(bench.world.next_human(), bench.world.next_event(bench.now));
    bench.pass(4);
    assert_eq!(bench.start(SyncKind::Push), Err(Refusal::SignInRequired));
    bench.pass(1);
    assert!(bench.start(SyncKind::Push).is_ok());
    assert_eq!(bench.world.next_human(), None);
}

#[test]
fn the_last_owner_stays() {
    let mut bench = blank();
    let account = account_key();
    let put = |bench: &mut Bench, role: &str| {
        bench.world.put_administrator(&account, "esi@contoso.example", [None, None], role.to_owned())
    };
    put(&mut bench, "Owner").unwrap();
    assert_eq!(put(&mut bench, "Administrator"), Err(Refusal::LastOwner));
    assert_eq!(bench.world.delete_administrator(&account, "esi@contoso.example"), Err(Refusal::LastOwner));
}
