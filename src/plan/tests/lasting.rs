//! What must hold though an answer, a process or a run is lost, and though somebody else changed what this policy made.

use super::cluster::Cluster;
use super::disconnecting::{decide, leaves, removing};
use super::world::{key, minutes};
use crate::api::{Approval, Decision, Guard, Reason, RemovalAction, RunOperation, RunState, RunType, UserState};
use crate::plan::observed::KnownRun;
use crate::plan::user_plan::Step;

fn guarded(people: usize, action: RemovalAction) -> Cluster {
    let mut cluster = removing(people, action);
    cluster.spec.removal.guard = Guard::default();
    cluster.generation += 1;
    cluster.settle();
    cluster
}

/// Everybody is called for again.
fn come_back(cluster: &mut Cluster, before: &Cluster) {
    cluster.world.people.clone_from(&before.world.people);
    cluster.world.lines.clone_from(&before.world.lines);
    cluster.world.candidates.clone_from(&before.world.candidates);
}

/// The connector does what it is told, and the process ends before it can note that.
fn act_without_a_note(cluster: &mut Cluster) {
    for _ in 0..8 {
        let steps: Vec<Step> = cluster.plan().steps().into_iter().cloned().collect();
        if steps.is_empty() {
            let plan = cluster.pass();
            cluster.between(&plan);
            continue;
        }
        for step in &steps {
            cluster.world.answer(step, cluster.now);
        }
        cluster.restart();
        cluster.read();
    }
}

/// R1, R10: a removal whose answer nobody noted counts in the window like any other.
#[test]
fn removals_that_nobody_noted_trip_the_guard() {
    for action in [RemovalAction::Disable, RemovalAction::Remove] {
        let mut cluster = guarded(30, action);
        for index in 0..6 {
            leaves(&mut cluster, index);
            act_without_a_note(&mut cluster);
        }
        let can_call = cluster.world.pairs.iter().filter(|pair| pair.enabled).count();
        assert_eq!(can_call, 27, "{action:?}");
    }
}

/// R6: a finished run that somebody approves afterwards raises no limit.
#[test]
fn an_approval_after_the_end_raises_no_limit() {
    let mut cluster = guarded(30, RemovalAction::Remove);
    for index in 0..6 {
        leaves(&mut cluster, index);
        cluster.settle_while_waiting();
        let removed = |run: &&mut KnownRun| run.spec.run_type == RunType::Disconnect;
        for run in cluster.runs.values_mut().filter(removed) {
            if run.status.state == Some(RunState::Applied) {
                run.spec.decision = Some(Decision::Approve);
            }
        }
    }
    assert_eq!(cluster.world.pairs.len(), 27);
}

/// R8: a pair that an administrator made in the place of ours is not touched, with whichever Microsoft user.
#[test]
fn a_pair_that_somebody_made_in_the_place_of_ours_is_not_touched() {
    for (teams, id) in [(0, "by-hand"), (5, super::world::OURS)] {
        let mut cluster = removing(6, RemovalAction::Remove);
        cluster.world.pairs.retain(|pair| pair.key != key(5));
        leaves(&mut cluster, 0);
        cluster.world.pairs.retain(|pair| pair.key != key(0));
        cluster.world.add_pair(0, teams, Some(id), cluster.now);
        cluster.read_twice();
        for _ in 0..8 {
            let plan = cluster.pass();
            cluster.between(&plan);
        }
        assert_eq!(cluster.other_calls, [], "{id}");
        assert!(cluster.world.pair(0).enabled);
        let is_marked = id == super::world::OURS;
        assert_eq!(cluster.users.contains_key(&key(0)), is_marked, "somebody else's: released, not in grace for ever");
    }
}

/// R3, R10: of whom somebody denied to take service from, nobody loses it unasked because one more left.
#[test]
fn whoever_was_denied_waits_for_a_decision_when_the_set_changes() {
    let mut cluster = guarded(40, RemovalAction::Remove);
    let before = cluster.clone();
    (0..9).for_each(|index| cluster.world.remove_person(index));
    leaves(&mut cluster, 9);
    cluster.settle_while_waiting();
    decide(&mut cluster, Decision::Deny);
    cluster.settle();
    come_back(&mut cluster, &before);
    cluster.world.remove_person(0);
    leaves(&mut cluster, 20);
    cluster.settle_while_waiting();
    assert_eq!(cluster.other_calls, []);
    decide(&mut cluster, Decision::Approve);
    cluster.settle();
    assert_eq!(cluster.world.pairs.len(), 38);
}

/// R10: a denial is remembered through a restart, whose first reading says nothing about anybody, without any history.
#[test]
fn a_denial_outlives_a_restart_without_history() {
    let mut cluster = removing(10, RemovalAction::Remove);
    cluster.spec.approval = Approval::Disconnects;
    cluster.spec.history_limit = 0;
    cluster.generation += 1;
    cluster.settle();
    leaves(&mut cluster, 0);
    cluster.settle_while_waiting();
    decide(&mut cluster, Decision::Deny);
    cluster.settle_while_waiting();
    cluster.now += minutes(60 * 25);
    cluster.restart();
    cluster.pass();
    cluster.read();
    cluster.settle_while_waiting();
    assert_eq!(cluster.run_states(), [Some(RunState::Denied)]);
}

/// R6: a denial is of what was shown: whoever came back and left again months later is proposed again, and waits for a decision.
#[test]
fn a_denial_does_not_outlive_a_return() {
    let mut cluster = removing(10, RemovalAction::Remove);
    let before = cluster.clone();
    cluster.spec.approval = Approval::Disconnects;
    cluster.generation += 1;
    cluster.settle();
    leaves(&mut cluster, 0);
    cluster.settle_while_waiting();
    decide(&mut cluster, Decision::Deny);
    cluster.settle_while_waiting();
    come_back(&mut cluster, &before);
    cluster.settle();
    assert_eq!(cluster.state(0), Some(UserState::Connected));
    cluster.spec.approval = Approval::Automatic;
    cluster.now += minutes(60 * 24 * 90);
    leaves(&mut cluster, 0);
    cluster.settle_while_waiting();
    assert_eq!((cluster.reason(0), cluster.other_calls.len()), (Some(Reason::ApprovalPending), 0));
}

/// A run whose name an older one had, which is gone by now, carries its writes out.
#[test]
fn a_name_that_a_user_still_names_is_not_given_again() {
    let mut cluster = Cluster::connected(3);
    cluster.world.add_person(3);
    cluster.read();
    cluster.settle();
    cluster.runs.clear();
    cluster.world.pairs.retain(|pair| pair.key != key(3));
    cluster.now += minutes(60);
    cluster.read_twice();
    cluster.settle();
    let puts = cluster.puts.len();
    cluster.requested_at = Some("again".to_owned());
    cluster.settle();
    assert_eq!((cluster.puts.len(), cluster.state(3)), (puts + 1, Some(UserState::Connected)));
    assert!(!cluster.other_calls.contains(&(RunOperation::Delete, key(3))));
}

/// R12: whoever was cut off and is called for again gets the calls back at once, whatever another run waits for.
#[test]
fn calls_are_given_back_though_a_connect_run_waits() {
    for approval in [Approval::Automatic, Approval::All] {
        let mut cluster = removing(6, RemovalAction::Disable);
        let before = cluster.clone();
        leaves(&mut cluster, 0);
        cluster.settle();
        assert!(!cluster.world.pair(0).enabled);
        cluster.spec.approval = approval;
        cluster.generation += 1;
        cluster.world.add_person(6);
        cluster.read();
        cluster.pass();
        let newcomer = cluster.world.clone();
        come_back(&mut cluster, &before);
        cluster.world.people.extend(newcomer.people.into_iter().filter(|it| it.key == key(6)));
        cluster.world.lines.extend(newcomer.lines.into_iter().filter(|it| it.key == key(6)));
        cluster.world.candidates.extend(newcomer.candidates.into_iter().filter(|it| it.key == key(6)));
        for _ in 0..6 {
            cluster.read();
            cluster.pass();
        }
        assert!(cluster.world.pair(0).enabled, "{approval:?}");
        assert!(cluster.world.pairs.iter().all(|pair| pair.key != key(6)), "the newcomer waits for import or approval");
    }
}

/// R5: found by id between the two halves of a removal, the user gets the calls back and keeps them while the listing lies on.
#[test]
fn a_veto_at_the_second_half_gives_the_calls_back() {
    let mut cluster = removing(6, RemovalAction::Remove);
    leaves(&mut cluster, 0);
    for _ in 0..9 {
        if cluster.other_calls.is_empty() {
            let plan = cluster.pass();
            cluster.between(&plan);
        }
    }
    assert!(!cluster.world.pair(0).enabled);
    cluster.found_by_id.insert(key(0));
    for _ in 0..30 {
        let plan = cluster.pass();
        cluster.between(&plan);
        cluster.now += minutes(10);
    }
    assert!(cluster.world.pair(0).enabled);
}

/// R5, R17: a run with more vetoes than it can note ends, and the next one keeps its distance.
#[test]
fn more_vetoes_than_a_run_can_note_end_it() {
    let mut cluster = removing(300, RemovalAction::Remove);
    cluster.spec.approval = Approval::Disconnects;
    cluster.spec.removal.guard.max_count = 10_000;
    cluster.generation += 1;
    cluster.settle();
    (0..249).for_each(|index| cluster.world.remove_person(index));
    cluster.found_by_id.extend((0..250).map(key));
    leaves(&mut cluster, 249);
    cluster.settle_while_waiting();
    decide(&mut cluster, Decision::Approve);
    for _ in 0..20 {
        cluster.wait(1);
        cluster.read();
        cluster.pass();
    }
    assert!(cluster.run_states().contains(&Some(RunState::Failed)), "{:?}", cluster.run_states());
    assert!(cluster.other_calls.len() <= 150, "{} looks", cluster.other_calls.len());
    assert_eq!(cluster.world.pairs.len(), 300);
}
