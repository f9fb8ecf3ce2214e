//! Conditions: small constructors, and the merge that keeps transition times.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use super::Reason;

/// Summary: always present.
pub const READY: &str = "Ready";
/// A pass is not at its end; present only while true.
pub const RECONCILING: &str = "Reconciling";
/// Repeating cannot help; present only while true.
pub const STALLED: &str = "Stalled";
/// A human must act; present only while true.
pub const ACTION_REQUIRED: &str = "ActionRequired";
/// `suspend` or `paused`; present only while true.
pub const SUSPENDED: &str = "Suspended";

/// A message longer than this is cut.
const MESSAGE_LIMIT: usize = 1024;

/// A condition before it has a transition time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Type of the condition.
    pub kind: &'static str,
    /// `Some(true)` True, `Some(false)` False, `None` Unknown.
    pub status: Option<bool>,
    /// Reason.
    pub reason: Reason,
    /// Message; never a time that moves from pass to pass.
    pub message: String,
}

impl Draft {
    /// True, for `reason`.
    #[must_use]
    pub fn yes(kind: &'static str, reason: Reason) -> Self {
        Self { kind, status: Some(true), reason, message: reason.message() }
    }

    /// False, for `reason`.
    #[must_use]
    pub fn no(kind: &'static str, reason: Reason) -> Self {
        Self { kind, status: Some(false), reason, message: reason.message() }
    }

    /// Not known, for `reason`.
    #[must_use]
    pub fn unknown(kind: &'static str, reason: Reason) -> Self {
        Self { kind, status: None, reason, message: reason.message() }
    }

    /// The same with another message.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }
}

/// The conditions of a status: those of `drafts` and no others, with the transition time of `previous` where the status is the same.
#[must_use]
pub fn merge(previous: &[Condition], drafts: Vec<Draft>, generation: i64, now: Timestamp) -> Vec<Condition> {
    drafts.into_iter().map(|draft| finish(previous, draft, generation, now)).collect()
}

fn finish(previous: &[Condition], draft: Draft, generation: i64, now: Timestamp) -> Condition {
    let status = match draft.status {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    let last_transition_time = find(previous, draft.kind)
        .filter(|old| old.status == status)
        .map_or(Time(now), |old| old.last_transition_time.clone());
    Condition {
        type_: draft.kind.to_owned(),
        status: status.to_owned(),
        reason: draft.reason.as_str().to_owned(),
        message: cut(draft.message),
        observed_generation: Some(generation),
        last_transition_time,
    }
}

fn cut(mut message: String) -> String {
    if message.len() > MESSAGE_LIMIT {
        let end = (0..=MESSAGE_LIMIT - 3).rev().find(|index| message.is_char_boundary(*index)).unwrap_or(0);
        message.truncate(end);
        message.push_str("...");
    }
    message
}

/// The condition of this type.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// Whether the condition of this type is True.
#[must_use]
pub fn is_true(conditions: &[Condition], kind: &str) -> bool {
    find(conditions, kind).is_some_and(|condition| condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// The transition time moves with the status only, not with reason or message.
    #[test]
    fn a_transition_time_is_kept_while_the_status_is_the_same() {
        let first = merge(&[], vec![Draft::no(READY, Reason::Progressing)], 1, at(10));
        let second = merge(&first, vec![Draft::no(READY, Reason::NotEntitled)], 2, at(20));
        assert_eq!(second[0].last_transition_time, Time(at(10)));
        assert_eq!(second[0].observed_generation, Some(2));
        let third = merge(&second, vec![Draft::yes(READY, Reason::Succeeded)], 2, at(30));
        assert_eq!(third[0].last_transition_time, Time(at(30)));
    }

    #[test]
    fn a_condition_without_draft_goes() {
        let first = merge(&[], vec![Draft::yes(STALLED, Reason::InvalidSpec)], 1, at(10));
        assert!(merge(&first, vec![], 1, at(20)).is_empty());
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let long = "ä".repeat(2000);
        let made = merge(&[], vec![Draft::yes(READY, Reason::Succeeded).with_message(long)], 1, at(1));
        assert!(made[0].message.len() <= MESSAGE_LIMIT && made[0].message.ends_with("..."));
    }
}
