//! Losing service: disable, delete, push.

use super::super::demo::{account_key, teams_user_id, user_key};
use super::super::{Cut, WorldEdit};
use super::{ANN, Bench, JOAO};
use crate::clients::connector::wire::{Registration, SyncKind, SyncOutcome};

fn connected(people: &[u32]) -> Bench {
    let mut bench = Bench::new();
    for person in people {
        bench.add(*person).unwrap();
    }
    bench.push();
    bench.pass(180);
    bench
}

fn outcomes(bench: &Bench, id: &str) -> Vec<(String, SyncOutcome)> {
    let listed = bench.world.run_results(&account_key(), id, Cut::first(100)).unwrap();
    listed.items.into_iter().map(|it| (it.goto_user_key.to_string(), it.outcome)).collect()
}

/// R13, R19: what a push gave, registration too, lasts until a push takes it; the call alone takes nothing.
#[test]
fn a_disabled_user_is_registered_until_the_next_push() {
    let mut bench = connected(&[ANN]);
    bench.enable(ANN, false).unwrap();
    let ann = bench.user(ANN);
    assert_eq!((ann.enabled, ann.registration, bench.calls(ANN).1), (false, Registration::Registered, true));
    bench.push();
    assert_eq!((bench.user(ANN).registration, bench.calls(ANN)), (Registration::Disabled, (None, false)));
}

/// R12: back before the push, nobody notices.
#[test]
fn a_user_who_is_enabled_again_before_the_push_keeps_everything() {
    let mut bench = connected(&[ANN]);
    bench.enable(ANN, false).unwrap();
    bench.enable(ANN, true).unwrap();
    let id = bench.push();
    assert_eq!(outcomes(&bench, &id), [(user_key(ANN).to_string(), SyncOutcome::Unchanged)]);
    assert_eq!((bench.user(ANN).registration, bench.calls(ANN).1), (Registration::Registered, true));
}

/// R13: the push tells of each user from whom it took service, and once only.
#[test]
fn a_push_has_a_result_for_each_removed_user() {
    let mut bench = connected(&[ANN, JOAO]);
    for person in [ANN, JOAO] {
        bench.enable(person, false).unwrap();
    }
    bench.remove(ANN).unwrap();
    let applied = [ANN, JOAO].map(|person| (user_key(person).to_string(), SyncOutcome::Applied));
    let id = bench.push();
    assert_eq!(outcomes(&bench, &id), applied);
    let id = bench.push();
    assert_eq!(outcomes(&bench, &id), [(user_key(JOAO).to_string(), SyncOutcome::Unchanged)]);
}

/// R20: a number is free only when a push has carried the removal of who had it.
#[test]
fn a_freed_number_is_given_to_another_only_after_the_push_that_frees_it() {
    let mut bench = connected(&[ANN]);
    bench.add(JOAO).unwrap();
    let number = Some("+15555550101".to_owned());
    bench.edit(WorldEdit::SetPairNumber { organization: None, user: user_key(JOAO).to_string(), number });
    bench.sign_in();
    let early = bench.start(SyncKind::Push).unwrap().id;
    bench.enable(ANN, false).unwrap();
    bench.remove(ANN).unwrap();
    bench.pass(40);
    assert!(outcomes(&bench, &early).contains(&(user_key(JOAO).to_string(), SyncOutcome::Failed)));
    assert_eq!(bench.calls(ANN), (Some(teams_user_id(ANN)), true));
    bench.push();
    assert_eq!(bench.calls(ANN), (Some(teams_user_id(JOAO)), false));
}

/// R13: the pair, its license and its service outlive the GoTo user; only disable, delete and push end them.
#[test]
fn a_pair_outlives_its_goto_user_and_its_teams_user() {
    let mut bench = connected(&[ANN]);
    bench.edit(WorldEdit::DeleteGotoUser { user: user_key(ANN).to_string() });
    bench.edit(WorldEdit::DeleteTeamsUser { teams_user: "ann.lee@contoso.example".to_owned() });
    let ann = bench.user(ANN);
    assert_eq!((ann.email.as_deref(), ann.extension), (Some("ann.lee@contoso.example"), None));
    assert_eq!((ann.enabled, bench.in_use()), (true, 1));
    bench.enable(ANN, false).unwrap();
    bench.remove(ANN).unwrap();
    let id = bench.push();
    assert_eq!(outcomes(&bench, &id), [(user_key(ANN).to_string(), SyncOutcome::Applied)]);
    assert_eq!(*bench.world.tenant.numbers["+15555550101"].target.truth(), None);
}

/// sync.md, Replace: disable and delete the old key, put the new one with the same number, one push for both.
#[test]
fn a_replaced_user_keeps_the_number_by_one_push() {
    let mut bench = connected(&[ANN]);
    let key = user_key(77);
    bench.edit(WorldEdit::RecreateGotoUser { user: user_key(ANN).to_string(), key });
    bench.enable(ANN, false).unwrap();
    bench.remove(ANN).unwrap();
    bench.pass(120);
    bench.pair(77, ANN).unwrap();
    assert_eq!(bench.user(77).phone_number.as_deref(), Some("+15555550101"));
    let id = bench.push();
    let both = [ANN, 77].map(|person| (user_key(person).to_string(), SyncOutcome::Applied));
    assert_eq!(outcomes(&bench, &id), both);
    assert_eq!(bench.calls(ANN), (Some(teams_user_id(ANN)), true));
}
