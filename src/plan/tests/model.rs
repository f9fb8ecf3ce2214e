//! A slow, simple model of who may lose service, compared with the planner over random histories (R1, R2, R5, R8, R9, R12, R13, R15,
//! R16).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

use super::arbitrary::cases;
use super::cluster::Cluster;
use super::world::{OURS, World, key, number, pbx, teams_id};
use crate::api::{
    AutomaticMatching, Decision, Managed, ManualMatching, MatchingRow, Period, RemovalAction, RunOperation, RunState,
    RunType, TeamsAttribute, UserStage, UserState,
};
use crate::domain::UserKey;
use crate::plan::observed::KnownRun;
use crate::plan::snapshot::{ConnectorUser, PbxNumber};
use crate::plan::user_plan::{PlannedUser, UserPlan};

const PEOPLE: usize = 8;
/// Microsoft users: one for each, and two who are nobody's.
const TARGETS: usize = 10;
/// So far apart are the keys under which a person is created again and again.
const AGAIN: usize = 100;
/// So often may that be.
const LIVES: usize = 3;

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Leave(usize),
    Return(usize),
    /// The person is created again under another key, or under the first one.
    Recreate(usize, bool),
    Wait(i64),
    Decide(bool),
    LoseStatus,
    Restart,
    Protect(usize),
    /// The user's row names this Microsoft user from now on; `None`: there is no row any more.
    Row(usize, Option<usize>),
    /// Whether equal addresses count.
    Automatic(bool),
    Work,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..PEOPLE).prop_map(Event::Leave),
        2 => (0..PEOPLE).prop_map(Event::Return),
        4 => (0..PEOPLE, proptest::bool::weighted(0.2)).prop_map(|(user, back)| Event::Recreate(user, back)),
        3 => (1_i64..100).prop_map(Event::Wait),
        1 => any::<bool>().prop_map(Event::Decide),
        1 => Just(Event::LoseStatus),
        1 => Just(Event::Restart),
        1 => (0..PEOPLE).prop_map(Event::Protect),
        3 => (0..PEOPLE, proptest::option::weighted(0.7, 0..TARGETS)).prop_map(|(user, row)| Event::Row(user, row)),
        1 => any::<bool>().prop_map(Event::Automatic),
        6 => Just(Event::Work),
    ]
}

/// What the rules remember of the history.
#[derive(Default)]
struct Model {
    /// Since when nobody calls for a user, by the second reading of the two that agreed.
    gone_since: BTreeMap<usize, Timestamp>,
    /// When somebody lost service, and by which run.
    lost: BTreeMap<(String, usize), Timestamp>,
}

impl Model {
    /// What one pass took, checked by each rule on its own.
    fn took(&mut self, cluster: &Cluster, before: &World, run: Option<&str>) -> Result<(), TestCaseError> {
        let enabled = |world: &World, index| world.pairs.iter().any(|pair| pair.key == key(index) && pair.enabled);
        for index in keys() {
            if !enabled(before, index) || enabled(&cluster.world, index) {
                continue;
            }
            let since = self.gone_since.get(&index);
            let grace = SignedDuration::from_hours(1);
            let ripe = since.is_some_and(|since| cluster.now.duration_since(*since) >= grace);
            prop_assert!(ripe || is_replaced(cluster, index, run), "in grace: {index}");
            prop_assert!(!cluster.spec.protected_users.contains(&key(index).to_string()), "protected: {index}");
            let pair = before.pairs.iter().find(|pair| pair.key == key(index)).unwrap();
            prop_assert_eq!(pair.external_id.as_deref(), Some(OURS));
            let run = run.unwrap_or_default();
            self.lost.insert((run.to_owned(), index), cluster.now);
            if !is_approved(cluster, run) {
                let left =
                    before.pairs.iter().filter(|it| it.enabled && it.external_id.as_deref() == Some(OURS)).count();
                prop_assert!(left > 1, "the last one");
            }
        }
        let window = SignedDuration::from_hours(24);
        let recent = self
            .lost
            .iter()
            .filter(|((run, _), at)| cluster.now.duration_since(**at) < window && !is_approved(cluster, run));
        let recent = recent.count();
        prop_assert!(recent <= 2, "{recent} within the window");
        Ok(())
    }

    fn look(&mut self, cluster: &Cluster, twice: bool) {
        for index in keys() {
            let is_there = cluster.world.people.iter().any(|person| person.key == key(index));
            if is_there && is_called_for(cluster, index) {
                self.gone_since.remove(&index);
            } else if twice {
                self.gone_since.entry(index).or_insert(cluster.now);
            }
        }
    }
}

/// Every key that anybody may have.
fn keys() -> impl Iterator<Item = usize> {
    (0..LIVES).flat_map(|life| (0..PEOPLE).map(move |index| index + life * AGAIN))
}

fn is_listed(world: &World, index: usize) -> bool {
    world.people.iter().any(|person| person.key == key(index))
}

/// The keys under which the person is listed now, the newest last.
fn lives(world: &World, index: usize) -> Vec<usize> {
    keys().filter(|it| it % AGAIN == index && is_listed(world, *it)).collect()
}

/// Whether the spec calls for the pair that the user has: its row says so, or is there and does not count, or there is none and
/// the addresses are equal.
fn is_called_for(cluster: &Cluster, index: usize) -> bool {
    let Some(pair) = cluster.world.pairs.iter().find(|pair| pair.key == key(index)) else { return true };
    let rows = &cluster.spec.matching.manual.as_ref().unwrap().entries;
    let Some(row) = rows.iter().find(|row| row.goto == key(index).as_str()) else {
        return cluster.spec.matching.automatic.is_some() && pair.teams_user == teams_id(index % AGAIN);
    };
    let is_valid = rows.iter().filter(|it| it.teams == row.teams).count() == 1;
    !is_valid || row.teams == pair.teams_user.to_string()
}

fn run_open(cluster: &Cluster) -> Option<&KnownRun> {
    let open = |run: &&KnownRun| {
        run.spec.run_type == RunType::Disconnect
            && matches!(run.status.state, None | Some(RunState::Running | RunState::AwaitingApproval))
    };
    cluster.runs.values().filter(open).min_by_key(|run| (run.spec.created_at.0, run.name.clone()))
}

/// Whether the run puts another key in the place of the user, whom GoTo no longer lists: there is no grace period then.
fn is_replaced(cluster: &Cluster, index: usize, run: Option<&str>) -> bool {
    let actions = cluster.runs.get(run.unwrap_or_default()).into_iter().flat_map(|run| &run.spec.actions);
    let mut replaces = actions.filter(|it| it.user == key(index).as_str() && it.op == RunOperation::Replace);
    replaces.next().is_some() && cluster.world.people.iter().all(|person| person.key != key(index))
}

fn is_approved(cluster: &Cluster, run: &str) -> bool {
    cluster.runs.get(run).is_some_and(|run| run.spec.decision == Some(Decision::Approve))
}

fn happens(cluster: &mut Cluster, event: Event, everybody: &World) {
    match event {
        Event::Leave(index) => cluster.world.remove_person(lives(&cluster.world, index).pop().unwrap_or(index)),
        Event::Recreate(index, back) => {
            let newest = lives(&cluster.world, index).pop();
            let new = if back { Some(index) } else { newest.map(|old| old + AGAIN) };
            if let (Some(old), Some(new)) = (newest, new.filter(|new| *new < LIVES * AGAIN))
                && !is_listed(&cluster.world, new)
            {
                cluster.world.recreate_person(old, new);
            }
        }
        Event::Return(index) if !is_listed(&cluster.world, index) => {
            let of = |list: &[crate::plan::snapshot::GotoUser]| list.iter().find(|it| it.key == key(index)).cloned();
            cluster.world.people.extend(of(&everybody.people));
            cluster.world.lines.extend(everybody.lines.iter().find(|it| it.key == key(index)).cloned());
            cluster.world.candidates.extend(everybody.candidates.iter().find(|it| it.key == key(index)).cloned());
        }
        Event::Wait(minutes) => cluster.now += SignedDuration::from_mins(minutes),
        Event::Decide(approve) => {
            let waiting = |run: &&mut KnownRun| run.status.state == Some(RunState::AwaitingApproval);
            if let Some(run) = cluster.runs.values_mut().find(|run| waiting(run)) {
                run.spec.decision = Some(if approve { Decision::Approve } else { Decision::Deny });
            }
        }
        Event::LoseStatus => {
            cluster.users.values_mut().for_each(|user| user.status = crate::api::TeamsConnectorUserStatus::default());
            cluster.runs.values_mut().for_each(|run| run.status = crate::api::UserSyncRunStatus::default());
        }
        Event::Restart => cluster.restart(),
        Event::Protect(index) => {
            let entry = key(index).to_string();
            let present = cluster.users.get(&key(index)).is_some_and(|user| user.spec.managed != Managed::None);
            if present && !cluster.spec.protected_users.contains(&entry) {
                cluster.spec.protected_users.push(entry);
            }
        }
        Event::Row(index, target) => {
            let rows = &mut cluster.spec.matching.manual.as_mut().unwrap().entries;
            rows.retain(|row| row.goto != key(index).as_str());
            let row = |target| MatchingRow { goto: key(index).to_string(), teams: teams_id(target).to_string() };
            rows.extend(target.map(row));
            cluster.generation += 1;
        }
        Event::Automatic(on) => {
            let attribute = TeamsAttribute::UserPrincipalName;
            cluster.spec.matching.automatic = on.then_some(AutomaticMatching { teams_attribute: attribute });
            cluster.generation += 1;
        }
        Event::Return(_) | Event::Work => {}
    }
}

proptest! {
    #![proptest_config(cases(300))]

    /// Whatever happens in whatever order: every rule holds at every call, and the counters add up.
    #[test]
    fn nobody_loses_service_but_by_the_rules(events in vec(event(), 1..40), action in 0..2) {
        let mut cluster = Cluster::connected(PEOPLE);
        for index in PEOPLE..TARGETS {
            cluster.world.add_person(index);
            cluster.world.remove_person(index);
        }
        cluster.spec.matching.manual = Some(ManualMatching::default());
        (0..PEOPLE).for_each(|index| route_a_lower_number(&mut cluster.world, index));
        let everybody = cluster.world.clone();
        cluster.spec.removal.action = if action == 0 { RemovalAction::Remove } else { RemovalAction::Disable };
        cluster.spec.removal.grace_period = "1h".parse::<Period>().unwrap();
        cluster.settle();
        let mut model = Model::default();
        let keeps_numbers = !events.contains(&Event::LoseStatus);
        for event in events {
            happens(&mut cluster, event, &everybody);
            for _ in 0..3 {
                cluster.read();
                model.look(&cluster, cluster.previous.is_some());
                let before = cluster.world.clone();
                let run = run_open(&cluster).map(|run| run.name.clone());
                let plan = cluster.pass();
                let counters = plan.counters.unwrap();
                let current = u32::try_from(before.pairs.iter().filter(|pair| pair.licensed).count()).unwrap();
                prop_assert_eq!(counters.users_after_sync + counters.users_to_remove, current + counters.users_to_add);
                // A replacement adds with the license that it frees, also where no run says so yet or any more.
                let promised = counters.licenses_available + counters.users_to_remove.max(replaced(&plan, &before));
                prop_assert!(counters.users_to_add <= promised, "{counters:?}\n{plan}");
                model.took(&cluster, &before, run.as_deref())?;
                if plan.needs_import_after.is_some() {
                    cluster.world.import(cluster.now);
                }
                if cluster.world.changes_since.is_some() {
                    cluster.world.push(cluster.now);
                }
            }
        }
        cluster.read_twice();
        cluster.settle_while_waiting();
        approve_the_rest(&mut cluster);
        prop_assert_eq!(cluster.plan().to_string(), "");
        nobody_is_half_replaced(&cluster, keeps_numbers)?;
    }
}

/// How many are to be added for whose Microsoft users another key still holds a license.
fn replaced(plan: &UserPlan, world: &World) -> u32 {
    let holds = |user: &PlannedUser, pair: &ConnectorUser| {
        pair.licensed && pair.key != user.key && user.spec.teams_user_id == Some(pair.teams_user.to_string())
    };
    let adds = |user: &&PlannedUser| {
        user.status.state == Some(UserState::Pending) && user.status.stage == Some(UserStage::Apply)
    };
    let users = plan.users.iter().filter(adds).filter(|user| world.pairs.iter().any(|pair| holds(user, pair)));
    u32::try_from(users.count()).unwrap()
}

/// A number that sorts before the one that the person has.
fn route_a_lower_number(world: &mut World, index: usize) {
    let number = Some(format!("+1444{index:07}").parse().unwrap());
    world.numbers.push(PbxNumber { organization: pbx(), number, extension_id: Some(format!("ext-{index}")) });
}

/// Nobody is protected any more, and whatever waits for a decision or for the next try is carried out.
fn approve_the_rest(cluster: &mut Cluster) {
    cluster.spec.protected_users.clear();
    cluster.generation += 1;
    for _ in 0..6 {
        cluster.approve_all();
        cluster.now += SignedDuration::from_hours(25);
        cluster.read_twice();
        cluster.settle_while_waiting();
    }
}

/// Whoever is listed under one key alone and can be connected is, with the number from before unless the pair was removed for good,
/// or the old values were lost with a status in the middle of a replacement.
fn nobody_is_half_replaced(cluster: &Cluster, keeps_numbers: bool) -> Result<(), TestCaseError> {
    let world = &cluster.world;
    let rows = &cluster.spec.matching.manual.as_ref().unwrap().entries;
    let denied = cluster.runs.values().filter(|run| run.spec.decision == Some(Decision::Deny));
    let denied: BTreeSet<&str> = denied.flat_map(|run| run.spec.actions.iter().map(|it| it.user.as_str())).collect();
    for index in (0..PEOPLE).filter(|_| cluster.spec.matching.automatic.is_some()) {
        let mine: Vec<_> = keys().filter(|it| it % AGAIN == index).map(key).collect();
        let is_mine = |text: &str| mine.iter().any(|key| key.as_str() == text);
        let target = teams_id(index).to_string();
        let is_ruled = rows.iter().any(|row| is_mine(&row.goto) || row.teams == target);
        let is_denied = denied.iter().any(|it| is_mine(it));
        let taken = world.pairs.iter().any(|pair| pair.teams_user == teams_id(index) && !mine.contains(&pair.key));
        let lives = lives(world, index);
        let [current] = lives.as_slice() else { continue };
        if is_ruled || is_denied || taken {
            continue;
        }
        let pair = world.pairs.iter().find(|pair| pair.teams_user == teams_id(index));
        let shown = pair.map(|pair| (pair.key.clone(), pair.enabled));
        prop_assert_eq!(shown, Some((key(*current), true)), "person {}", index);
        let is_removed = |call: &(RunOperation, UserKey)| call.0 == RunOperation::Delete && mine.contains(&call.1);
        if keeps_numbers && !cluster.other_calls.iter().any(is_removed) {
            prop_assert_eq!(&pair.unwrap().number, &Some(number(index)), "person {}", index);
        }
    }
    Ok(())
}
