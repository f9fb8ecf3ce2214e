//! Users in the connector.

use super::super::demo::{account_key, organization_id, teams_user_id, user_key};
use super::super::{Cut, Put, Refusal, WorldEdit};
use super::{ANN, Bench, JOAO, KOFI, LENA, MARIA, OMAR};
use crate::clients::connector::wire::{PutUser, Registration, SyncKind};

#[test]
fn a_new_pair_takes_a_license_and_the_same_pair_does_not() {
    let mut bench = Bench::new();
    assert_eq!((bench.add(ANN), bench.in_use()), (Ok(Put::Created), 1));
    assert_eq!((bench.add(ANN), bench.in_use()), (Ok(Put::Confirmed), 1));
    let ann = bench.user(ANN);
    assert_eq!(ann.email.as_deref(), Some("ann.lee@contoso.example"));
    assert_eq!((ann.extension.as_deref(), ann.phone_number.as_deref()), (Some("1001"), Some("+15555550101")));
    assert_eq!((ann.enabled, ann.licensed, ann.registration), (true, true, Registration::Pending));
}

/// R18: the connector itself refuses what would oversubscribe it.
#[test]
fn without_a_free_license_nobody_is_added() {
    let mut bench = Bench::new();
    bench.add(ANN).unwrap();
    bench.add(JOAO).unwrap();
    assert_eq!(bench.add(MARIA), Err(Refusal::NoLicense));
    bench.edit(WorldEdit::SetLicenses { organization: None, total: 3 });
    assert_eq!(bench.add(MARIA), Ok(Put::Created));
}

#[test]
fn a_pair_is_one_to_one() {
    let mut bench = Bench::new();
    bench.add(ANN).unwrap();
    assert_eq!(bench.pair(ANN, JOAO), Err(Refusal::PairExists));
    assert_eq!(bench.pair(JOAO, ANN), Err(Refusal::TeamsUserTaken));
}

#[test]
fn a_teams_user_must_have_been_seen_by_an_import() {
    let mut bench = Bench::new();
    let (id, upn) = (teams_user_id(99), "kofi@contoso.example".to_owned());
    bench.edit(WorldEdit::AddTeamsUser { id, user_principal_name: upn, skus: vec!["SPE_E5".to_owned()] });
    assert_eq!(bench.pair(KOFI, 99), Err(Refusal::TeamsUserNotImported));
    bench.pass(30);
    bench.start(SyncKind::Directory).unwrap();
    bench.pass(89);
    assert_eq!(bench.pair(KOFI, 99), Err(Refusal::TeamsUserNotImported));
    bench.pass(1);
    assert_eq!(bench.pair(KOFI, 99), Ok(Put::Created));
}

#[test]
fn secure_calling_and_a_missing_line_are_refused() {
    let mut bench = Bench::new();
    assert_eq!(bench.add(OMAR), Err(Refusal::SecureCallingEnabled));
    assert_eq!(bench.pair(900_000, LENA), Err(Refusal::UserNotInPbx));
    bench.edit(WorldEdit::RemoveLine { user: "maria@contoso.example".to_owned() });
    assert_eq!(bench.add(MARIA), Err(Refusal::UserNotInPbx));
}

#[test]
fn a_given_number_must_belong_to_the_pbx_and_else_the_lowest_routed_one_is_taken() {
    let mut bench = Bench::new();
    let (account, pbx, ann) = (account_key(), organization_id(), user_key(ANN));
    let mut put = PutUser {
        teams_user_id: teams_user_id(ANN),
        external_id: "ours".to_owned(),
        phone_number: Some("+14445550000".to_owned()),
    };
    let refused = bench.world.put_user(&account, pbx, &ann, &put, bench.now);
    assert_eq!(refused, Err(Refusal::NumberNotInPbx));
    put.phone_number = Some("+15555550102".to_owned());
    bench.world.put_user(&account, pbx, &ann, &put, bench.now).unwrap();
    assert_eq!(bench.user(ANN).phone_number.as_deref(), Some("+15555550102"));
    put.phone_number = None;
    bench.world.put_user(&account, pbx, &ann, &put, bench.now).unwrap();
    assert_eq!(bench.user(ANN).phone_number.as_deref(), Some("+15555550101"));
}

#[test]
fn only_a_disabled_user_is_removed_and_its_license_is_free_two_minutes_later() {
    let mut bench = Bench::new();
    bench.add(ANN).unwrap();
    assert_eq!(bench.remove(ANN), Err(Refusal::DisableFirst));
    bench.enable(ANN, false).unwrap();
    assert_eq!(bench.user(ANN).registration, Registration::Disabled);
    bench.remove(ANN).unwrap();
    assert_eq!(bench.remove(ANN), Err(Refusal::NotFound("user")));
    bench.pass(119);
    assert_eq!(bench.in_use(), 1);
    bench.pass(1);
    assert_eq!(bench.in_use(), 0);
}

#[test]
fn an_etag_changes_with_the_pair_and_only_then() {
    let mut bench = Bench::new();
    bench.add(ANN).unwrap();
    let etag = bench.user(ANN).etag;
    let check = |bench: &Bench| bench.world.check_etag(&account_key(), organization_id(), &user_key(ANN), Some(&etag));
    bench.add(ANN).unwrap();
    assert_eq!(check(&bench), Ok(()));
    bench.enable(ANN, false).unwrap();
    assert_eq!(check(&bench), Err(Refusal::PreconditionFailed));
}

#[test]
fn candidates_are_the_people_with_a_line() {
    let bench = Bench::new();
    let cut = Cut::first(100);
    let listed = bench.world.candidates(&account_key(), organization_id(), cut).unwrap();
    let secure: Vec<_> = listed.items.iter().filter(|it| it.secure_calling).map(|it| &it.goto_user_key).collect();
    assert_eq!((listed.total, listed.items.len(), secure), (6, 6, vec![&user_key(OMAR)]));
}

/// T25: what colleagues do beside us goes by the same rules, and leaves no mark of ours.
#[test]
fn a_pair_made_in_the_dashboard_is_foreign() {
    let mut bench = Bench::new();
    let (user, teams_user) = ("ann.lee@contoso.example".to_owned(), "ann.lee@contoso.example".to_owned());
    bench.edit(WorldEdit::AddPair { organization: None, user, teams_user, external_id: None, number: None });
    assert_eq!((bench.user(ANN).external_id, bench.in_use()), (None, 1));
}
