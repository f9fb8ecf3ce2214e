//! World files, made-up worlds, hashes.

use super::super::demo::{account_key, organization_id, teams_user_id, user_key};
use super::super::test_credentials as test;
use super::super::{GenerateOptions, Refusal, World, WorldEdit, state_hash};
use super::{ANN, Bench, JOAO};

#[test]
fn a_world_survives_its_file() {
    let mut bench = Bench::new();
    bench.add(ANN).unwrap();
    bench.push();
    let yaml = serde_saphyr::to_string(&bench.world).unwrap();
    assert_eq!(serde_saphyr::from_str::<World>(&yaml).unwrap(), bench.world);
    let json = serde_json::to_string(&bench.world).unwrap();
    assert_eq!(serde_json::from_str::<World>(&json).unwrap(), bench.world);
}

#[test]
fn an_unknown_field_of_a_world_file_is_refused() {
    assert!(serde_saphyr::from_str::<World>("tenant: {nme: Contoso}").is_err());
}

#[test]
fn ids_have_the_form_of_the_contracts() {
    assert_eq!(account_key().to_string(), test::ACCOUNT_KEY);
    assert_eq!(organization_id().to_string(), test::ORGANIZATION_ID);
    assert_eq!(user_key(1).as_str(), "2000000000000000001");
    assert_eq!(teams_user_id(1).to_string(), "00000000-0000-4000-8000-000100000001");
    assert_eq!(test::START.to_string(), "2026-01-05T08:00:00Z");
    let tenant = World::demo().unwrap().tenant;
    assert_eq!(tenant.id.to_string(), test::TENANT_ID);
    assert_eq!(tenant.applications[test::ENTRA_CLIENT_ID].app_roles.len(), 17);
}

#[test]
fn a_generated_world_is_fixed_by_its_options() {
    let options = GenerateOptions { users: 200, licenses: 50, unmatched_percent: 10, seed: 7 };
    let world = World::generated(&options).unwrap();
    assert_eq!(world, World::generated(&options).unwrap());
    assert_ne!(world, World::generated(&GenerateOptions { seed: 8, ..options }).unwrap());
    let people = world.goto.accounts[&account_key()].members(organization_id()).count();
    assert_eq!((people, world.tenant.users.len()), (200, 180));
    let too_many = World::generated(&GenerateOptions { users: 50_001, ..options });
    assert!(matches!(too_many, Err(Refusal::InvalidValue(_))));
}

#[test]
fn the_hash_tells_end_states_apart_and_not_the_way_to_them() {
    let (mut one, mut other) = (Bench::new(), Bench::new());
    one.add(ANN).unwrap();
    one.add(JOAO).unwrap();
    one.push();
    other.add(JOAO).unwrap();
    other.push();
    assert_ne!(state_hash(&one.world), state_hash(&other.world));
    other.pass(100);
    other.add(ANN).unwrap();
    other.push();
    other.push();
    assert_eq!(state_hash(&one.world), state_hash(&other.world));
}

#[test]
fn an_edit_has_a_tag_and_refuses_unknown_fields() {
    let text =
        r#"{"edit":"renameTeamsUser","teamsUser":"joao@contoso.example","userPrincipalName":"j@contoso.example"}"#;
    let mut bench = Bench::new();
    bench.edit(serde_json::from_str(text).unwrap());
    assert_eq!(bench.world.find_teams_user("j@contoso.example"), Ok(teams_user_id(JOAO)));
    assert!(serde_json::from_str::<WorldEdit>(r#"{"edit":"removeLine","usr":"x"}"#).is_err());
}

/// A delta round during the lag neither loses a known user nor shows the change too early.
#[test]
fn delta_shows_a_change_when_its_lag_is_over() {
    let mut bench = Bench::new();
    let token = bench.world.tenant.visible_version(bench.now);
    bench.world.settings.graph_lag_seconds = 20;
    let (teams_user, upn) = ("joao@contoso.example".to_owned(), Some("j@contoso.example".to_owned()));
    bench.edit(WorldEdit::RenameTeamsUser { teams_user, user_principal_name: upn, mail: None });
    assert_eq!(bench.world.tenant.users_at(bench.now).count(), 5);
    bench.pass(20);
    let changed: Vec<_> = bench.world.tenant.changed(token, bench.now).map(|(id, _)| *id).collect();
    assert_eq!(changed, [teams_user_id(JOAO)]);
    bench.edit(WorldEdit::DeleteTeamsUser { teams_user: "j@contoso.example".to_owned() });
    bench.pass(20);
    let removed: Vec<_> = bench.world.tenant.removed(token, bench.now).map(|(id, _)| *id).collect();
    assert_eq!(removed, [teams_user_id(JOAO)]);
}
