//! What holds for every world and every stored object.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::arbitrary::{PEOPLE, Quirk, apply, cases, manual, quirk, stored, world};
use super::cluster::Cluster;
use super::world::{OURS, World, at, pbx};
use crate::api::{Managed, Reason, RemovalAction, RunOperation, UserStage, UserState};
use crate::domain::UserKey;
use crate::plan::snapshot::{PbxNumber, SourceFailure};
use crate::plan::user_plan::{RunPlan, UserPlan, Write};
use crate::plan::user_sync::user_sync;

/// Card 5 by the manual process, for a file of everybody who shall keep or get service.
fn card(cluster: &Cluster, plan: &UserPlan) -> (u32, u32, u32) {
    let world = &cluster.world;
    let is_row = |user: &&crate::plan::user_plan::PlannedUser| match user.status.state {
        Some(UserState::Connected | UserState::Retained | UserState::Disabled) => true,
        Some(UserState::Pending) => matches!(user.status.stage, Some(UserStage::Apply | UserStage::Verify)),
        _ => false,
    };
    let rows: BTreeSet<_> = plan.users.iter().filter(is_row).map(|user| user.key.clone()).collect();
    let paired: BTreeSet<_> = world.pairs.iter().map(|pair| pair.key.clone()).collect();
    let available = world.entitlement.licenses_total.saturating_sub(world.entitlement.licenses_in_use);
    let to_add = u32::try_from(rows.difference(&paired).count()).unwrap().min(available);
    (available, to_add, u32::try_from(paired.len()).unwrap() + to_add)
}

/// Passes with everything that must hold at each.
fn watched(cluster: &mut Cluster, passes: usize) -> Result<(), TestCaseError> {
    for _ in 0..passes {
        let plan = cluster.plan();
        let counters = plan.counters.unwrap();
        let shown = (counters.licenses_available, counters.users_to_add, counters.users_after_sync);
        prop_assert_eq!(shown, card(cluster, &plan));
        prop_assert!(counters.users_to_add <= counters.licenses_available);
        prop_assert_eq!(counters.users_to_remove, 0);
        let carried_out = cluster.pass();
        prop_assert!(cluster.world.entitlement.licenses_in_use <= cluster.world.entitlement.licenses_total.max(3 + 6));
        cluster.between(&carried_out);
    }
    Ok(())
}

/// The stored runs belong to the spec as it is now.
fn adopt_runs(cluster: &mut Cluster) {
    let hash = crate::plan::runs::policy_hash(&cluster.spec);
    for run in cluster.runs.values_mut().filter(|run| run.spec.policy_hash != "sha256:another") {
        run.spec.policy_hash.clone_from(&hash);
    }
}

proptest! {
    #![proptest_config(cases(96))]

    /// Planning after carrying out gives an empty plan, counters add up like the dashboard's (R18), and pairs of others stay.
    #[test]
    fn every_world_comes_to_rest(world in world(), manual in manual()) {
        let others: Vec<_> = world.pairs.clone();
        let mut cluster = Cluster::new(world);
        cluster.spec.matching.manual = manual;
        cluster.read();
        watched(&mut cluster, 8)?;
        cluster.world.refuses.clear();
        cluster.wait(7200);
        cluster.read();
        cluster.settle();
        prop_assert!(cluster.plan().is_empty());
        for pair in others {
            let now = cluster.world.pairs.iter().find(|it| it.key == pair.key).unwrap();
            prop_assert_eq!((now.teams_user, &now.external_id), (pair.teams_user, &pair.external_id));
        }
        let distinct: BTreeSet<_> = cluster.puts.iter().collect();
        prop_assert!(distinct.len() <= PEOPLE);
    }

    /// The world changes while the operator works, and comes to rest all the same.
    #[test]
    fn a_changing_world_comes_to_rest(world in world(), changes in vec((0..PEOPLE, quirk(), manual()), 0..5)) {
        let mut cluster = Cluster::new(world);
        cluster.read();
        for (index, quirk, manual) in changes {
            let plan = cluster.pass();
            cluster.spec.matching.manual = manual;
            cluster.generation += 1;
            if !matches!(quirk, Quirk::OwnPair | Quirk::OtherPair | Quirk::WrongPair) {
                apply(&mut cluster.world, index, quirk);
            }
            cluster.between(&plan);
        }
        cluster.world.refuses.clear();
        cluster.wait(7200);
        cluster.read_twice();
        // The last one who is created again waits for an approval.
        cluster.settle_while_waiting();
        cluster.approve_all();
        cluster.settle();
        prop_assert_eq!(cluster.plan().to_string(), "");
    }

    /// The same situation has the same plan and hash, in whatever order the vendors list it.
    #[test]
    fn the_order_of_the_sources_does_not_matter(world in world(), seed in any::<usize>()) {
        let mut turned = world.clone();
        let by = seed % PEOPLE;
        turned.people.rotate_left(by);
        turned.lines.reverse();
        turned.teams.rotate_right(by);
        turned.numbers.reverse();
        turned.extensions.rotate_left(by);
        turned.pairs.reverse();
        let plan = |world: World| {
            let mut cluster = Cluster::new(world);
            cluster.read();
            cluster.plan()
        };
        prop_assert_eq!(plan(world), plan(turned));
    }

    /// A crash anywhere in any world ends as without it (T1).
    #[test]
    fn a_crash_in_any_world_ends_the_same(world in world(), manual in manual(), budget in 0_u32..60) {
        let mut calm = Cluster::new(world.clone());
        calm.spec.matching.manual = manual;
        calm.world.refuses.clear();
        let mut crashed = calm.clone();
        calm.read();
        calm.settle();
        crashed.read();
        crashed.budget = Some(budget);
        let _ = crashed.try_settle();
        crashed.restart();
        crashed.settle();
        let standing = |cluster: &Cluster| -> Vec<_> {
            let users = cluster.users.values();
            users.map(|it| (it.spec.teams_user_id.clone(), it.spec.managed, it.status.state, it.status.reason.clone())).collect()
        };
        prop_assert_eq!(standing(&calm), standing(&crashed));
        prop_assert_eq!(calm.world.pairs.len(), crashed.world.pairs.len());
    }

    /// Whoever is created again in any world ends under the new key with the same number, wherever the process crashes, and nobody
    /// else is touched (T1, R9, R13).
    #[test]
    fn a_crash_in_any_replacement_ends_the_same(world in world(), again in vec(0..PEOPLE, 1..4), budget in 0_u32..60) {
        let mut calm = Cluster::new(world);
        calm.world.refuses.clear();
        // Somebody who stays: the last one would need an approval.
        calm.world.add_person(50);
        calm.world.add_pair(50, 50, Some(OURS), at(-50));
        calm.world.entitlement.licenses_total += 1;
        calm.spec.removal.guard.max_percent = 100;
        calm.spec.removal.guard.max_count = 100;
        calm.read();
        calm.settle();
        calm.now += k8s_openapi::jiff::SignedDuration::from_hours(25);
        let before = calm.world.pairs.clone();
        let cared_for = calm.users.values().filter(|user| user.spec.managed != Managed::None);
        let cared_for: BTreeSet<UserKey> = cared_for.map(|it| it.spec.goto_user_key.parse().unwrap()).collect();
        for index in &again {
            calm.world.recreate_person(*index, PEOPLE + index);
            let extension_id = Some(format!("ext-{index}"));
            let number = Some(format!("+1444{index:07}").parse().unwrap());
            calm.world.numbers.push(PbxNumber { organization: pbx(), number, extension_id });
        }
        let mut crashed = calm.clone();
        calm.read_twice();
        calm.settle();
        crashed.read_twice();
        crashed.budget = Some(budget);
        let _ = crashed.try_settle();
        crashed.restart();
        crashed.settle();
        let pairs = |cluster: &Cluster| -> BTreeSet<_> {
            let pairs = cluster.world.pairs.iter();
            pairs.map(|it| (it.key.clone(), it.teams_user, it.number.clone(), it.enabled)).collect()
        };
        prop_assert_eq!(pairs(&calm), pairs(&crashed));
        for pair in before {
            let now = calm.world.pairs.iter().find(|it| it.teams_user == pair.teams_user);
            prop_assert_eq!(now.map(|it| (&it.number, it.enabled)), Some((&pair.number, pair.enabled)));
            let is_cared_for = cared_for.contains(&pair.key);
            prop_assert!(is_cared_for || now == Some(&pair), "a pair of others");
        }
    }

    /// From an incomplete source nothing is concluded, whatever is stored (R4).
    #[test]
    fn an_incomplete_reading_changes_no_user(world in world(), stored in stored(), source in 0_usize..10) {
        let mut cluster = stored.on(world);
        let failure = Some(SourceFailure { reason: Reason::RateLimited, cause: "busy".to_owned(), retry_at: None });
        let snapshot = cluster.snapshot.as_mut().unwrap();
        let connector = snapshot.pbxs.get_mut(&pbx()).unwrap();
        match source {
            0 => snapshot.goto_users.failure = failure,
            1 => snapshot.lines.failure = failure,
            2 => snapshot.extensions.failure = failure,
            3 => snapshot.numbers.failure = failure,
            4 => snapshot.teams_users.failure = failure,
            5 => snapshot.number_assignments.failure = failure,
            6 => snapshot.voice.failure = failure,
            7 => connector.entitlement.failure = failure,
            8 => connector.candidates.failure = failure,
            _ => connector.users.failure = failure,
        }
        let plan = user_sync(&cluster.observed(), cluster.now);
        prop_assert!(plan.is_empty());
        prop_assert_eq!(plan.users.len(), cluster.users.len());
    }

    /// Whatever is stored: no panic, no contradiction, nothing sent without a stored mark, and nobody's pair is overwritten.
    #[test]
    fn any_stored_state_gives_a_sound_plan(world in world(), stored in stored(), manual in manual()) {
        let mut cluster = stored.on(world);
        cluster.spec.matching.manual = manual;
        adopt_runs(&mut cluster);
        let plan = user_sync(&cluster.observed(), cluster.now);
        prop_assert_eq!(plan.check(), vec![]);
        for step in plan.steps() {
            prop_assert_ne!(cluster.users[&step.user].spec.managed, Managed::None);
            let foreign = cluster.world.pairs.iter().find(|pair| pair.key == step.user && pair.external_id.as_deref() != Some(OURS));
            prop_assert!(foreign.is_none() || step.op != RunOperation::Put);
        }
        for user in &plan.users {
            let known = cluster.users.get(&user.key);
            let same = known.is_some_and(|known| known.spec == user.spec && known.status == user.status);
            prop_assert_eq!(user.write == Write::Nothing, same);
        }
        prop_assert!(!matches!(&plan.run, RunPlan::Create(_)) || cluster.gate.is_none());
        let before: Vec<_> = cluster.world.pairs.iter().map(|pair| (pair.key.clone(), pair.teams_user)).collect();
        cluster.pass();
        let taken: BTreeSet<_> = plan.steps().iter().filter(|step| step.takes_away()).map(|it| it.user.clone()).collect();
        for (key, teams) in before.into_iter().filter(|(key, _)| !taken.contains(key)) {
            prop_assert!(cluster.world.pairs.iter().any(|pair| pair.key == key && pair.teams_user == teams));
        }
    }
}

proptest! {
    #![proptest_config(cases(96))]

    /// Whatever is stored and whoever left: nobody protected, unmanaged, still there or in grace is taken from (R5, R8, R12, R15).
    #[test]
    fn nobody_is_taken_from_but_a_ripe_candidate(
        world in world(),
        stored in stored(),
        manual in manual(),
        gone in vec(0..PEOPLE, 0..4),
        again in proptest::option::of(0..PEOPLE),
        protected in proptest::option::of(0..PEOPLE),
        remove in any::<bool>(),
    ) {
        let mut world = world;
        if let Some(index) = again {
            world.recreate_person(index, PEOPLE + index % 3);
        }
        for index in gone {
            world.remove_person(index);
        }
        let mut cluster = stored.on(world);
        cluster.spec.removal.action = if remove { RemovalAction::Remove } else { RemovalAction::Disable };
        cluster.spec.removal.grace_period = crate::api::Period::minutes(10);
        cluster.spec.protected_users = protected.map(|index| super::world::key(index).to_string()).into_iter().collect();
        cluster.spec.matching.manual = manual;
        adopt_runs(&mut cluster);
        for _ in 0..4 {
            let plan = cluster.plan();
            for step in plan.steps().into_iter().filter(|step| step.takes_away()) {
                let known = &cluster.users[&step.user].spec;
                prop_assert!(cluster.world.people.iter().all(|person| person.key != step.user) || known.teams_user_id.is_some());
                prop_assert!(cluster.previous.is_some());
                prop_assert_ne!(known.managed, Managed::None);
                prop_assert!(protected.is_none_or(|index| super::world::key(index) != step.user));
                let since = known.unmatched_since.as_ref().unwrap().0;
                prop_assert!(known.leaving.is_some() && since <= cluster.now);
                prop_assert!(plan.witness.is_some() || step.look.is_some());
            }
            if let RunPlan::Create(run) = &plan.disconnect {
                for action in &run.spec.actions {
                    let known = &cluster.users[&action.user.parse().unwrap()].spec;
                    let since = known.unmatched_since.as_ref().unwrap().0;
                    let ripe = cluster.now.duration_since(since).as_mins() >= 10;
                    prop_assert!(ripe || action.op == RunOperation::Replace);
                    prop_assert_eq!(&known.protected_by, &None);
                }
                prop_assert_eq!(&run.spec.plan_hash, &crate::plan::runs::plan_hash(&run.spec.actions));
            }
            let done = cluster.pass();
            cluster.between(&done);
        }
    }
}

/// Rule 12 of performance: n log n. A nested scan over so many users would take minutes.
#[test]
fn many_users_are_planned_in_a_moment() {
    let mut world = World::of(0);
    world.entitlement.licenses_total = 50_000;
    (0..20_000).for_each(|index| world.add_person(index));
    let mut cluster = Cluster::new(world);
    cluster.read();
    let plan = cluster.plan();
    assert_eq!(plan.users.len(), 20_000);
}
