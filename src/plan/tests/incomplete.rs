//! From an incomplete source nothing is concluded (R4).

use super::cluster::{Cluster, is, problem};
use super::world::{minutes, pbx};
use crate::api::conditions::{READY, RECONCILING};
use crate::api::{Reason, UserState};
use crate::plan::observed::{Next, ReadingKind};
use crate::plan::readiness::SOURCES_COMPLETE;
use crate::plan::snapshot::{Snapshot, SourceFailure};

fn failure(reason: Reason) -> SourceFailure {
    SourceFailure { reason, cause: "page 3 is missing".to_owned(), retry_at: None }
}

/// A cluster in which everything is about to change, with one source that fails.
fn broken(damage: impl FnOnce(&mut Snapshot)) -> Cluster {
    let mut cluster = Cluster::connected(2);
    cluster.world.remove_person(0);
    cluster.world.add_person(2);
    cluster.read_twice();
    damage(cluster.snapshot.as_mut().unwrap());
    cluster
}

macro_rules! sources {
    ($($fact:ident: $damage:expr;)*) => {
        $(
            /// R4
            #[test]
            fn $fact() {
                let mut cluster = broken($damage);
                let before = cluster.users.clone();
                let plan = cluster.pass();
                assert!(plan.is_empty(), "{plan}");
                assert_eq!(cluster.users, before);
                assert_eq!(cluster.condition(SOURCES_COMPLETE), is("False", Reason::SourceIncomplete));
                assert_eq!(cluster.condition(READY), is("True", Reason::InSync));
            }
        )*
    };
}

sources! {
    nothing_follows_from_incomplete_goto_users: |it| it.goto_users.failure = Some(failure(Reason::GoToUnreachable));
    nothing_follows_from_incomplete_lines: |it| it.lines.failure = Some(failure(Reason::GoToUnreachable));
    nothing_follows_from_incomplete_extensions: |it| it.extensions.failure = Some(failure(Reason::RateLimited));
    nothing_follows_from_incomplete_numbers: |it| it.numbers.failure = Some(failure(Reason::GoToUnreachable));
    nothing_follows_from_incomplete_microsoft_users: |it| it.teams_users.failure = Some(failure(Reason::MicrosoftUnreachable));
    nothing_follows_from_incomplete_assignments: |it| it.number_assignments.failure = Some(failure(Reason::MicrosoftUnreachable));
    nothing_follows_from_incomplete_voice: |it| it.voice.failure = Some(failure(Reason::RateLimited));
    nothing_follows_from_an_incomplete_entitlement: |it| it.pbxs.get_mut(&pbx()).unwrap().entitlement.failure = Some(failure(Reason::ConnectorUnreachable));
    nothing_follows_from_incomplete_candidates: |it| it.pbxs.get_mut(&pbx()).unwrap().candidates.failure = Some(failure(Reason::ConnectorUnreachable));
    nothing_follows_from_incomplete_connector_users: |it| it.pbxs.get_mut(&pbx()).unwrap().users.failure = Some(failure(Reason::ConnectorUnreachable));
    nothing_follows_when_the_pbx_was_not_read: |it| it.pbxs.clear();
    nothing_follows_when_lines_do_not_name_a_user: |it| {
        let mut lines = it.lines.known().unwrap().clone();
        lines.pop();
        it.lines.value = Some(std::sync::Arc::new(lines));
    };
}

/// R4: an unreadable source is never an empty one, in the reading before either.
#[test]
fn an_incomplete_earlier_reading_agrees_with_nobody() {
    let mut cluster = Cluster::connected(1);
    cluster.world.remove_person(0);
    cluster.read_twice();
    cluster.previous.as_mut().unwrap().lines.failure = Some(failure(Reason::GoToUnreachable));
    assert!(cluster.pass().is_empty());
}

/// A partial reading keeps the number of the round: it does not agree with itself.
#[test]
fn two_looks_at_one_round_do_not_agree() {
    let mut cluster = Cluster::connected(1);
    cluster.world.remove_person(0);
    cluster.read();
    cluster.previous.clone_from(&cluster.snapshot);
    assert!(cluster.pass().is_empty());
    assert_eq!(cluster.state(0), Some(UserState::Connected));
}

#[test]
fn the_cause_is_named_and_no_person_is() {
    let mut cluster = broken(|it| it.lines.failure = Some(failure(Reason::GoToUnreachable)));
    cluster.pass();
    let condition = crate::api::conditions::find(&cluster.status.conditions, SOURCES_COMPLETE).unwrap();
    assert!(condition.message.contains("lines: page 3 is missing"), "{}", condition.message);
}

#[test]
fn ready_follows_when_the_newest_complete_reading_is_older_than_three_intervals() {
    let mut cluster = broken(|it| it.voice.failure = Some(failure(Reason::MicrosoftUnreachable)));
    cluster.now += minutes(29);
    cluster.pass();
    assert_eq!(cluster.condition(READY), is("True", Reason::InSync));
    cluster.now += minutes(2);
    cluster.pass();
    assert_eq!(cluster.condition(READY), is("False", Reason::MicrosoftUnreachable));
    assert_eq!(cluster.condition(RECONCILING), is("True", Reason::MicrosoftUnreachable));
    cluster.read();
    cluster.settle();
    assert_eq!(cluster.condition(READY), is("True", Reason::InSync));
}

/// The time survives a restart in the middle of an outage.
#[test]
fn ready_follows_an_outage_that_outlives_the_process() {
    let mut cluster = broken(|it| it.voice.failure = Some(failure(Reason::MicrosoftUnreachable)));
    cluster.pass();
    cluster.restart();
    let voice = &mut cluster.snapshot.as_mut().unwrap().voice;
    (voice.value, voice.read_at, voice.failure) = (None, None, Some(failure(Reason::MicrosoftUnreachable)));
    cluster.now += minutes(29);
    cluster.pass();
    assert_eq!(cluster.condition(READY), is("True", Reason::InSync));
    cluster.now += minutes(2);
    cluster.pass();
    assert_eq!(cluster.condition(READY), is("False", Reason::MicrosoftUnreachable));
}

#[test]
fn a_restart_before_the_first_reading_changes_nothing() {
    let mut cluster = Cluster::connected(2);
    let before = cluster.status.clone();
    cluster.snapshot = None;
    cluster.previous = None;
    assert!(cluster.pass().is_empty());
    assert_eq!(cluster.status, before);
}

#[test]
fn before_the_first_reading_a_new_policy_is_on_its_way() {
    let mut cluster = Cluster::new(super::world::World::of(1));
    assert!(cluster.pass().is_empty());
    assert_eq!(cluster.condition(READY), is("Unknown", Reason::Progressing));
    assert_eq!(cluster.condition(RECONCILING), is("True", Reason::Progressing));
}

#[test]
fn a_vendor_that_named_a_time_is_asked_again_then() {
    let mut cluster = broken(|_| {});
    let retry_at = cluster.now + minutes(4);
    let throttled = SourceFailure { retry_at: Some(retry_at), ..failure(Reason::RateLimited) };
    cluster.snapshot.as_mut().unwrap().voice.failure = Some(throttled);
    assert_eq!(cluster.plan().next, Next::At(retry_at, ReadingKind::Full));
}

/// What an earlier problem said does not outlive it.
#[test]
fn a_problem_that_is_solved_is_not_shown_while_a_source_is_incomplete() {
    let mut cluster = broken(|it| it.voice.failure = Some(failure(Reason::MicrosoftUnreachable)));
    cluster.reference = Some(problem(Reason::ConflictingPolicy));
    cluster.pass();
    cluster.reference = None;
    cluster.pass();
    assert_eq!(cluster.condition(READY), is("Unknown", Reason::Progressing));
    assert_eq!(cluster.condition(crate::api::conditions::STALLED), None);
}

/// kstatus: what held for another spec says nothing of this one, however long a source cannot be read.
#[test]
fn an_edit_during_an_outage_is_not_ready() {
    let mut cluster = Cluster::connected(2);
    cluster.pass();
    let failed = cluster.snapshot.as_ref().unwrap().teams_users.failed(failure(Reason::MicrosoftUnreachable));
    cluster.snapshot.as_mut().unwrap().teams_users = failed;
    cluster.pass();
    assert_eq!(cluster.condition(READY), is("True", Reason::InSync));
    cluster.generation += 1;
    cluster.pass();
    assert_eq!(cluster.condition(READY), is("Unknown", Reason::Progressing));
    assert_eq!(cluster.condition(RECONCILING), is("True", Reason::Progressing));
    cluster.pass();
    assert_eq!(cluster.condition(READY), is("Unknown", Reason::Progressing), "still not planned");
}
