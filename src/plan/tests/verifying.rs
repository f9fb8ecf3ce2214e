//! Read-back before success (R19), and what is said when it does not come.

use super::cluster::{Cluster, is};
use super::world::{key, minutes, number};
use crate::api::conditions::READY;
use crate::api::{Reason, RegistrationState, UserStage, UserState};
use crate::plan::readiness::IN_SYNC;
use crate::plan::snapshot::{Job, JobState};

/// Accepted by the connector, no push yet.
fn accepted() -> Cluster {
    let mut cluster = Cluster::of(1);
    let plan = cluster.pass();
    cluster.between(&plan);
    cluster.pass();
    cluster.read();
    assert_eq!(cluster.world.pairs.len(), 1);
    cluster
}

#[test]
fn nobody_is_connected_before_a_push() {
    let mut cluster = accepted();
    assert!(cluster.pass().is_empty());
    assert_eq!((cluster.state(0), cluster.reason(0)), (Some(UserState::Pending), Some(Reason::AwaitingPush)));
}

macro_rules! read_back {
    ($($fact:ident: $damage:expr => $reason:ident;)*) => {
        $(
            /// R19
            #[test]
            fn $fact() {
                let mut cluster = accepted();
                cluster.world.push(cluster.now);
                let damage: fn(&mut Cluster) = $damage;
                damage(&mut cluster);
                cluster.read();
                assert!(cluster.pass().is_empty());
                cluster.now += minutes(15);
                cluster.read();
                cluster.pass();
                assert_eq!(cluster.user(0).status.state, Some(UserState::Pending));
                assert_eq!(cluster.user(0).status.stage, Some(UserStage::Verify));
                assert_eq!(cluster.reason(0), Some(Reason::$reason));
                cluster.read();
                assert!(cluster.pass().is_empty());
            }
        )*
    };
}

read_back! {
    a_registration_that_does_not_come_is_named_after_the_window: |it| it.world.pair(0).registration = RegistrationState::Pending => RegistrationFailed;
    voice_that_is_not_enabled_is_named_after_the_window: |it| it.world.voice[0].enterprise_voice = false => VoiceNotEnabled;
    another_number_is_named_after_the_window: |it| it.world.voice[0].number = Some(number(333)) => NumberMismatch;
    a_missing_number_is_named_after_the_window: |it| it.world.voice[0].number = None => NumberMismatch;
}

macro_rules! push_failures {
    ($($fact:ident: $code:literal => $reason:ident;)*) => {
        $(
            #[test]
            fn $fact() {
                let mut cluster = accepted();
                cluster.world.push(cluster.now);
                cluster.world.pair(0).registration = RegistrationState::Pending;
                cluster.world.push_failures.insert(key(0), $code.to_owned());
                cluster.read();
                cluster.pass();
                assert_eq!((cluster.state(0), cluster.reason(0)), (Some(UserState::Pending), Some(Reason::$reason)));
            }
        )*
    };
}

push_failures! {
    a_push_that_found_no_phone_system_says_so: "NoPhoneSystem" => NoPhoneSystemLicense;
    a_push_that_found_the_number_in_use_says_so: "NumberInUse" => NumberInUse;
    a_push_that_failed_otherwise_is_a_rejection: "SomethingElse" => Rejected;
}

/// A push that began before the pair did not carry it.
#[test]
fn an_older_push_is_not_waited_for() {
    let mut cluster = accepted();
    let (started_at, finished_at) = (cluster.now - minutes(60), Some(cluster.now));
    cluster.world.pushes = vec![Job { id: "old".to_owned(), state: JobState::Done, started_at, finished_at, users: 0 }];
    cluster.now += minutes(60);
    cluster.read();
    assert!(cluster.pass().is_empty());
    assert_eq!(cluster.reason(0), Some(Reason::AwaitingPush));
}

#[test]
fn a_push_that_failed_as_a_whole_blames_nobody() {
    let mut cluster = accepted();
    let (started_at, finished_at) = (cluster.now, Some(cluster.now));
    cluster.world.pushes =
        vec![Job { id: "bad".to_owned(), state: JobState::Failed, started_at, finished_at, users: 0 }];
    cluster.now += minutes(60);
    cluster.read();
    cluster.pass();
    assert_eq!(cluster.reason(0), Some(Reason::AwaitingPush));
}

/// The connector touches the pair while it pushes; that does not start the wait anew.
#[test]
fn a_pair_that_the_push_itself_touched_was_carried() {
    let mut cluster = accepted();
    cluster.world.push(cluster.now);
    cluster.world.pair(0).registration = RegistrationState::Failed;
    cluster.world.pair(0).updated_at = cluster.now + minutes(1);
    cluster.now += minutes(16);
    cluster.read();
    cluster.pass();
    assert_eq!(cluster.reason(0), Some(Reason::RegistrationFailed));
}

#[test]
fn observed_details_move_only_with_the_standing() {
    let mut cluster = accepted();
    let before = cluster.user(0).status.clone();
    cluster.world.voice[0].enterprise_voice = true;
    cluster.world.voice[0].number = Some(number(0));
    cluster.read();
    assert!(cluster.pass().is_empty());
    assert_eq!(cluster.user(0).status, before);
    cluster.world.push(cluster.now);
    cluster.read();
    cluster.pass();
    let status = &cluster.user(0).status;
    assert_eq!(status.registration, Some(RegistrationState::Registered));
    assert_eq!(status.phone_number.as_ref().unwrap().actual.as_deref(), Some(number(0).as_str()));
    assert_eq!((status.stage, status.enterprise_voice), (Some(UserStage::Done), Some(true)));
}

macro_rules! later {
    ($($fact:ident: $damage:expr => $reason:ident;)*) => {
        $(
            /// A user who was connected stays it, and is not ready.
            #[test]
            fn $fact() {
                let mut cluster = Cluster::connected(1);
                let damage: fn(&mut Cluster) = $damage;
                damage(&mut cluster);
                cluster.read();
                let plan = cluster.pass();
                assert_eq!(cluster.state(0), Some(UserState::Connected));
                assert_eq!(cluster.reason(0), Some(Reason::$reason));
                assert_eq!(cluster.user(0).status.conditions[0].status, "False");
                assert!(plan.steps().is_empty());
                assert_eq!(cluster.condition(crate::plan::readiness::IN_SYNC), is("False", Reason::Drifted));
                assert_eq!(cluster.condition(READY), is("True", Reason::InSync));
            }
        )*
    };
}

later! {
    a_registration_that_expired_is_named: |it| it.world.pair(0).registration = RegistrationState::Expired => RegistrationExpired;
    a_registration_that_failed_later_is_named: |it| it.world.pair(0).registration = RegistrationState::Failed => RegistrationFailed;
    voice_that_was_turned_off_is_named: |it| it.world.voice[0].enterprise_voice = false => VoiceNotEnabled;
    a_number_that_was_taken_is_named: |it| it.world.voice[0].number = None => NumberMismatch;
    an_account_that_was_disabled_is_named: |it| it.world.teams[0].enabled = false => AccountDisabled;
    a_license_that_was_taken_is_named: |it| it.world.teams[0].has_phone_system = false => NoPhoneSystemLicense;
    secure_calling_that_was_turned_on_is_named: |it| it.world.candidates[0].secure_calling = true => SecureCallingEnabled;
    a_number_that_is_no_longer_routed_is_named: |it| it.world.numbers.clear() => NumberMissing;
}

#[test]
fn a_connected_user_who_is_no_candidate_any_more_stays_ready() {
    let mut cluster = Cluster::connected(1);
    cluster.world.candidates.clear();
    cluster.read();
    assert!(cluster.pass().is_empty());
}

#[test]
fn the_last_change_is_found_again_after_a_lost_note() {
    let mut cluster = Cluster::connected(1);
    let change = cluster.user(0).status.last_change.clone().unwrap();
    cluster.users.get_mut(&key(0)).unwrap().status = crate::api::TeamsConnectorUserStatus::default();
    cluster.settle();
    let found = cluster.user(0).status.last_change.clone().unwrap();
    assert_eq!((found.run, found.at), (change.run, change.at));
    assert_eq!(cluster.state(0), Some(UserState::Connected));
}

/// What has happened does not become untrue while it cannot be read.
#[test]
fn an_unreadable_activity_changes_no_standing() {
    let mut cluster = accepted();
    cluster.world.push(cluster.now);
    cluster.world.pair(0).registration = RegistrationState::Failed;
    cluster.now += minutes(16);
    cluster.read();
    cluster.pass();
    assert_eq!(cluster.reason(0), Some(Reason::RegistrationFailed));
    let activity = &mut cluster.snapshot.as_mut().unwrap().activity;
    let (reason, cause) = (Reason::ConnectorUnreachable, "no answer".to_owned());
    activity.failure = Some(crate::plan::snapshot::SourceFailure { reason, cause, retry_at: None });
    assert!(cluster.plan().is_empty());
    cluster.snapshot.as_mut().unwrap().activity.value = None;
    assert!(cluster.plan().is_empty());
}

/// T33, R19: a pair that the connector accepted and has never listed is put again with growing distance, keeps its license, and is
/// no pair that somebody removed.
#[test]
fn a_pair_that_was_accepted_and_never_came_is_put_again() {
    let mut cluster = Cluster::of(2);
    cluster.world.entitlement.licenses_total = 1;
    let mut puts = 0;
    for pause in [1, 2, 4] {
        while cluster.puts.len() == puts {
            let plan = cluster.pass();
            cluster.between(&plan);
        }
        puts = cluster.puts.len();
        // Without effect.
        cluster.world.remove_pair(0);
        cluster.world.changes_since = None;
        cluster.now += minutes(2);
        cluster.read();
        cluster.pass();
        assert_eq!(cluster.condition(IN_SYNC), is("False", Reason::ChangesPending), "after {puts} tries");
        cluster.now += minutes(8);
        cluster.read_twice();
        cluster.pass();
        let shown = (cluster.state(0), cluster.reason(0), cluster.state(1));
        let expected = (Some(UserState::Pending), Some(Reason::AcceptedWithoutEffect), Some(UserState::Waiting));
        assert_eq!(shown, expected, "after {puts} tries");
        assert_eq!(cluster.puts.len(), puts, "not before {pause} min");
        cluster.now += minutes(pause);
        cluster.read_twice();
    }
    cluster.settle();
    assert_eq!((cluster.state(0), cluster.state(1)), (Some(UserState::Connected), Some(UserState::Waiting)));
    assert_eq!(cluster.puts.len(), 4);
}

/// T33: somebody removed the pair after it was listed, and before it was connected: reported, not put again.
#[test]
fn a_pair_that_was_listed_and_vanished_is_no_pair_that_never_came() {
    let mut cluster = accepted();
    cluster.pass();
    cluster.now += minutes(60);
    cluster.world.remove_pair(0);
    cluster.read_twice();
    cluster.settle();
    assert_eq!((cluster.state(0), cluster.reason(0)), (Some(UserState::Blocked), Some(Reason::Disconnected)));
}
