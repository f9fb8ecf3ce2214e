//! R18 for any order of operations.

use proptest::prelude::*;

use super::super::WorldEdit;
use super::super::demo::{account_key, organization_id};
use super::Bench;

#[derive(Debug, Clone)]
enum Operation {
    Add(u32, u32),
    Enable(u32, bool),
    Remove(u32),
    Push,
    Wait(i64),
    Buy(u32),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => (1_u32..=6, 1_u32..=6).prop_map(|(goto, teams)| Operation::Add(goto, teams)),
        4 => (1_u32..=6).prop_map(|person| Operation::Add(person, person)),
        2 => (1_u32..=6, any::<bool>()).prop_map(|(person, enabled)| Operation::Enable(person, enabled)),
        2 => (1_u32..=6).prop_map(Operation::Remove),
        1 => Just(Operation::Push),
        2 => (1_i64..200).prop_map(Operation::Wait),
        1 => (2_u32..=4).prop_map(Operation::Buy),
    ]
}

fn apply(bench: &mut Bench, operation: &Operation) {
    // Refusals are part of the game.
    match *operation {
        Operation::Add(goto, teams) => drop(bench.pair(goto, teams)),
        Operation::Enable(person, enabled) => drop(bench.enable(person, enabled)),
        Operation::Remove(person) => drop(bench.remove(person)),
        Operation::Push => drop(bench.push()),
        Operation::Wait(seconds) => bench.pass(seconds),
        Operation::Buy(total) => {
            let bought = bench.world.entitlement(&account_key(), organization_id(), bench.now).unwrap();
            let total = total.max(bought.licenses_total);
            bench.edit(WorldEdit::SetLicenses { organization: None, total });
        }
    }
}

proptest! {
    /// R18: no order of operations oversubscribes licenses, pairs a Teams user twice, or gives one number to two.
    #[test]
    fn no_order_of_operations_oversubscribes_licenses(operations in prop::collection::vec(operation(), 1..60)) {
        let mut bench = Bench::new();
        for operation in &operations {
            apply(&mut bench, operation);
            let entitlement = bench.world.entitlement(&account_key(), organization_id(), bench.now).unwrap();
            prop_assert!(entitlement.licenses_in_use <= entitlement.licenses_total);
            let pairs = &bench.world.pbx(&account_key(), organization_id()).unwrap().users;
            let mut teams: Vec<_> = pairs.values().map(|pair| pair.teams_user).collect();
            teams.sort_unstable();
            teams.dedup();
            prop_assert_eq!(teams.len(), pairs.len());
        }
        for (id, user) in &bench.world.tenant.users {
            for number in &user.voice.truth().numbers {
                prop_assert_eq!(bench.world.tenant.numbers[number].target.truth().as_ref(), Some(id));
            }
        }
    }
}
