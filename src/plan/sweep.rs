//! Runs and user objects whose policy is gone: which of them may go, and when. They are records, not people: nobody loses service.
//!
//! A policy that is deleted takes its objects along. What is left over was made by hand, restored without its policy, or outlived a
//! policy whose finalizer somebody removed.

use std::collections::HashMap;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// So long an object must have been without its policy: a restore, or a policy that is deleted and applied again, must not lose
/// pins and decisions. All of it is over within a day, one restart included.
const OWNERLESS: SignedDuration = SignedDuration::from_hours(11);

/// Objects without a policy, by uid, and since when they are known. Lost with the process: then it takes longer.
#[derive(Clone, Debug, Default)]
pub struct Ownerless(HashMap<String, Timestamp>);

impl Ownerless {
    /// Takes note of what is without a policy now, forgets all others, and tells which have been so for long enough.
    pub fn due(&mut self, found: impl IntoIterator<Item = String>, now: Timestamp) -> Vec<String> {
        let since = |uid: String| {
            let at = self.0.get(&uid).copied().unwrap_or(now);
            (uid, at)
        };
        self.0 = found.into_iter().map(since).collect();
        let due = self.0.iter().filter(|(_, at)| ripe(**at) <= now);
        let mut due: Vec<_> = due.map(|(uid, _)| uid.clone()).collect();
        due.sort_unstable();
        due
    }

    /// When the next ones will have been without a policy for long enough.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        self.0.values().map(|at| ripe(*at)).filter(|at| *at > now).min()
    }
}

fn ripe(since: Timestamp) -> Timestamp {
    since.saturating_add(OWNERLESS).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + hours * 3600).unwrap()
    }

    fn uids(uids: &[&str]) -> Vec<String> {
        uids.iter().map(|uid| (*uid).to_owned()).collect()
    }

    /// T9: everything without a policy goes within a day, but not before it has been so for a while.
    #[test]
    fn what_is_without_a_policy_for_long_enough_is_due() {
        let mut ownerless = Ownerless::default();
        assert_eq!(ownerless.due(uids(&["a"]), at(0)), uids(&[]));
        assert_eq!(ownerless.due(uids(&["a", "b"]), at(5)), uids(&[]));
        assert_eq!(ownerless.next(at(5)), Some(at(11)));
        assert_eq!(ownerless.due(uids(&["a", "b"]), at(11)), uids(&["a"]));
        assert_eq!(ownerless.next(at(11)), Some(at(16)), "what could not be removed is no reason to look at once");
        assert_eq!(ownerless.due(uids(&["a", "b"]), at(16)), uids(&["a", "b"]));
        assert_eq!(ownerless.next(at(16)), None);
    }

    /// A policy that comes back takes its objects back, and the time begins anew when it goes again.
    #[test]
    fn a_policy_that_comes_back_begins_the_time_anew() {
        let mut ownerless = Ownerless::default();
        ownerless.due(uids(&["a"]), at(0));
        assert_eq!(ownerless.due(uids(&[]), at(10)), uids(&[]));
        assert_eq!(ownerless.due(uids(&["a"]), at(12)), uids(&[]));
        assert_eq!(ownerless.due(uids(&["a"]), at(22)), uids(&[]));
        assert_eq!(ownerless.due(uids(&["a"]), at(23)), uids(&["a"]));
    }
}
