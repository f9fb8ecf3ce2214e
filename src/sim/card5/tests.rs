//! The card in the demo world.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::{Card5, Row, card5};
use crate::clients::connector::wire::PutUser;
use crate::domain::{AccountKey, OrganizationId};
use crate::sim::world::test_credentials::{ACCOUNT_KEY, ORGANIZATION_ID, START};
use crate::sim::world::{World, WorldEdit};

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
