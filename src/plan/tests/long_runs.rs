//! Runs of 500: a crash at every write (T1, T5), one and many failures (R17).

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::rc::Rc;

use super::cluster::{Cluster, Witness};
use super::disconnecting::{disconnects, leaves, removing};
use super::world::key;
use crate::api::{Reason, RemovalAction, RunOperation, RunState};
use crate::domain::UserKey;

/// Users of a long run.
const MANY: usize = 500;
/// Users of the play in which every single write is crashed; the time for that grows with their square.
const FEW: usize = 30;

/// Everything that a plan is made from, but for times and for what only says who did it.
fn picture(cluster: &Cluster) -> u64 {
    let mut hash = DefaultHasher::new();
    for (key, known) in &cluster.users {
        let (spec, status) = (&known.spec, &known.status);
        let change = status.last_change.as_ref();
        let before =
            change.and_then(|it| it.before.as_ref()).map(|it| (&it.teams_user_id, &it.phone_number, it.enabled));
        (key.as_str(), &spec.teams_user_id, &spec.leaving, spec.unmatched_since.is_some(), &status.reason)
            .hash(&mut hash);
        (spec.managed as u8, status.state.map(|it| it as u8), status.stage.map(|it| it as u8), before).hash(&mut hash);
        change.map(|it| (it.action as u8, it.run.as_str())).hash(&mut hash);
    }
    for (name, run) in &cluster.runs {
        let outcome = run.status.outcome.map(|it| (it.applied + it.skipped, it.failed, it.remaining));
        (name, run.status.state.map(|it| it as u8), outcome).hash(&mut hash);
    }
    for pair in &cluster.world.pairs {
        (pair.key.as_str(), pair.enabled, pair.licensed, pair.registration as u8).hash(&mut hash);
    }
    cluster.world.voice.iter().for_each(|voice| voice.number.as_ref().map(crate::domain::E164::as_str).hash(&mut hash));
    (cluster.world.changes_since.is_some(), &cluster.adopted.is_some()).hash(&mut hash);
    hash.finish()
}

/// Pairs of the world, and whether they can call.
fn pairs(cluster: &Cluster) -> BTreeMap<UserKey, bool> {
    cluster.world.pairs.iter().map(|pair| (pair.key.clone(), pair.enabled)).collect()
}

/// Whether the connector has, or no longer has, what the call asks for.
fn is_done(pairs: &BTreeMap<UserKey, bool>, op: RunOperation, user: &UserKey) -> bool {
    match (op, pairs.get(user)) {
        (RunOperation::Put, pair) => pair.is_some(),
        (RunOperation::Enable, pair) => pair == Some(&true),
        (RunOperation::Disable, pair) => pair != Some(&true),
        (RunOperation::Delete | RunOperation::Replace, pair) => pair.is_none(),
    }
}

/// The pictures of an undisturbed play, each taken where a process could begin.
fn undisturbed(start: &Cluster) -> (BTreeSet<u64>, Cluster) {
    let mut calm = start.clone();
    let mut seen = BTreeSet::new();
    let mut quiet = 0;
    while quiet < 3 {
        let plan = calm.pass();
        seen.insert(picture(&calm));
        quiet = if plan.is_empty() { quiet + 1 } else { 0 };
        calm.between(&plan);
        seen.insert(picture(&calm));
    }
    (seen, calm)
}

/// The process that follows a crash comes to where the undisturbed one was, and nothing that was done is asked for again.
fn recovers(mut crashed: Cluster, seen: &BTreeSet<u64>) -> Result<(), String> {
    crashed.restart();
    crashed.read();
    for _ in 0..6 {
        let before = pairs(&crashed);
        let plan = crashed.pass();
        if let Some(step) = plan.steps().into_iter().find(|step| is_done(&before, step.op, &step.user)) {
            return Err(format!("{:?} of {} is sent twice", step.op, step.user));
        }
        if seen.contains(&picture(&crashed)) {
            return Ok(());
        }
        crashed.between(&plan);
        if seen.contains(&picture(&crashed)) {
            return Ok(());
        }
    }
    Err(format!("another way:\n{}", crashed.plan()))
}

/// A crash before every n-th write, which is also one after the write before it; how many there were.
fn crashes(start: &Cluster, every: usize) -> usize {
    let (seen, end) = undisturbed(start);
    let (count, tried) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (counted, trials) = (Rc::clone(&count), Rc::clone(&tried));
    let look = move |before: &Cluster| {
        counted.set(counted.get() + 1);
        if counted.get() % every == 0 {
            let crashed = Cluster { witness: None, ..before.clone() };
            recovers(crashed, &seen).unwrap_or_else(|why| panic!("crash before write {}: {why}", counted.get()));
            trials.set(trials.get() + 1);
        }
    };
    let mut play = Cluster { witness: Some(Witness(Rc::new(look))), ..start.clone() };
    play.settle();
    assert_eq!(picture(&play), picture(&end));
    tried.get()
}

/// Every write with few users; with 500 every 97th, or as `CRASH_EVERY` says when the tests are built: 1 takes minutes.
fn matrix(start: fn(usize) -> Cluster) {
    assert!(crashes(&start(FEW), 1) > 5 * FEW);
    let every = option_env!("CRASH_EVERY").map_or(97, |every| every.parse().unwrap());
    assert!(crashes(&start(MANY), every) > 4 * MANY / every);
}

/// One more than so many are connected, and that many may go at once.
fn leavers_to_be(count: usize) -> Cluster {
    let mut cluster = removing(count + 1, RemovalAction::Remove);
    cluster.spec.removal.guard.max_count = 1_000;
    cluster.spec.rollout.batch_size = 500;
    cluster.settle();
    cluster
}

/// So many leave at once, and all may go.
fn leavers(count: usize) -> Cluster {
    let mut cluster = leavers_to_be(count);
    (1..count).for_each(|index| cluster.world.remove_person(index));
    leaves(&mut cluster, 0);
    cluster
}

/// T1, T5: a crash before and after the writes of a Connect of 500: the next process goes on where it was, and sends nothing twice.
#[test]
fn a_crash_in_a_connect_of_500_goes_on_where_it_was() {
    matrix(Cluster::of);
}

/// T1, T5, R13: the same for a Disconnect of 500; nobody is left half removed.
#[test]
fn a_crash_in_a_disconnect_of_500_goes_on_where_it_was() {
    matrix(leavers);
}

/// So many are created again at once, and all may be replaced.
fn recreated(count: usize) -> Cluster {
    let mut cluster = leavers_to_be(count);
    (1..=count).for_each(|index| cluster.world.recreate_person(index, 10_000 + index));
    cluster.read_twice();
    cluster
}

/// T1, T5, R13: the same for 500 replacements; nobody is left half replaced.
#[test]
fn a_crash_in_500_replacements_goes_on_where_it_was() {
    matrix(recreated);
}

/// T1, T5, R13: batch after batch, with a crash in each and every status lost: all are removed, once and in order.
#[test]
fn a_disconnect_in_batches_with_a_crash_in_each_ends_once() {
    let mut cluster = leavers(60);
    cluster.spec.rollout.batch_size = 7;
    cluster.settle_while_crashing(23);
    assert_eq!(cluster.world.pairs.len(), 1);
    let mut calls = cluster.other_calls.clone();
    calls.sort_by(|left, right| left.1.cmp(&right.1));
    assert_eq!(calls.len(), 120);
    assert!(
        calls.chunks(2).all(|of| of[0].0 == RunOperation::Disable && of[1] == (RunOperation::Delete, of[0].1.clone()))
    );
}

/// R17: one who is refused among 500 blocks nobody, nor do six of the first batch; 300 of 500 stop the run, and the rest keep what they have.
#[test]
fn one_of_500_blocks_nobody_and_300_of_500_stop_the_run() {
    for (refused, removed, state) in
        [(1, 499, RunState::PartiallyApplied), (6, 494, RunState::PartiallyApplied), (300, 0, RunState::Failed)]
    {
        let mut cluster = leavers(500);
        cluster.world.refuses = (0..refused).map(|index| (key(index), Reason::Rejected)).collect();
        while disconnects(&cluster).first().is_none_or(|run| run.status.finished_at.is_none()) {
            let plan = cluster.pass();
            cluster.between(&plan);
        }
        assert_eq!((501 - cluster.world.pairs.len(), disconnects(&cluster)[0].status.state), (removed, Some(state)));
    }
}

/// R17: the same for a Connect.
#[test]
fn refused_connects_of_500_stop_only_when_they_are_many() {
    for (refused, state) in [(1, RunState::PartiallyApplied), (300, RunState::Failed)] {
        let mut cluster = Cluster::of(500);
        cluster.world.refuses = (0..refused).map(|index| (key(index), Reason::Rejected)).collect();
        while cluster.runs.values().next().is_none_or(|run| run.status.finished_at.is_none()) {
            let plan = cluster.pass();
            cluster.between(&plan);
        }
        assert_eq!(cluster.run().status.state, Some(state));
        assert_eq!(cluster.world.pairs.len(), if refused == 1 { 499 } else { 0 });
    }
}
