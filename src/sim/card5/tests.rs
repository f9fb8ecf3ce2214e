//! The card in the demo world.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::{Card5, Press, Row, card5, press};
use crate::clients::connector::wire::PutUser;
use crate::domain::{AccountKey, OrganizationId};
use crate::sim::world::test_credentials::{ACCOUNT_KEY, ORGANIZATION_ID, START};
use crate::sim::world::{Among, Change, Who, World, WorldEdit};

fn ids() -> (AccountKey, OrganizationId) {
    (ACCOUNT_KEY.parse().unwrap(), ORGANIZATION_ID.parse().unwrap())
}

fn card(world: &World, rows: Option<&[Row]>) -> Card5 {
    let (account, pbx) = ids();
    card5(world, &account, pbx, START, rows)
}

fn counters(available: u32, total: u32, [add, remove, after]: [u32; 3]) -> Card5 {
    Card5 {
        licenses_available: available,
        licenses_total: total,
        users_to_add: add,
        users_to_remove: remove,
        users_after_sync: after,
    }
}

fn add(world: &mut World, local: &str) {
    let (account, pbx) = ids();
    let address = format!("{local}@contoso.example");
    let user = world.find_goto_user(&address).unwrap();
    let teams_user_id = world.find_teams_user(&address).unwrap();
    let put = PutUser { teams_user_id, external_id: "ours".to_owned(), phone_number: None };
    world.put_user(&account, pbx, &user, &put, START).unwrap();
}

fn row(local: &str) -> Row {
    let address = format!("{local}@contoso.example");
    Row { goto_email: Some(address.to_uppercase()), user_key: None, teams_user: address }
}

/// Three could be connected, two licenses are free: kofi has no match, lena no Phone System, omar secure calling.
#[test]
fn the_automatic_process_adds_as_many_as_there_are_licenses() {
    let mut world = World::demo().unwrap();
    assert_eq!(card(&world, None), counters(2, 2, [2, 0, 2]));
    add(&mut world, "ann.lee");
    assert_eq!(card(&world, None), counters(1, 2, [1, 0, 2]));
    add(&mut world, "joao");
    assert_eq!(card(&world, None), counters(0, 2, [0, 0, 2]));
    world.edit(WorldEdit::SetLicenses { organization: None, total: 5 }, START).unwrap();
    assert_eq!(card(&world, None), counters(3, 5, [1, 0, 3]));
}

/// Guide step 27: the dashboard removes who no longer has an equal address; the manual process keeps them.
#[test]
fn a_renamed_user_would_be_removed_by_the_automatic_process_and_kept_by_a_row() {
    let mut world = World::demo().unwrap();
    add(&mut world, "ann.lee");
    let email = Some("ann.smith@contoso.example".to_owned());
    let user = "ann.lee@contoso.example".to_owned();
    world.edit(WorldEdit::RenameGotoUser { user, email, first_name: None, last_name: None }, START).unwrap();
    assert_eq!(card(&world, None), counters(1, 2, [1, 1, 1]));
    let ann = Row { goto_email: Some("ann.smith@contoso.example".to_owned()), ..row("ann.lee") };
    assert_eq!(card(&world, Some(&[ann])), counters(1, 2, [0, 0, 1]));
}

#[test]
fn the_manual_process_is_the_file_and_nothing_else() {
    let mut world = World::demo().unwrap();
    add(&mut world, "ann.lee");
    assert_eq!(card(&world, Some(&[])), counters(1, 2, [0, 1, 0]));
    let blocked = [row("ann.lee"), row("kofi"), row("lena"), row("omar"), row("nobody")];
    assert_eq!(card(&world, Some(&blocked)), counters(1, 2, [0, 0, 1]));
    assert_eq!(card(&world, Some(&[row("ann.lee"), row("maria"), row("joao")])), counters(1, 2, [1, 0, 2]));
}

#[test]
fn a_license_that_is_not_free_yet_is_not_available() {
    let mut world = World::demo().unwrap();
    let (account, pbx) = ids();
    add(&mut world, "ann.lee");
    let ann = world.find_goto_user("ann.lee@contoso.example").unwrap();
    world.set_user_enabled(&account, pbx, &ann, false, START).unwrap();
    world.delete_user(&account, pbx, &ann, START).unwrap();
    assert_eq!(card(&world, None), counters(1, 2, [1, 0, 1]));
    let later: Timestamp = START + SignedDuration::from_mins(2);
    assert_eq!(card5(&world, &account, pbx, later, None), counters(2, 2, [2, 0, 2]));
}

#[test]
fn where_nothing_is_known_there_is_no_card() {
    let (account, _) = ids();
    let other = "00000000-0000-4000-8000-0000000000fe".parse().unwrap();
    assert_eq!(card5(&World::demo().unwrap(), &account, other, START, None), Card5::default());
}

fn pressed(world: &World, rows: Option<&[Row]>) -> Press {
    let (account, pbx) = ids();
    press(world, &account, pbx, START, rows)
}

fn edit(world: &mut World, edit: WorldEdit) {
    world.edit(edit, START).unwrap();
}

/// R8, R18: one press removes whom GoTo no longer has in the PBX, foreign pairs too; a row by key keeps each of them.
#[test]
fn leavers_are_removed_by_the_automatic_process_and_kept_by_rows_by_key() {
    let mut world = World::demo().unwrap();
    for local in ["ann.lee", "joao"] {
        add(&mut world, local);
    }
    let key = |world: &World, local: &str| world.find_goto_user(&format!("{local}@contoso.example")).unwrap();
    let keys = [key(&world, "ann.lee"), key(&world, "joao")];
    edit(&mut world, WorldEdit::DeleteGotoUser { user: keys[0].to_string() });
    edit(&mut world, WorldEdit::RemoveLine { user: keys[1].to_string() });
    assert_eq!(card(&world, None), counters(0, 2, [0, 2, 0]));
    assert_eq!(pressed(&world, None), Press { to_add: Vec::new(), to_remove: keys.to_vec() });
    let by_key =
        |key: &crate::domain::UserKey, local: &str| Row { goto_email: None, user_key: Some(key.clone()), ..row(local) };
    let rows = [by_key(&keys[0], "ann.lee"), by_key(&keys[1], "joao")];
    assert_eq!(card(&world, Some(&rows)), counters(0, 2, [0, 0, 2]));
    assert_eq!(card(&world, Some(&[row("ann.lee"), row("joao")])), counters(0, 2, [0, 0, 2]), "by the last address");
    assert_eq!(card(&world, Some(&rows[..1])), counters(0, 2, [0, 1, 1]));
}

/// R18: a user of the tenant who was deleted still has a name for the file.
#[test]
fn a_deleted_teams_user_is_kept_by_its_row() {
    let mut world = World::demo().unwrap();
    add(&mut world, "ann.lee");
    edit(&mut world, WorldEdit::DeleteTeamsUser { teams_user: "ann.lee@contoso.example".to_owned() });
    assert_eq!(card(&world, Some(&[row("ann.lee")])), counters(1, 2, [0, 0, 1]));
    assert_eq!(card(&world, Some(&[])), counters(1, 2, [0, 1, 0]));
}

/// sync.md, Match: two rows for one user, or to one target, are none.
#[test]
fn rows_that_contradict_each_other_are_none() {
    let world = World::demo().unwrap();
    let to = |local: &str, target: &str| Row { teams_user: format!("{target}@contoso.example"), ..row(local) };
    assert_eq!(card(&world, Some(&[to("ann.lee", "joao"), to("ann.lee", "maria")])), counters(2, 2, [0, 0, 0]));
    assert_eq!(card(&world, Some(&[to("ann.lee", "joao"), to("maria", "joao")])), counters(2, 2, [0, 0, 0]));
    assert_eq!(
        card(&world, Some(&[row("ann.lee"), row("ann.lee")])),
        counters(2, 2, [1, 0, 1]),
        "said twice is said once"
    );
}

/// A re-created user is removed under the old key and added under the new one, if a license is free before.
#[test]
fn a_recreated_user_is_one_to_remove_and_one_to_add() {
    let mut world = World::demo().unwrap();
    add(&mut world, "ann.lee");
    let who = Who { among: Among::Connected, ..Who::default() };
    edit(&mut world, WorldEdit::Each { who, change: Change::RecreateGotoUser });
    edit(&mut world, WorldEdit::SetSecureCalling { user: "joao@contoso.example".to_owned(), on: true });
    edit(&mut world, WorldEdit::SetSecureCalling { user: "maria@contoso.example".to_owned(), on: true });
    assert_eq!(card(&world, None), counters(1, 2, [1, 1, 1]));
    assert_eq!(pressed(&world, None).to_add, [world.find_goto_user("ann.lee@contoso.example").unwrap()]);
    edit(&mut world, WorldEdit::SetLicenses { organization: None, total: 1 });
    assert_eq!(card(&world, None), counters(0, 1, [0, 1, 0]));
}
