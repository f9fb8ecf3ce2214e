//! One change for many.

use serde_json::json;

use super::super::demo::{account_key, organization_id, user_key};
use super::super::{Among, Change, GenerateOptions, Who, World, WorldEdit};
use super::{ANN, Bench, JOAO, KOFI};
use crate::sim::world::test_credentials::START;

fn large() -> World {
    let options = GenerateOptions { users: 400, licenses: 400, unmatched_percent: 0, seed: 3 };
    World::generated(&options).unwrap()
}

fn drawn(amount: u32, seed: u64) -> Who {
    Who { drawn: Some(amount), seed, ..Who::default() }
}

/// R2, the proof of the slow bleed: 41 leavers of 400 are one call, the same ones by the same seed.
#[test]
fn the_seed_draws_who_leaves() {
    let mut world = large();
    let leavers = world.chosen(&drawn(41, 1)).unwrap();
    assert_eq!((leavers.len(), leavers == world.chosen(&drawn(41, 1)).unwrap()), (41, true));
    assert_ne!(leavers, world.chosen(&drawn(41, 2)).unwrap());
    world.edit(WorldEdit::Each { who: drawn(41, 1), change: Change::DeleteGotoUser }, START).unwrap();
    let account = &world.goto.accounts[&account_key()];
    assert_eq!(account.members(organization_id()).count(), 359);
    assert!(leavers.iter().all(|key| !account.users.contains_key(key)));
}

/// The operator acts as an administrator: who is drawn must never be the one who reads.
#[test]
fn administrators_are_never_drawn_and_too_many_are_refused() {
    let world = large();
    assert_eq!(world.chosen(&Who::default()).unwrap().len(), 399);
    assert!(!world.chosen(&drawn(399, 7)).unwrap().contains(&user_key(1)));
    assert!(world.chosen(&drawn(400, 7)).is_err());
}

/// R8: the same for pairs and for named users, also for those whom GoTo no longer knows.
#[test]
fn pairs_are_disabled_and_removed_together() {
    let mut bench = Bench::new();
    let people =
        || Who { users: Some(vec![user_key(ANN).to_string(), "joao@contoso.example".to_owned()]), ..Who::default() };
    bench.edit(WorldEdit::Each { who: people(), change: Change::AddPair });
    let connected = || Who { among: Among::Connected, ..Who::default() };
    assert_eq!(bench.world.chosen(&connected()).unwrap(), [user_key(ANN), user_key(JOAO)]);
    bench.edit(WorldEdit::Each { who: connected(), change: Change::DeleteGotoUser });
    bench.edit(WorldEdit::Each { who: connected(), change: Change::SetPairEnabled { enabled: false } });
    assert!(!bench.user(ANN).enabled && !bench.user(JOAO).enabled);
    bench.edit(WorldEdit::Each { who: connected(), change: Change::RemovePair });
    assert_eq!(bench.world.chosen(&connected()).unwrap(), []);
}

/// R9: a mass re-creation, and the tenant's side of the same people.
#[test]
fn many_are_recreated_deleted_restored_and_blocked() {
    let mut bench = Bench::new();
    let ann = |change| WorldEdit::Each {
        who: Who { users: Some(vec![user_key(ANN).to_string()]), ..Who::default() },
        change,
    };
    for (change, there) in [(Change::DeleteTeamsUser, false), (Change::RestoreTeamsUser, true)] {
        bench.edit(ann(change));
        assert_eq!(bench.world.find_teams_user("ann.lee@contoso.example").is_ok(), there);
    }
    bench.edit(ann(Change::SetAccountEnabled { enabled: false }));
    let teams = bench.world.find_teams_user("ann.lee@contoso.example").unwrap();
    assert!(!bench.world.tenant.users[&teams].account_enabled);
    bench.edit(ann(Change::RecreateGotoUser));
    assert_eq!(bench.world.find_goto_user("ann.lee@contoso.example").unwrap().as_str(), "7000000000000000001");
    assert!(bench.world.find_goto_user(user_key(KOFI).as_str()).is_ok());
}

/// The form on the control port.
#[test]
fn the_json_of_a_change_for_many_is_read() {
    let orders = [
        json!({"edit": "each", "who": {"drawn": 41}, "change": "deleteGotoUser"}),
        json!({"edit": "each", "who": {"users": ["1"], "seed": 2}, "change": {"setPairEnabled": {"enabled": false}}}),
        json!({"edit": "each", "who": {"among": "connected"}, "change": "removePair"}),
    ];
    for order in orders {
        serde_json::from_value::<WorldEdit>(order).unwrap();
    }
    let unknown = json!({"edit": "each", "who": {"some": 41}, "change": "deleteGotoUser"});
    assert!(serde_json::from_value::<WorldEdit>(unknown).is_err());
}
