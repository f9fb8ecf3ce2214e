//! The conditions of the policy, as kstatus reads them.

use super::cluster::{Cluster, is, problem};
use super::world::{World, key};
use crate::api::conditions::{ACTION_REQUIRED, READY, RECONCILING, STALLED, SUSPENDED};
use crate::api::{Actor, Reason, RegistrationState, UserState};
use crate::plan::readiness::{IN_SYNC, REFERENCES_RESOLVED, SOURCES_COMPLETE};
use crate::plan::run_status::{Ending, Tally};
use crate::plan::snapshot::PushAuthorizationState;

/// Everybody's pair is accepted and waits for the push.
fn before_push(mut cluster: Cluster) -> Cluster {
    for _ in 0..3 {
        let plan = cluster.pass();
        cluster.wait(1);
        if plan.needs_import_after.is_some() {
            cluster.world.import(cluster.now);
        }
        cluster.read();
    }
    cluster.pass();
    cluster
}

#[test]
fn a_policy_at_rest_is_ready_and_in_sync() {
    let cluster = Cluster::connected(2);
    let kinds: Vec<_> = cluster.status.conditions.iter().map(|it| (it.type_.as_str(), it.status.as_str())).collect();
    assert_eq!(kinds, [(REFERENCES_RESOLVED, "True"), (SOURCES_COMPLETE, "True"), (IN_SYNC, "True"), (READY, "True")]);
}

#[test]
fn blocked_and_waiting_users_do_not_unready_a_policy() {
    let mut world = World::of(3);
    world.entitlement.licenses_total = 1;
    world.teams[2].enabled = false;
    let mut cluster = Cluster::new(world);
    cluster.read();
    cluster.settle();
    assert_eq!(cluster.condition(READY), is("True", Reason::InSync));
}

#[test]
fn the_first_changes_keep_a_policy_unready() {
    let mut cluster = Cluster::of(1);
    cluster.pass();
    assert_eq!(cluster.condition(READY), is("False", Reason::ChangesPending));
    assert_eq!(cluster.condition(IN_SYNC), is("False", Reason::ChangesPending));
    let cluster = before_push(cluster);
    assert_eq!(cluster.condition(READY), is("False", Reason::AwaitingPush));
    assert_eq!(cluster.condition(RECONCILING), is("True", Reason::AwaitingPush));
}

/// One newcomer does not unready ten thousand while only a push is waited for.
#[test]
fn a_policy_that_was_ready_stays_it_while_a_push_is_waited_for() {
    let mut cluster = Cluster::connected(2);
    cluster.world.add_person(2);
    cluster.read();
    cluster.pass();
    assert_eq!(cluster.condition(READY), is("False", Reason::ChangesPending));
    let mut cluster = Cluster::connected(2);
    cluster.world.add_pair(0, 0, None, cluster.now);
    cluster.world.remove_pair(0);
    cluster.world.add_pair(0, 0, Some(super::world::OURS), cluster.now);
    cluster.users.get_mut(&key(0)).unwrap().status.state = Some(UserState::Pending);
    cluster.read();
    cluster.pass();
    assert_eq!(cluster.condition(READY), is("True", Reason::AwaitingPush));
    assert_eq!(cluster.condition(RECONCILING), is("True", Reason::AwaitingPush));
}

/// The demo ends with everybody connected when `kubectl wait --for=condition=Ready` says so: people register one by one.
#[test]
fn a_first_run_is_ready_when_all_its_users_are_connected() {
    let mut cluster = before_push(Cluster::of(2));
    cluster.world.push(cluster.now);
    cluster.world.pair(1).registration = RegistrationState::Pending;
    cluster.read();
    cluster.pass();
    assert_eq!((cluster.state(0), cluster.state(1)), (Some(UserState::Connected), Some(UserState::Pending)));
    assert_eq!(cluster.condition(READY), is("False", Reason::AwaitingPush));
    cluster.read();
    cluster.pass();
    assert_eq!(cluster.condition(READY), is("False", Reason::AwaitingPush), "nor does it become ready by waiting");
    cluster.world.pair(1).registration = RegistrationState::Registered;
    cluster.read();
    cluster.pass();
    assert_eq!(cluster.condition(READY), is("True", Reason::InSync));
}

/// The newcomer's changes unready it; once they are sent, those who were connected before make it ready again.
#[test]
fn a_newcomer_who_waits_for_the_push_does_not_unready_those_before() {
    let mut cluster = Cluster::connected(2);
    cluster.wait(60);
    cluster.world.add_person(2);
    cluster.read();
    let cluster = before_push(cluster);
    assert_eq!(cluster.state(2), Some(UserState::Pending));
    assert_eq!(cluster.condition(READY), is("True", Reason::AwaitingPush));
}

#[test]
fn a_closed_gate_shows_what_the_account_waits_for() {
    let mut cluster = Cluster::of(1);
    cluster.gate = Some(problem(Reason::AwaitingConsent));
    cluster.pass();
    assert_eq!(cluster.condition(READY), is("False", Reason::AccountNotReady));
    assert_eq!(cluster.condition(RECONCILING), is("True", Reason::AccountNotReady));
    assert_eq!(cluster.condition(ACTION_REQUIRED), is("True", Reason::AwaitingConsent));
    assert_eq!(cluster.status.pending_actions[0].actor, Actor::GlobalAdministrator);
}

#[test]
fn a_closed_gate_does_not_unready_a_policy_without_changes() {
    let mut cluster = Cluster::connected(1);
    cluster.gate = Some(problem(Reason::ServiceDisabled));
    assert!(cluster.pass().is_empty());
    assert_eq!(cluster.condition(READY), is("True", Reason::InSync));
}

#[test]
fn the_sign_in_for_the_push_is_a_pending_action() {
    let mut cluster = Cluster::of(1);
    cluster.world.sign_in = PushAuthorizationState::Pending;
    cluster.read();
    let mut cluster = before_push(cluster);
    assert_eq!(cluster.condition(ACTION_REQUIRED), is("True", Reason::AwaitingPushSignIn));
    let since = cluster.status.pending_actions[0].since.clone();
    cluster.read();
    let before = cluster.status.clone();
    cluster.pass();
    assert_eq!(cluster.status, before);
    assert_eq!(cluster.status.pending_actions[0].since, since);
    cluster.world.sign_in = PushAuthorizationState::Granted;
    cluster.read();
    cluster.pass();
    assert_eq!(cluster.condition(ACTION_REQUIRED), None);
}

#[test]
fn suspend_keeps_ready_and_drops_the_rest() {
    let mut cluster = Cluster::connected(1);
    cluster.world.add_person(1);
    cluster.read();
    cluster.suspended = true;
    cluster.pass();
    assert_eq!(cluster.condition(READY), is("True", Reason::InSync));
    assert_eq!(cluster.condition(SUSPENDED), is("True", Reason::Suspended));
    assert_eq!((cluster.condition(RECONCILING), cluster.condition(STALLED)), (None, None));
}

macro_rules! references {
    ($($fact:ident: $reason:ident => $shown:ident, $ready:literal;)*) => {
        $(
            #[test]
            fn $fact() {
                let mut cluster = Cluster::connected(1);
                cluster.world.remove_person(0);
                cluster.read_twice();
                cluster.reference = Some(problem(Reason::$reason));
                assert!(cluster.pass().is_empty());
                assert_eq!(cluster.condition(REFERENCES_RESOLVED), is("False", Reason::$reason));
                assert_eq!(cluster.condition($shown), is("True", Reason::$reason));
                assert_eq!(cluster.condition(READY).unwrap().0, $ready);
                assert!(cluster.plan().check().is_empty());
            }
        )*
    };
}

references! {
    a_missing_account_is_waited_for: AccountNotFound => ACTION_REQUIRED, "False";
    a_conflicting_policy_is_stalled_and_plans_nothing: ConflictingPolicy => STALLED, "False";
    a_missing_pbx_is_stalled: PbxNotFound => STALLED, "False";
    a_missing_secret_needs_a_human: SecretNotFound => RECONCILING, "False";
    an_unreachable_vendor_leaves_ready_as_it_was: GoToUnreachable => RECONCILING, "True";
    an_account_that_is_not_ready_is_waited_for: AccountNotReady => RECONCILING, "False";
}

/// A user who is refused for good does not make the policy flap.
#[test]
fn a_repeated_refusal_does_not_unready_a_policy() {
    let mut cluster = Cluster::connected(2);
    cluster.world.add_person(2);
    cluster.world.refuses.insert(key(2), Reason::Rejected);
    cluster.read();
    for _ in 0..3 {
        let plan = cluster.pass();
        cluster.between(&plan);
    }
    cluster.world.push(cluster.now);
    cluster.read();
    cluster.pass();
    assert_eq!((cluster.condition(READY), cluster.condition(RECONCILING)), (is("True", Reason::InSync), None));
    cluster.wait(61);
    cluster.read();
    cluster.pass();
    assert_eq!(cluster.runs.len(), 3);
    assert_eq!(cluster.condition(READY), is("True", Reason::ChangesPending));
    assert_eq!(cluster.condition(RECONCILING), is("True", Reason::ChangesPending));
}

/// Too many failures: tried again with growing distance, Ready as it was.
#[test]
fn a_run_that_was_stopped_leaves_ready_as_it_was() {
    let mut cluster = Cluster::of(10);
    cluster.world.refuses = (0..10).map(|index| (key(index), Reason::Rejected)).collect();
    let plan = cluster.pass();
    cluster.between(&plan);
    cluster.pass();
    cluster.read();
    cluster.pass();
    assert_eq!(cluster.condition(READY), is("False", Reason::FailureLimitReached));
    assert_eq!(cluster.condition(RECONCILING), is("True", Reason::FailureLimitReached));
}

#[test]
fn a_tally_ends_a_run_as_its_parts_say() {
    let tally = |applied, skipped, failed, remaining| Tally { applied, skipped, failed, remaining, begun: 0 };
    for (tally, ending) in [
        (tally(3, 0, 0, 0), Some(Ending::Applied)),
        (tally(3, 1, 0, 0), Some(Ending::PartiallyApplied)),
        (tally(3, 0, 1, 0), Some(Ending::PartiallyApplied)),
        (tally(0, 2, 0, 0), Some(Ending::Superseded)),
        (tally(0, 0, 2, 0), Some(Ending::Failed)),
        (tally(3, 0, 2, 4), None),
        (tally(2, 0, 3, 4), Some(Ending::FailureLimit)),
        (tally(1, 0, 3, 4), None),
        (tally(0, 0, 0, 1), None),
    ] {
        assert_eq!(tally.ending(40), ending, "{tally}");
    }
}

/// A source that cannot be read does not take back what a human was asked for.
#[test]
fn a_pending_sign_in_stays_while_the_account_cannot_be_read() {
    let mut cluster = Cluster::of(1);
    cluster.world.sign_in = PushAuthorizationState::Pending;
    cluster.read();
    let mut cluster = before_push(cluster);
    let before = cluster.status.clone();
    let snapshot = cluster.snapshot.as_mut().unwrap();
    snapshot.activity = crate::plan::snapshot::Source::default();
    snapshot.push_authorization = crate::plan::snapshot::Source::default();
    cluster.pass();
    assert_eq!(cluster.status, before);
}
