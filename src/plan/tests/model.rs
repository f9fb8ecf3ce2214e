//! A slow, simple model of who may lose service, compared with the planner over random histories (R1, R2, R5, R8, R12, R15, R16).

use std::collections::BTreeMap;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

use super::arbitrary::cases;
use super::cluster::Cluster;
use super::world::{OURS, World, key, teams_id};
use crate::api::{
    AutomaticMatching, Decision, Managed, ManualMatching, MatchingRow, Period, RemovalAction, RunOperation, RunState,
    RunType, TeamsAttribute,
};
use crate::plan::observed::KnownRun;

const PEOPLE: usize = 8;
/// Microsoft users: one for each, and two who are nobody's.
const TARGETS: usize = 10;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Event {
    Leave(usize),
    Return(usize),
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
    lost: Vec<(Timestamp, String)>,
}

impl Model {
    /// What one pass took, checked by each rule on its own.
    fn took(&mut self, cluster: &Cluster, before: &World, run: Option<&str>) -> Result<(), TestCaseError> {
        let enabled = |world: &World, index| world.pairs.iter().any(|pair| pair.key == key(index) && pair.enabled);
        for index in 0..PEOPLE {
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
            self.lost.push((cluster.now, run.to_owned()));
            if !is_approved(cluster, run) {
                let left =
                    before.pairs.iter().filter(|it| it.enabled && it.external_id.as_deref() == Some(OURS)).count();
                prop_assert!(left > 1, "the last one");
            }
        }
        let window = SignedDuration::from_hours(24);
        let counts =
            |(at, run): &&(Timestamp, String)| cluster.now.duration_since(*at) < window && !is_approved(cluster, run);
        let recent = self.lost.iter().filter(counts).count();
        prop_assert!(recent <= 2, "{recent} within the window");
        Ok(())
    }

    fn look(&mut self, cluster: &Cluster, twice: bool) {
        for index in 0..PEOPLE {
            let is_there = cluster.world.people.iter().any(|person| person.key == key(index));
            if is_there && is_called_for(cluster, index) {
                self.gone_since.remove(&index);
            } else if twice {
                self.gone_since.entry(index).or_insert(cluster.now);
            }
        }
    }
}

/// Whether the spec calls for the pair that the user has: its row says so, or is there and does not count, or there is none and
/// the addresses are equal.
fn is_called_for(cluster: &Cluster, index: usize) -> bool {
    let Some(pair) = cluster.world.pairs.iter().find(|pair| pair.key == key(index)) else { return true };
    let rows = &cluster.spec.matching.manual.as_ref().unwrap().entries;
    let Some(row) = rows.iter().find(|row| row.goto == key(index).as_str()) else {
        return cluster.spec.matching.automatic.is_some() && pair.teams_user == teams_id(index);
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
        Event::Leave(index) => cluster.world.remove_person(index),
        Event::Return(index) if cluster.world.people.iter().all(|person| person.key != key(index)) => {
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
        let everybody = cluster.world.clone();
        cluster.spec.removal.action = if action == 0 { RemovalAction::Remove } else { RemovalAction::Disable };
        cluster.spec.removal.grace_period = "1h".parse::<Period>().unwrap();
        cluster.settle();
        let mut model = Model::default();
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
                prop_assert!(counters.users_to_add <= counters.licenses_available);
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
    }
}
