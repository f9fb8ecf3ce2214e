//! Imports and pushes.

use super::super::demo::{account_key, teams_user_id, user_key};
use super::super::{Cut, Refusal, WorldEdit};
use super::{ANN, Bench, JOAO, LENA};
use crate::clients::connector::wire::{
    PushAuthorizationState, Registration, SyncKind, SyncOutcome, SyncResult, SyncStatus, SyncTick,
};

fn results(bench: &Bench, id: &str) -> Vec<SyncResult> {
    bench.world.run_results(&account_key(), id, Cut::first(100)).unwrap().items
}

fn push_tick(bench: &Bench) -> SyncTick {
    bench.world.ticks(&account_key()).unwrap().push.state
}

#[test]
fn a_push_needs_consent_and_a_valid_sign_in() {
    let mut bench = Bench::new();
    assert_eq!(bench.start(SyncKind::Push), Err(Refusal::SignInRequired));
    bench.sign_in();
    bench.edit(WorldEdit::RevokeConsent { account: None, group: Some("Calling".to_owned()) });
    assert_eq!(bench.start(SyncKind::Push), Err(Refusal::ConsentRequired));
    assert!(bench.start(SyncKind::Directory).is_ok(), "the first group allows the import");
    bench.edit(WorldEdit::GrantConsent { account: None, group: None });
    bench.pass(3600);
    assert_eq!(bench.start(SyncKind::Push), Err(Refusal::SignInRequired), "the sign-in is valid for an hour");
}

#[test]
fn one_push_runs_at_a_time_and_takes_its_time() {
    let mut bench = Bench::new();
    bench.sign_in();
    let push = bench.start(SyncKind::Push).unwrap();
    assert_eq!(push.state, SyncStatus::Queued);
    assert_eq!(bench.start(SyncKind::Push), Err(Refusal::SyncRunning { id: push.id.clone() }));
    bench.pass(39);
    let running = bench.world.run(&account_key(), &push.id, bench.now).unwrap();
    assert_eq!((running.state, push_tick(&bench)), (SyncStatus::Running, SyncTick::Syncing));
    bench.pass(1);
    let done = bench.world.run(&account_key(), &push.id, bench.now).unwrap();
    assert_eq!((done.state, done.finished_at), (SyncStatus::Succeeded, Some(bench.now)));
}

#[test]
fn number_and_voice_come_by_a_push_and_are_read_later() {
    let mut bench = Bench::new();
    bench.add(ANN).unwrap();
    assert_eq!((bench.calls(ANN), push_tick(&bench)), ((None, false), SyncTick::ChangesQueued));
    let id = bench.push();
    assert_eq!((bench.calls(ANN), push_tick(&bench)), ((Some(teams_user_id(ANN)), true), SyncTick::UpToDate));
    let results = results(&bench, &id);
    assert_eq!((results[0].goto_user_key.clone(), results[0].outcome), (user_key(ANN), SyncOutcome::Applied));
    bench.pass(20);
    let voice = bench.world.tenant.users[&teams_user_id(ANN)].voice.read(bench.now);
    assert!(voice.enabled && voice.numbers.contains("+15555550101"));
}

/// The words of reliability.md: nothing that takes hours or minutes is there at once.
#[test]
fn invitation_activation_and_registration_take_their_time() {
    let mut bench = Bench::new();
    bench.add(ANN).unwrap();
    bench.push();
    assert_eq!(bench.user(ANN).registration, Registration::Pending);
    bench.pass(59);
    assert_eq!(bench.user(ANN).registration, Registration::Pending);
    bench.pass(121);
    assert_eq!(bench.user(ANN).registration, Registration::Registered);
}

#[test]
fn a_push_carries_what_was_there_when_it_started() {
    let mut bench = Bench::new();
    bench.add(ANN).unwrap();
    bench.sign_in();
    let first = bench.start(SyncKind::Push).unwrap().id;
    bench.add(JOAO).unwrap();
    bench.pass(40);
    assert_eq!(results(&bench, &first).len(), 1);
    assert_eq!((bench.calls(JOAO), push_tick(&bench)), ((None, false), SyncTick::ChangesQueued));
    let second = bench.push();
    assert_eq!(bench.calls(JOAO), (Some(teams_user_id(JOAO)), true));
    let outcomes: Vec<_> = results(&bench, &second).iter().map(|it| it.outcome).collect();
    assert_eq!(outcomes, [SyncOutcome::Unchanged, SyncOutcome::Applied]);
}

#[test]
fn a_user_who_cannot_have_service_fails_alone() {
    let mut bench = Bench::new();
    bench.add(LENA).unwrap();
    bench.add(ANN).unwrap();
    let id = bench.push();
    let codes: Vec<_> = results(&bench, &id).into_iter().map(|it| it.error_code).collect();
    assert_eq!(codes, [None, Some("NoPhoneSystemLicense".to_owned())]);
    assert_eq!(push_tick(&bench), SyncTick::Warning);
    assert_eq!(bench.calls(ANN).0, Some(teams_user_id(ANN)));
    assert_eq!((bench.calls(LENA), bench.user(LENA).registration), ((None, false), Registration::Pending));
}

#[test]
fn a_number_that_somebody_else_has_is_not_taken_away() {
    let mut bench = Bench::new();
    let teams_user = Some("omar@contoso.example".to_owned());
    bench.edit(WorldEdit::SetTenantNumber { number: "+15555550101".to_owned(), teams_user });
    bench.add(ANN).unwrap();
    let id = bench.push();
    assert_eq!(results(&bench, &id)[0].error_code.as_deref(), Some("NumberInUse"));
    assert!(!bench.calls(ANN).1);
}

#[test]
fn disabling_and_removing_take_service_away_by_the_next_push() {
    for removed in [false, true] {
        let mut bench = Bench::new();
        bench.add(ANN).unwrap();
        bench.push();
        bench.enable(ANN, false).unwrap();
        if removed {
            bench.remove(ANN).unwrap();
        }
        assert_eq!((bench.calls(ANN).1, push_tick(&bench)), (true, SyncTick::ChangesQueued));
        bench.push();
        assert_eq!((bench.calls(ANN), push_tick(&bench)), ((None, false), SyncTick::UpToDate));
    }
}

#[test]
fn a_moved_number_leaves_the_old_user_first() {
    let mut bench = Bench::new();
    bench.add(ANN).unwrap();
    bench.push();
    bench.enable(ANN, false).unwrap();
    bench.edit(WorldEdit::RouteNumber { number: "+15555550102".to_owned(), user: None });
    bench.edit(WorldEdit::RouteNumber { number: "+15555550101".to_owned(), user: Some(user_key(JOAO).to_string()) });
    bench.add(JOAO).unwrap();
    bench.push();
    assert_eq!(bench.calls(ANN), (Some(teams_user_id(JOAO)), false));
}

#[test]
fn a_sign_in_link_is_pending_until_it_is_followed_or_too_old() {
    let mut bench = Bench::new();
    let state = |bench: &Bench| {
        let authorization = bench.world.push_authorization(&account_key(), "http://control", bench.now).unwrap();
        (authorization.state, authorization.link.is_some())
    };
    assert_eq!(state(&bench), (PushAuthorizationState::NotRequested, false));
    bench.world.request_push_authorization(&account_key(), bench.now).unwrap();
    assert_eq!(state(&bench), (PushAuthorizationState::Pending, true));
    bench.pass(3600);
    assert_eq!(state(&bench), (PushAuthorizationState::Expired, false));
    bench.sign_in();
    assert_eq!(state(&bench), (PushAuthorizationState::Granted, false));
    bench.pass(3600);
    assert_eq!(state(&bench), (PushAuthorizationState::Expired, false));
}

#[test]
fn the_import_tick_tells_of_changes_in_the_tenant() {
    let mut bench = Bench::new();
    let tick = |bench: &Bench| bench.world.ticks(&account_key()).unwrap().directory.state;
    assert_eq!(tick(&bench), SyncTick::UpToDate);
    bench.edit(WorldEdit::SetAccountEnabled { teams_user: "ann.lee@contoso.example".to_owned(), enabled: false });
    assert_eq!(tick(&bench), SyncTick::ChangesQueued);
    bench.pass(20);
    bench.start(SyncKind::Directory).unwrap();
    assert_eq!(tick(&bench), SyncTick::Syncing);
    bench.pass(90);
    assert_eq!(tick(&bench), SyncTick::UpToDate);
}
