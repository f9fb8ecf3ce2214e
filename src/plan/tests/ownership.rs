//! Whose pair it is (R8): added, adopted at the first complete plan, or foreign.

use super::cluster::Cluster;
use super::world::{OURS, World, at, key};
use crate::api::{Adoption, Managed, Period, Reason, RemovalAction, RunOperation, UserState};
use crate::plan::user_plan::Absence;

fn first_plan(change: impl FnOnce(&mut World)) -> Cluster {
    let mut world = World::of(2);
    change(&mut world);
    let mut cluster = Cluster::new(world);
    cluster.read();
    cluster
}

#[test]
fn a_pair_with_our_mark_is_found_again_as_added() {
    let mut cluster = first_plan(|it| it.add_pair(0, 0, Some(OURS), at(-99)));
    cluster.pass();
    assert_eq!(cluster.user(0).spec.managed, Managed::Added);
}

#[test]
fn a_matching_pair_is_adopted_at_the_first_plan() {
    let mut cluster = first_plan(|it| it.add_pair(0, 0, Some("somebody"), at(-99)));
    cluster.settle();
    assert_eq!(cluster.user(0).spec.managed, Managed::Adopted);
    assert_eq!(cluster.state(0), Some(UserState::Connected));
    assert_eq!(cluster.puts, [key(1)]);
}

/// The time in the specs decides, not whether objects exist: a crash in the middle of the first plan adopts the rest later.
#[test]
fn a_crash_in_the_middle_of_the_first_plan_adopts_the_rest() {
    let mut cluster = first_plan(|it| {
        it.add_pair(0, 0, None, at(-99));
        it.add_pair(1, 1, None, at(-99));
    });
    cluster.budget = Some(3);
    assert!(cluster.try_pass().is_err());
    assert_eq!(cluster.users.len(), 1);
    cluster.restart();
    cluster.settle();
    assert_eq!([0, 1].map(|index| cluster.user(index).spec.managed), [Managed::Adopted; 2]);
}

/// R8
#[test]
fn a_pair_that_somebody_adds_later_is_foreign_and_never_overwritten() {
    let mut cluster = Cluster::connected(1);
    cluster.world.add_person(1);
    cluster.world.add_pair(1, 1, Some("somebody"), cluster.now);
    cluster.settle();
    assert_eq!((cluster.state(1), cluster.reason(1)), (Some(UserState::Blocked), Some(Reason::ForeignUser)));
    assert_eq!(cluster.user(1).spec.managed, Managed::None);
    assert_eq!(cluster.status.users.unwrap().foreign, 1);
    assert_eq!(cluster.puts, [key(0)]);
}

/// R8
#[test]
fn a_pair_with_another_microsoft_user_is_foreign() {
    let mut cluster = first_plan(|it| {
        it.add_person(2);
        it.people.pop();
        it.lines.pop();
        it.add_pair(0, 2, Some("somebody"), at(-99));
    });
    cluster.pass();
    assert_eq!(cluster.reason(0), Some(Reason::ForeignUser));
    cluster.settle();
    assert!(!cluster.puts.contains(&key(0)));
}

#[test]
fn a_pair_of_nobody_we_know_is_counted_as_foreign() {
    let mut cluster = first_plan(|it| it.add_pair(9, 9, None, at(-99)));
    cluster.pass();
    assert_eq!(cluster.status.users.unwrap().foreign, 1);
    assert!(!cluster.users.contains_key(&key(9)));
}

/// The mark is written with the run, before the connector is asked.
#[test]
fn nobody_is_marked_before_there_is_a_run() {
    let mut cluster = first_plan(|_| {});
    cluster.gate = Some(super::cluster::problem(Reason::AccountNotReady));
    cluster.pass();
    assert_eq!(cluster.user(0).spec.managed, Managed::None);
    cluster.gate = None;
    cluster.pass();
    assert_eq!(cluster.user(0).spec.managed, Managed::Added);
    assert!(cluster.puts.is_empty());
}

/// A pair that somebody else added after we had marked the user is theirs.
#[test]
fn somebody_who_is_faster_than_the_run_keeps_the_pair() {
    let mut cluster = first_plan(|_| {});
    cluster.pass();
    cluster.world.add_pair(0, 0, Some("somebody"), cluster.now);
    cluster.between(&cluster.plan());
    cluster.settle();
    assert_eq!((cluster.user(0).spec.managed, cluster.reason(0)), (Managed::None, Some(Reason::ForeignUser)));
    assert_eq!(cluster.puts, [key(1)]);
}

#[test]
fn the_mark_goes_when_the_run_ended_without_the_user() {
    let mut cluster = first_plan(|it| {
        it.refuses.insert(key(0), Reason::Rejected);
    });
    let plan = cluster.pass();
    cluster.between(&plan);
    cluster.pass();
    cluster.read();
    cluster.pass();
    assert_eq!((cluster.state(0), cluster.reason(0)), (Some(UserState::Blocked), Some(Reason::Rejected)));
    assert_eq!(cluster.user(0).spec.managed, Managed::None);
}

/// A policy that adopts all and removes who left after an hour: one who matches, one with an address of his own, and one who is
/// no longer in the account but in the connector.
fn adopts_all(change: impl FnOnce(&mut World)) -> Cluster {
    let mut world = World::of(5);
    (0..4).for_each(|index| world.add_pair(index, index, Some("somebody"), at(-99)));
    world.teams[1].upn_address = Some("other@contoso.example".parse().unwrap());
    world.teams[1].mail_address = None;
    world.remove_person(2);
    change(&mut world);
    let mut cluster = Cluster::new(world);
    cluster.spec.adoption = Adoption::All;
    cluster.spec.removal.action = RemovalAction::Remove;
    cluster.spec.removal.grace_period = "1h".parse::<Period>().unwrap();
    cluster.spec.removal.guard.max_percent = 100;
    cluster.read();
    cluster
}

fn has_pair(cluster: &Cluster, index: usize) -> bool {
    cluster.world.pairs.iter().any(|pair| pair.key == key(index))
}

/// After the grace period, by two readings each.
fn grace_ends(cluster: &mut Cluster) {
    cluster.settle();
    cluster.now += super::world::minutes(61);
    cluster.read_twice();
    cluster.settle();
}

/// R8: who matches nobody is adopted at the first plan, kept through the grace period, and then removed like any other.
#[test]
fn all_adopts_who_matches_nobody_and_removes_them_after_the_grace_period() {
    let mut cluster = adopts_all(|_| {});
    let plan = cluster.pass();
    assert_eq!(plan.adopted.map(|it| it.adoption), Some(Adoption::All));
    assert_eq!([0, 1, 2, 3].map(|index| cluster.user(index).spec.managed), [Managed::Adopted; 4]);
    assert_eq!([0, 1, 2].map(|index| cluster.user(index).spec.matched_by.is_some()), [true, false, false]);
    assert!([1, 2].iter().all(|index| cluster.user(*index).spec.unmatched_since.is_none()));
    cluster.settle();
    assert_eq!([1, 2].map(|index| cluster.reason(index)), [Some(Reason::InGracePeriod); 2]);
    assert!(cluster.other_calls.is_empty());
    grace_ends(&mut cluster);
    assert_eq!([0, 1, 2, 3, 4].map(|index| has_pair(&cluster, index)), [true, false, false, true, true]);
    let deleted = cluster.other_calls.iter().filter(|(op, _)| *op == RunOperation::Delete).count();
    assert_eq!((deleted, cluster.user(1).spec.managed), (2, Managed::None));
}

/// R8: by default nobody is touched whom the matching does not pair.
#[test]
fn matched_leaves_who_matches_nobody_alone() {
    let mut cluster = adopts_all(|_| {});
    cluster.spec.adoption = Adoption::Matched;
    grace_ends(&mut cluster);
    assert!((0..4).all(|index| has_pair(&cluster, index)));
    assert_eq!((cluster.status.users.unwrap().foreign, cluster.user(1).spec.managed), (2, Managed::None));
}

/// R8: the choice is made once; a policy that knows users already, with or without the annotation, takes nobody over any more.
#[test]
fn all_is_decided_at_the_first_complete_plan_only() {
    for lost in [false, true] {
        let mut cluster = adopts_all(|_| {});
        cluster.spec.adoption = Adoption::Matched;
        cluster.settle();
        cluster.spec.adoption = Adoption::All;
        cluster.generation += 1;
        if lost {
            cluster.adopted = None;
        }
        grace_ends(&mut cluster);
        assert!((0..4).all(|index| has_pair(&cluster, index)) && cluster.other_calls.is_empty());
        assert!(cluster.adopted.as_deref().unwrap().starts_with("Matched@"));
    }
}

/// R8: with every object and the annotation lost, the marks at the connector still tell that the policy is not new.
#[test]
fn a_policy_that_the_connector_knows_takes_over_nobody_without_a_match() {
    let mut cluster = adopts_all(|world| world.add_pair(4, 4, Some(OURS), at(-99)));
    grace_ends(&mut cluster);
    assert!((0..5).all(|index| has_pair(&cluster, index)) && cluster.other_calls.is_empty());
}

/// R8: whoever is added by somebody else after the first plan is foreign, under `All` too, and when every object is lost.
#[test]
fn all_never_takes_over_who_was_added_later() {
    let mut cluster = adopts_all(|_| {});
    cluster.settle();
    cluster.world.add_pair(7, 7, Some("somebody"), cluster.now);
    cluster.users.clear();
    cluster.runs.clear();
    cluster.restart();
    grace_ends(&mut cluster);
    assert!(has_pair(&cluster, 7) && !cluster.users.contains_key(&key(7)));
}

/// R10: wherever the process ends in the first plan, the same are adopted in the end.
#[test]
fn a_crash_in_the_middle_of_the_first_plan_ends_the_same_under_all() {
    for budget in 0..14 {
        let mut cluster = adopts_all(|_| {});
        cluster.budget = Some(budget);
        let _crash = cluster.try_pass();
        cluster.restart();
        cluster.settle();
        let managed = [0, 1, 2, 3].map(|index| cluster.user(index).spec.managed);
        assert_eq!(managed, [Managed::Adopted; 4], "after {budget} writes");
    }
}

/// An annotation that nobody can read adopts like `Matched`, and is left alone.
#[test]
fn a_damaged_annotation_adopts_nobody_without_a_match() {
    let mut cluster = adopts_all(|_| {});
    cluster.adopted = Some("yes".to_owned());
    grace_ends(&mut cluster);
    assert!(has_pair(&cluster, 1) && has_pair(&cluster, 2));
    assert_eq!(cluster.adopted.as_deref(), Some("yes"));
}

/// R8, R12: whose address becomes equal to that of the pair's Microsoft user is matched, and keeps service.
#[test]
fn who_matches_within_the_grace_period_keeps_service() {
    let mut cluster = adopts_all(|_| {});
    cluster.settle();
    cluster.world.teams[1].upn_address = cluster.world.people[1].address.clone();
    cluster.read_twice();
    grace_ends(&mut cluster);
    assert_eq!((cluster.state(1), cluster.user(1).spec.matched_by.is_some()), (Some(UserState::Connected), true));
}

/// An address that is missing, ambiguous, or only the other attribute's is not nobody.
#[test]
fn an_address_that_proves_nothing_makes_no_candidate() {
    let changes: [fn(&mut World); 3] = [
        |world| world.people[1].address = None,
        |world| world.teams[1].mail_address = world.people[1].address.clone(),
        |world| world.people[1].address = world.people[0].address.clone(),
    ];
    for change in changes {
        let mut cluster = adopts_all(change);
        grace_ends(&mut cluster);
        assert!(has_pair(&cluster, 1));
    }
}

/// R1, R2: what was adopted without a match is counted by the guard like any other.
#[test]
fn the_guard_holds_the_adopted_who_match_nobody() {
    let mut cluster = adopts_all(|_| {});
    cluster.spec.removal.guard.max_percent = 0;
    cluster.spec.removal.guard.always_allow = 1;
    cluster.settle();
    cluster.now += super::world::minutes(61);
    cluster.read_twice();
    cluster.settle_while_waiting();
    assert!(cluster.other_calls.is_empty());
    assert_eq!([1, 2].map(|index| cluster.reason(index)), [Some(Reason::ApprovalPending); 2]);
}

/// R5: the last look of an adopted pair carries the address that must still be nobody's.
#[test]
fn the_last_look_knows_the_address_that_nobody_has() {
    let mut cluster = adopts_all(|_| {});
    cluster.settle();
    cluster.now += super::world::minutes(61);
    cluster.read_twice();
    let mut looks = Vec::new();
    for _ in 0..8 {
        let plan = cluster.pass();
        looks.extend(plan.steps().into_iter().map(|step| (step.user.clone(), step.look, step.address.is_some())));
        cluster.between(&plan);
    }
    assert!(looks.contains(&(key(1), Some(Absence::Match), true)));
    assert!(looks.contains(&(key(2), Some(Absence::Line), false)));
}
