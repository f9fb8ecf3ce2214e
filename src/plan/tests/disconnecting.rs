//! Losing service: grace, order, protection, decisions, coming back (R3, R5 to R8, R10, R12 to R15, R17, R20).

use std::str::FromStr as _;

use super::cluster::{Cluster, is};
use super::world::{key, minutes, number, other_pbx};
use crate::api::conditions::{ACTION_REQUIRED, READY};
use crate::api::{
    Approval, Decision, Managed, Period, Reason, RemovalAction, RunOperation, RunState, RunType, UserState,
};
use crate::plan::observed::KnownRun;
use crate::plan::runs::policy_hash;
use crate::plan::snapshot::{Snapshot, SourceFailure};
use crate::plan::user_plan::RunPlan;

/// So many people connected by a policy that removes who left after an hour, with a guard that lets all but the last go.
pub(super) fn removing(people: usize, action: RemovalAction) -> Cluster {
    let mut cluster = Cluster::connected(people);
    cluster.spec.removal.action = action;
    cluster.spec.removal.grace_period = Period::from_str("1h").unwrap();
    cluster.spec.removal.guard.max_percent = 100;
    cluster
}

/// The person left, two readings agree, and the grace period is over.
pub(super) fn leaves(cluster: &mut Cluster, index: usize) {
    cluster.world.remove_person(index);
    cluster.read_twice();
    cluster.pass();
    cluster.now += minutes(61);
    cluster.read_twice();
}

pub(super) fn disconnects(cluster: &Cluster) -> Vec<&KnownRun> {
    let mut runs: Vec<_> = cluster.runs.values().filter(|run| run.spec.run_type == RunType::Disconnect).collect();
    runs.sort_by_key(|run| run.spec.created_at.0);
    runs
}

fn states(cluster: &Cluster) -> Vec<Option<RunState>> {
    disconnects(cluster).into_iter().map(|run| run.status.state).collect()
}

pub(super) fn decide(cluster: &mut Cluster, decision: Decision) {
    let open = |run: &&mut KnownRun| run.status.state == Some(RunState::AwaitingApproval);
    let run = cluster.runs.values_mut().find(open).unwrap();
    run.spec.decision = Some(decision);
    run.spec.decided_by = Some("maria@contoso.example".to_owned());
}

fn has_pair(cluster: &Cluster, index: usize) -> bool {
    cluster.world.pairs.iter().any(|pair| pair.key == key(index))
}

/// R12, R13, R14: after the grace period, in order, and the old values are kept.
#[test]
fn whoever_left_is_disabled_then_deleted_and_the_old_values_are_kept() {
    let mut cluster = removing(3, RemovalAction::Remove);
    leaves(&mut cluster, 0);
    cluster.settle();
    assert_eq!(cluster.other_calls, [(RunOperation::Disable, key(0)), (RunOperation::Delete, key(0))]);
    assert_eq!((cluster.state(0), cluster.reason(0)), (Some(UserState::Removed), Some(Reason::Removed)));
    assert_eq!(states(&cluster), [Some(RunState::Applied)]);
    let user = cluster.user(0);
    let before = user.status.last_change.as_ref().unwrap().before.as_ref().unwrap();
    assert_eq!((before.phone_number.as_deref(), before.enabled), (Some(number(0).as_str()), Some(true)));
    assert_eq!((user.spec.managed, &user.spec.leaving), (Managed::None, &None));
    assert!(!has_pair(&cluster, 0) && has_pair(&cluster, 1));
    assert_eq!(cluster.condition(READY), is("True", Reason::InSync));
}

/// R12
#[test]
fn nothing_happens_within_the_grace_period_and_never_under_retain() {
    for (action, wait) in [(RemovalAction::Remove, 55), (RemovalAction::Retain, 6_000)] {
        let mut cluster = removing(3, action);
        cluster.world.remove_person(0);
        cluster.read_twice();
        cluster.pass();
        cluster.now += minutes(wait);
        cluster.read_twice();
        cluster.settle();
        assert_eq!((cluster.state(0), cluster.reason(0)), (Some(UserState::Retained), Some(Reason::InGracePeriod)));
        assert!(cluster.other_calls.is_empty() && disconnects(&cluster).is_empty());
    }
}

/// R12: back within the grace keeps service, and a new grace period starts with the next leaving.
#[test]
fn whoever_comes_back_within_the_grace_period_keeps_service() {
    let mut cluster = removing(3, RemovalAction::Remove);
    let world = cluster.world.clone();
    cluster.world.remove_person(0);
    cluster.read_twice();
    cluster.pass();
    cluster.now += minutes(59);
    cluster.world = world;
    cluster.read();
    cluster.settle();
    assert_eq!((cluster.state(0), &cluster.user(0).spec.unmatched_since), (Some(UserState::Connected), &None));
    cluster.world.remove_person(0);
    cluster.now += minutes(2);
    cluster.read_twice();
    cluster.settle();
    assert!(has_pair(&cluster, 0));
}

#[test]
fn disable_forbids_calls_and_keeps_the_license() {
    let mut cluster = removing(3, RemovalAction::Disable);
    leaves(&mut cluster, 0);
    cluster.settle();
    assert_eq!(cluster.other_calls, [(RunOperation::Disable, key(0))]);
    assert_eq!(cluster.state(0), Some(UserState::Disabled));
    assert!(!cluster.world.pair(0).enabled);
    let counters = cluster.status.counters.unwrap();
    assert_eq!((counters.users_to_remove, counters.users_after_sync), (0, 3));
}

/// Half-removed is undone when the user comes back; so is a disabled one.
#[test]
fn whoever_comes_back_after_being_disabled_gets_the_calls_back() {
    let mut cluster = removing(3, RemovalAction::Disable);
    let world = cluster.world.clone();
    leaves(&mut cluster, 0);
    cluster.settle();
    cluster.world.people = world.people;
    cluster.world.lines = world.lines;
    cluster.world.candidates = world.candidates;
    cluster.read_twice();
    cluster.settle();
    assert_eq!(cluster.state(0), Some(UserState::Connected));
    assert_eq!(cluster.user(0).spec.leaving, None);
    assert!(cluster.other_calls.contains(&(RunOperation::Enable, key(0))));
}

/// R10: half a removal whose run and statuses are lost is finished.
#[test]
fn half_a_removal_is_finished_after_every_status_was_lost() {
    let mut cluster = removing(4, RemovalAction::Remove);
    leaves(&mut cluster, 0);
    while !cluster.other_calls.contains(&(RunOperation::Disable, key(0))) {
        let plan = cluster.pass();
        cluster.between(&plan);
    }
    let disconnect = disconnects(&cluster)[0].name.clone();
    cluster.runs.remove(&disconnect);
    cluster.users.values_mut().for_each(|user| user.status = crate::api::TeamsConnectorUserStatus::default());
    cluster.restart();
    cluster.read_twice();
    cluster.settle();
    assert!(!has_pair(&cluster, 0));
}

/// Half a removal is undone when nothing takes the rest any more.
#[test]
fn half_a_removal_is_undone_when_the_policy_retains_again() {
    let mut cluster = removing(4, RemovalAction::Remove);
    leaves(&mut cluster, 0);
    while !cluster.other_calls.contains(&(RunOperation::Disable, key(0))) {
        let plan = cluster.pass();
        cluster.between(&plan);
    }
    cluster.spec.removal.action = RemovalAction::Retain;
    cluster.generation += 1;
    cluster.settle();
    assert!(cluster.world.pair(0).enabled);
    assert_eq!((cluster.state(0), &cluster.user(0).spec.leaving), (Some(UserState::Retained), &None));
}

/// R15
#[test]
fn protected_users_never_lose_service() {
    let mut cluster = removing(4, RemovalAction::Remove);
    let id = super::world::teams_id(1).to_string();
    cluster.spec.protected_users = vec!["P0@contoso.example".to_owned(), id, key(2).to_string()];
    cluster.settle();
    for index in 0..3 {
        leaves(&mut cluster, index);
    }
    cluster.settle();
    assert!(cluster.other_calls.is_empty());
    assert!((0..3).all(|index| cluster.reason(index) == Some(Reason::Protected)));
}

/// R15: a protection is resolved once, and survives a rename; without its entry it ends.
#[test]
fn a_protection_holds_as_long_as_its_entry_stands() {
    let mut cluster = removing(3, RemovalAction::Remove);
    cluster.spec.protected_users = vec!["p0@contoso.example".to_owned()];
    cluster.settle();
    for user in &mut cluster.world.teams {
        user.upn_address = None;
        user.mail_address = None;
    }
    leaves(&mut cluster, 0);
    cluster.settle();
    assert_eq!(cluster.reason(0), Some(Reason::Protected));
    cluster.spec.protected_users.clear();
    cluster.settle();
    assert_eq!(cluster.state(0), Some(UserState::Removed));
}

/// R15: an entry that names nobody may mean anybody.
#[test]
fn a_protection_that_names_nobody_holds_all_removals_and_is_reported() {
    let mut cluster = removing(3, RemovalAction::Remove);
    cluster.spec.protected_users = vec!["nobody@contoso.example".to_owned()];
    leaves(&mut cluster, 0);
    cluster.settle();
    assert!(cluster.other_calls.is_empty());
    assert_eq!(cluster.condition(ACTION_REQUIRED), is("True", Reason::ProtectedUserNotFound));
    assert_eq!((cluster.state(0), cluster.reason(0)), (Some(UserState::Retained), Some(Reason::RemovalHeld)));
    cluster.spec.protected_users.clear();
    cluster.settle();
    assert_eq!(cluster.state(0), Some(UserState::Removed));
}

/// R8: nobody whom this policy neither added nor adopted loses anything.
#[test]
fn a_foreign_user_who_left_is_not_touched() {
    let mut cluster = removing(2, RemovalAction::Remove);
    cluster.world.add_person(2);
    cluster.world.add_pair(2, 2, Some("somebody"), cluster.now);
    cluster.read_twice();
    cluster.settle();
    leaves(&mut cluster, 2);
    cluster.settle();
    assert!(has_pair(&cluster, 2) && cluster.other_calls.is_empty());
}

/// R9: a rename of everybody removes nobody, and a disabled account is not gone.
#[test]
fn renamed_and_disabled_users_keep_service() {
    let mut cluster = removing(4, RemovalAction::Remove);
    for user in &mut cluster.world.teams {
        user.upn_address = Some(format!("x{}@fabrikam.example", user.id).parse().unwrap());
        user.enabled = false;
    }
    cluster.read_twice();
    cluster.settle();
    cluster.now += minutes(6_000);
    cluster.read_twice();
    cluster.settle();
    assert!(cluster.other_calls.is_empty());
}

/// Losing the last line, or moving to another PBX, is leaving; a deleted Microsoft user too.
#[test]
fn losing_the_last_line_the_pbx_or_the_microsoft_user_is_leaving() {
    let mut cluster = removing(6, RemovalAction::Remove);
    cluster.world.lines[0].lines.clear();
    cluster.world.lines[1].lines[0].organization = other_pbx();
    cluster.world.remove_teams_user(2);
    cluster.read_twice();
    cluster.pass();
    cluster.now += minutes(61);
    cluster.read_twice();
    cluster.settle();
    let held: Vec<_> = (0..6).filter(|index| !has_pair(&cluster, *index)).collect();
    assert_eq!(held, [0, 1, 2]);
}

/// R5: what is found by id just before keeps its service.
#[test]
fn a_last_look_by_id_vetoes() {
    let mut cluster = removing(3, RemovalAction::Remove);
    leaves(&mut cluster, 0);
    cluster.found_by_id.insert(key(0));
    for _ in 0..6 {
        let plan = cluster.pass();
        assert!(plan.steps().iter().all(|step| step.look.is_some() && plan.witness.is_some()));
        cluster.between(&plan);
    }
    assert!(cluster.world.pair(0).enabled);
    assert_eq!(states(&cluster), [Some(RunState::Superseded)]);
    assert_eq!(disconnects(&cluster)[0].status.failures[0].reason, "StillPresent");
}

/// One source of a reading.
type Damage = fn(&mut Snapshot);

fn broken() -> SourceFailure {
    SourceFailure { reason: Reason::RateLimited, cause: "busy".to_owned(), retry_at: None }
}

const DAMAGES: [(&str, Damage); 11] = [
    ("people", |it| it.goto_users.failure = Some(broken())),
    ("lines", |it| it.lines.failure = Some(broken())),
    ("extensions", |it| it.extensions.failure = Some(broken())),
    ("numbers", |it| it.numbers.failure = Some(broken())),
    ("Microsoft users", |it| it.teams_users.failure = Some(broken())),
    ("assignments", |it| it.number_assignments.failure = Some(broken())),
    ("voice", |it| it.voice.failure = Some(broken())),
    ("entitlement", |it| it.pbxs.values_mut().for_each(|pbx| pbx.entitlement.failure = Some(broken()))),
    ("candidates", |it| it.pbxs.values_mut().for_each(|pbx| pbx.candidates.failure = Some(broken()))),
    ("pairs", |it| it.pbxs.values_mut().for_each(|pbx| pbx.users.failure = Some(broken()))),
    ("the PBX", |it| it.pbxs.clear()),
];

/// R4: each cause alone, without a decision to wait for and with approval given: no removal, and none is planned.
#[test]
fn from_an_incomplete_reading_nothing_is_taken() {
    for approved in [false, true] {
        let mut ready = removing(4, RemovalAction::Remove);
        ready.spec.approval = if approved { Approval::Disconnects } else { Approval::Automatic };
        ready.settle();
        leaves(&mut ready, 0);
        ready.pass();
        if approved {
            decide(&mut ready, Decision::Approve);
        }
        ready.read();
        for (source, damage) in DAMAGES {
            let mut cluster = ready.clone();
            for _ in 0..4 {
                damage(cluster.snapshot.as_mut().unwrap());
                let plan = cluster.pass();
                assert!(plan.is_empty() && plan.steps().is_empty(), "{source}: {plan}");
                cluster.read();
            }
            assert!(cluster.other_calls.is_empty(), "{source}");
            cluster.settle();
            assert!(!has_pair(&cluster, 0), "{source}: it goes on");
        }
    }
}

/// R3, R6: nothing of a run that waits is carried out; connects go on; the approval covers exactly it.
#[test]
fn a_run_waits_for_its_approval_while_connects_go_on() {
    let mut cluster = removing(3, RemovalAction::Remove);
    cluster.spec.approval = Approval::Disconnects;
    cluster.settle();
    leaves(&mut cluster, 0);
    cluster.world.add_person(7);
    cluster.read_twice();
    cluster.settle_while_waiting();
    assert!(cluster.other_calls.is_empty() && has_pair(&cluster, 7));
    assert_eq!((cluster.state(0), cluster.reason(0)), (Some(UserState::Retained), Some(Reason::ApprovalPending)));
    assert_eq!(cluster.condition(ACTION_REQUIRED), is("True", Reason::AwaitingApproval));
    assert_eq!(cluster.condition(READY).unwrap().0, "True");
    let counters = cluster.status.counters.unwrap();
    assert_eq!((counters.users_to_remove, counters.users_after_sync), (1, 3));
    decide(&mut cluster, Decision::Approve);
    cluster.settle();
    assert!(!has_pair(&cluster, 0));
    let decision = disconnects(&cluster)[0].status.decision.clone().unwrap();
    assert_eq!((decision.value, decision.by.as_deref()), (Decision::Approve, Some("maria@contoso.example")));
}

/// R10: a denial lives in the spec; it is not proposed again until somebody else is in the set.
#[test]
fn what_was_denied_is_not_proposed_again_until_the_set_changes() {
    let mut cluster = removing(4, RemovalAction::Remove);
    cluster.spec.approval = Approval::Disconnects;
    cluster.settle();
    leaves(&mut cluster, 0);
    cluster.pass();
    decide(&mut cluster, Decision::Deny);
    cluster.settle();
    cluster.runs.values_mut().for_each(|run| {
        if run.spec.run_type == RunType::Connect {
            return;
        }
        run.status = crate::api::UserSyncRunStatus::default();
    });
    cluster.restart();
    cluster.read_twice();
    cluster.settle();
    assert_eq!((states(&cluster), cluster.reason(0)), (vec![Some(RunState::Denied)], Some(Reason::Denied)));
    leaves(&mut cluster, 1);
    cluster.pass();
    assert_eq!(states(&cluster), [Some(RunState::Denied), Some(RunState::AwaitingApproval)]);
    assert!(cluster.other_calls.is_empty());
}

/// R6: an approval that could not start within 72 hours, and one whose status was lost, are not carried out.
#[test]
fn an_old_or_revived_approval_ends_superseded() {
    for lost in [false, true] {
        let mut cluster = removing(4, RemovalAction::Remove);
        cluster.spec.approval = Approval::Disconnects;
        cluster.settle();
        leaves(&mut cluster, 0);
        cluster.pass();
        decide(&mut cluster, Decision::Approve);
        if lost {
            let name = disconnects(&cluster)[0].name.clone();
            cluster.runs.get_mut(&name).unwrap().status = crate::api::UserSyncRunStatus::default();
        } else {
            cluster.suspended = true;
            cluster.pass();
            cluster.now += minutes(73 * 60);
            cluster.suspended = false;
        }
        cluster.read_twice();
        let plan = cluster.pass();
        assert!(matches!(plan.disconnect, RunPlan::Close(_)), "{plan}");
        assert_eq!(states(&cluster), [Some(RunState::Superseded)]);
        assert!(cluster.other_calls.is_empty());
    }
}

/// R6: what was edited after its hash was made is not carried out, nor what another spec planned.
#[test]
fn a_forged_or_outdated_run_is_superseded() {
    for forged in [true, false] {
        let mut cluster = removing(4, RemovalAction::Remove);
        cluster.spec.approval = Approval::Disconnects;
        cluster.settle();
        leaves(&mut cluster, 0);
        cluster.pass();
        decide(&mut cluster, Decision::Approve);
        let name = disconnects(&cluster)[0].name.clone();
        if forged {
            cluster.runs.get_mut(&name).unwrap().spec.actions[0].user = key(1).to_string();
        } else {
            cluster.spec.removal.guard.max_count = 49;
            assert_ne!(disconnects(&cluster)[0].spec.policy_hash, policy_hash(&cluster.spec));
        }
        cluster.pass();
        assert_eq!(states(&cluster), [Some(RunState::Superseded)]);
        assert!(cluster.other_calls.is_empty());
    }
}

/// R7: users who came back are skipped; a run of whose set nobody is left is superseded.
#[test]
fn whoever_came_back_is_skipped_by_the_approved_run() {
    let mut cluster = removing(5, RemovalAction::Remove);
    cluster.spec.approval = Approval::Disconnects;
    cluster.settle();
    let world = cluster.world.clone();
    cluster.world.remove_person(0);
    leaves(&mut cluster, 1);
    cluster.pass();
    cluster.world.people.clone_from(&world.people);
    cluster.world.lines.clone_from(&world.lines);
    cluster.world.candidates.clone_from(&world.candidates);
    cluster.world.remove_person(1);
    cluster.read_twice();
    decide(&mut cluster, Decision::Approve);
    cluster.settle();
    assert_eq!(states(&cluster), [Some(RunState::PartiallyApplied)]);
    assert!(has_pair(&cluster, 0) && !has_pair(&cluster, 1));
}

/// Passes and readings with imports, and nobody who starts a push.
fn go_on_without_pushes(cluster: &mut Cluster) {
    for _ in 0..12 {
        cluster.wait(10);
        cluster.read();
        let plan = cluster.pass();
        if plan.needs_import_after.is_some() {
            cluster.world.import(cluster.now);
        }
    }
}

/// R20: a freed number waits for the push that frees it.
#[test]
fn a_freed_number_is_not_given_away_before_the_push() {
    let mut cluster = removing(3, RemovalAction::Remove);
    leaves(&mut cluster, 0);
    cluster.world.add_person(7);
    let freed = cluster.world.extensions.iter().find(|it| it.id == "ext-7").map(|it| it.id.clone());
    cluster.world.numbers.retain(|it| it.number != Some(number(7)));
    cluster.world.numbers[0].extension_id = freed;
    go_on_without_pushes(&mut cluster);
    assert!(!has_pair(&cluster, 0) && !has_pair(&cluster, 7));
    assert_eq!((cluster.state(0), cluster.reason(7)), (Some(UserState::Removing), Some(Reason::NumberInUse)));
    cluster.settle();
    assert_eq!((cluster.state(0), cluster.state(7)), (Some(UserState::Removed), Some(UserState::Connected)));
}

/// R20: nobody gets it though Microsoft no longer shows it with anybody, as long as the change waits for a push.
#[test]
fn a_freed_number_waits_for_its_push_though_nobody_has_it() {
    let mut cluster = removing(3, RemovalAction::Remove);
    leaves(&mut cluster, 0);
    cluster.world.add_person(7);
    cluster.world.numbers.retain(|it| it.number != Some(number(7)));
    cluster.world.numbers[0].extension_id = Some("ext-7".to_owned());
    cluster.world.assignments.retain(|it| it.number != number(0));
    cluster.world.voice[0].number = None;
    go_on_without_pushes(&mut cluster);
    assert!(!has_pair(&cluster, 0) && !cluster.puts.contains(&key(7)), "{:?}", cluster.puts);
    cluster.settle();
    assert_eq!(cluster.state(7), Some(UserState::Connected));
}

/// R8, R10: a mark that is not stored, whatever the connector says, makes no candidate.
#[test]
fn a_mark_that_is_not_stored_makes_no_candidate() {
    let mut cluster = removing(3, RemovalAction::Remove);
    leaves(&mut cluster, 0);
    assert!(matches!(cluster.plan().disconnect, RunPlan::Create(_)));
    cluster.users.get_mut(&key(0)).unwrap().spec.managed = Managed::None;
    assert_eq!(cluster.plan().disconnect, RunPlan::None);
}

/// R10, R13: `leaving` stands in the stored spec before the first call for a user is planned.
#[test]
fn nothing_is_asked_for_before_leaving_is_stored() {
    let mut cluster = removing(5, RemovalAction::Remove);
    (1..4).for_each(|index| cluster.world.remove_person(index));
    leaves(&mut cluster, 0);
    for _ in 0..20 {
        let stored = cluster.users.clone();
        let plan = cluster.pass();
        for step in plan.steps() {
            let run = disconnects(&cluster)[0].name.clone();
            assert_eq!(stored[&step.user].spec.leaving, Some(run), "{plan}");
        }
        cluster.between(&plan);
    }
    assert_eq!(cluster.other_calls.len(), 8);
}

/// R17, and `rollout.batchSize`: a refused user blocks nobody; so many at a time.
#[test]
fn a_batch_at_a_time_and_a_refused_user_blocks_nobody() {
    let mut cluster = removing(9, RemovalAction::Remove);
    cluster.spec.rollout.batch_size = 2;
    cluster.settle();
    for index in 0..5 {
        cluster.world.remove_person(index);
    }
    cluster.world.refuses.insert(key(3), Reason::Rejected);
    leaves(&mut cluster, 5);
    for _ in 0..20 {
        let plan = cluster.pass();
        assert!(plan.steps().len() <= 2, "{plan}");
        cluster.between(&plan);
    }
    assert_eq!(cluster.world.pairs.len(), 4);
    assert!(cluster.world.pair(3).enabled);
    assert_eq!(states(&cluster)[0], Some(RunState::PartiallyApplied));
}

/// R14: the object of a removed user is kept for 30 days; who is called for again is connected again.
#[test]
fn a_removed_user_is_kept_thirty_days_and_may_come_back() {
    let mut cluster = removing(3, RemovalAction::Remove);
    let world = cluster.world.clone();
    leaves(&mut cluster, 0);
    cluster.settle();
    let mut back = cluster.clone();
    back.world.people = world.people;
    back.world.lines = world.lines;
    back.world.candidates = world.candidates;
    back.read_twice();
    back.settle();
    assert_eq!(back.state(0), Some(UserState::Connected));
    cluster.now += minutes(29 * 24 * 60);
    cluster.read_twice();
    assert!(cluster.pass().is_empty());
    cluster.now += minutes(25 * 60);
    cluster.read_twice();
    assert_eq!(cluster.pass().obsolete, [key(0)]);
}

/// `historyLimit`: runs that disconnected are kept at least for the guard's window.
#[test]
fn runs_beyond_the_history_go_and_those_of_the_window_stay() {
    let mut cluster = removing(9, RemovalAction::Remove);
    cluster.spec.history_limit = 1;
    cluster.settle();
    for index in 0..3 {
        leaves(&mut cluster, index);
        cluster.settle();
    }
    assert_eq!(disconnects(&cluster).len(), 3);
    cluster.now += minutes(25 * 60);
    cluster.read();
    cluster.settle();
    assert_eq!(disconnects(&cluster).len(), 1);
}

/// `approval: All`: connects wait too.
#[test]
fn under_all_a_connect_waits_and_a_denied_user_is_not_asked_for_again() {
    let mut cluster = Cluster::of(2);
    cluster.spec.approval = Approval::All;
    cluster.pass();
    cluster.world.import(cluster.now);
    cluster.read();
    cluster.pass();
    assert!(cluster.puts.is_empty());
    assert_eq!(cluster.run().status.state, Some(RunState::AwaitingApproval));
    decide(&mut cluster, Decision::Deny);
    cluster.settle();
    assert_eq!((cluster.run_states(), cluster.reason(0)), (vec![Some(RunState::Denied)], Some(Reason::Denied)));
}

/// T1, R13, R14: a crash at every write of a removal ends as without it, in order, and the old values are kept.
#[test]
fn a_crash_at_any_write_of_a_removal_ends_the_same() {
    let mut start = removing(4, RemovalAction::Remove);
    leaves(&mut start, 0);
    let mut calm = start.clone();
    calm.settle();
    for budget in 0..calm.writes - start.writes {
        let mut crashed = start.clone();
        crashed.budget = Some(budget);
        assert!(crashed.try_settle().is_err());
        crashed.restart();
        crashed.read();
        crashed.settle();
        assert_eq!(crashed.world.pairs, calm.world.pairs, "{budget}");
        assert_eq!(crashed.user(0).spec, calm.user(0).spec, "{budget}");
        assert_eq!(crashed.state(0), Some(UserState::Removed), "{budget}");
        let before = |cluster: &Cluster| cluster.user(0).status.last_change.clone().unwrap().before;
        assert_eq!(before(&crashed), before(&calm), "{budget}");
        assert_eq!(disconnects(&crashed).len(), 1, "{budget}");
    }
}

/// T33, R13, R19: calls that were forbidden without effect and a pair that was deleted without effect: nobody counts as removed,
/// each is sent again after a while and not before, and it is one run that ends it.
#[test]
fn a_removal_without_effect_is_sent_again_after_a_while() {
    let mut cluster = removing(3, RemovalAction::Remove);
    leaves(&mut cluster, 0);
    let before = cluster.world.clone();
    until_called(&mut cluster, RunOperation::Disable, 1);
    cluster.world = before;
    repeats(&mut cluster, RunOperation::Disable);
    let disabled = cluster.world.clone();
    until_called(&mut cluster, RunOperation::Delete, 1);
    cluster.world = disabled;
    repeats(&mut cluster, RunOperation::Delete);
    cluster.settle();
    assert_eq!((cluster.state(0), states(&cluster)), (Some(UserState::Removed), vec![Some(RunState::Applied)]));
    let calls: Vec<_> = cluster.other_calls.iter().map(|(op, _)| *op).collect();
    let [disable, delete] = [RunOperation::Disable, RunOperation::Delete];
    assert_eq!(calls, [disable, disable, delete, delete]);
}

/// The first call had no effect: it is named, and there is a second one after the window.
fn repeats(cluster: &mut Cluster, op: RunOperation) {
    for _ in 0..5 {
        cluster.read();
        cluster.pass();
    }
    assert_eq!((called(cluster, op), cluster.state(0)), (1, Some(UserState::Removing)), "not at once");
    cluster.now += minutes(9);
    until_called(cluster, op, 2);
    assert_eq!((cluster.state(0), cluster.reason(0)), (Some(UserState::Removing), Some(Reason::AcceptedWithoutEffect)));
    cluster.read();
}

fn called(cluster: &Cluster, op: RunOperation) -> usize {
    cluster.other_calls.iter().filter(|(called, _)| *called == op).count()
}

fn until_called(cluster: &mut Cluster, op: RunOperation, times: usize) {
    for _ in 0..40 {
        cluster.pass();
        if called(cluster, op) == times {
            return;
        }
        cluster.read();
    }
    panic!("{op:?} is not sent {times} times");
}

/// R22: a run that is denied while it goes on calls off the rest of the pass; another run that was denied does not.
#[test]
fn a_denial_calls_off_the_plan_that_goes_on_with_the_run() {
    let mut cluster = removing(3, RemovalAction::Remove);
    leaves(&mut cluster, 0);
    cluster.pass();
    let plan = cluster.pass();
    let run = disconnects(&cluster)[0].name.clone();
    let denied = |name: &str| plan.is_denied([(name.to_owned(), Some(Decision::Deny))].into_iter());
    assert!(denied(&run) && !denied("another"));
    assert!(!plan.is_denied([(run, Some(Decision::Approve))].into_iter()));
}

/// R7, R12: a run that began is denied while somebody else is ripe, and a run with both waits for a decision: whoever lost the calls
/// by the denied one gets them back, whatever becomes of the other.
#[test]
fn a_denial_gives_calls_back_though_another_run_waits() {
    let mut cluster = removing(6, RemovalAction::Remove);
    for index in [0, 1] {
        cluster.world.remove_person(index);
        cluster.read_twice();
        cluster.pass();
        cluster.now += minutes(31);
        cluster.read_twice();
    }
    until_called(&mut cluster, RunOperation::Disable, 1);
    cluster.now += minutes(31);
    cluster.read_twice();
    let run = cluster.runs.values_mut().find(|run| run.spec.run_type == RunType::Disconnect).unwrap();
    run.spec.decision = Some(Decision::Deny);
    for _ in 0..80 {
        let plan = cluster.pass();
        cluster.now += minutes(1);
        cluster.between(&plan);
    }
    let enabled = |index| cluster.world.pairs.iter().any(|pair| pair.key == key(index) && pair.enabled);
    assert!(enabled(0), "{}", cluster.plan());
    assert_eq!(
        (called(&cluster, RunOperation::Enable), called(&cluster, RunOperation::Delete)),
        (1, 1),
        "{:?}",
        states(&cluster)
    );
    assert_eq!(
        (cluster.reason(0), has_pair(&cluster, 1)),
        (Some(Reason::Denied), false),
        "who was never denied leaves"
    );
}
