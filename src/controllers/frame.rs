//! What surrounds a pass of either kind: the lane, the deadline, panics, errors and their back-off.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::runtime::controller::Action;

use super::context::STORE_BEHIND;
use super::error::PassError;
use crate::runtime::lanes::Lane;

/// A pass acts at most 60 s; what lasts longer than this hangs.
const DEADLINE: Duration = Duration::from_secs(150);
/// How soon a pass that found no permit comes back.
const NO_PERMIT: SignedDuration = SignedDuration::from_secs(2);

/// Failed passes in a row, by uid. Lost with the process: passes that fail on the API server are cheap to repeat.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures(Arc<Mutex<HashMap<String, u32>>>);

impl Failures {
    fn count(&self, uid: &str) -> u32 {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(uid.to_owned()).or_default();
        *count = count.saturating_add(1);
        *count
    }

    fn clear(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

/// Where a frame gets what it needs of its kind.
pub(super) struct Frame<'a> {
    pub(super) kind: &'static str,
    pub(super) ctx: &'a super::context::Context,
    pub(super) failures: &'a Failures,
    pub(super) lane: Lane,
}

impl Frame<'_> {
    /// Runs the pass, and orders the next one where it did not come to its end. Errors never reach the controller.
    pub(super) async fn run<K: ResourceExt>(
        &self,
        object: &K,
        pass: impl Future<Output = Result<Passed, PassError>>,
        wake_at: impl Fn(Timestamp),
    ) -> Action {
        let uid = object.uid().unwrap_or_default();
        let Some(_permit) = self.ctx.lanes.enter(self.lane) else {
            wake_at(later(self.ctx.clock.now(), NO_PERMIT, &uid));
            return Action::await_change();
        };
        let began = Instant::now();
        let result = contained(pass).await;
        let name = match &result {
            Ok(Passed::Done) => "success",
            Ok(Passed::PutOff) => "put_off",
            Err(error) if error.is_object_gone() => "gone",
            Err(PassError::Panicked) => "panic",
            Err(_) => "error",
        };
        self.ctx.metrics.pass(self.kind, name, began.elapsed());
        match result {
            Err(error) if !error.is_object_gone() => self.failed(object, &uid, &error, wake_at),
            // The store's event wakes the object; this is for the event that never comes, as after a deletion.
            Ok(Passed::PutOff) => return Action::requeue(STORE_BEHIND),
            _ => self.failures.clear(&uid),
        }
        Action::await_change()
    }

    fn failed<K: ResourceExt>(&self, object: &K, uid: &str, error: &PassError, wake_at: impl Fn(Timestamp)) {
        if matches!(error, PassError::Panicked) {
            self.ctx.metrics.panicked(self.kind);
        }
        let cause = error.cause();
        let (kind, namespace, name) = (self.kind, object.namespace(), object.name_any());
        tracing::warn!(kind, namespace, name, %error, cause, "a pass failed and is repeated");
        let seconds = 1_i64 << self.failures.count(uid).min(9);
        wake_at(later(self.ctx.clock.now(), SignedDuration::from_secs(seconds.min(300)), uid));
    }
}

/// How a pass ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// To its end.
    Done,
    /// Not begun: a store does not show yet what an earlier pass wrote.
    PutOff,
}

async fn contained<T>(pass: impl Future<Output = Result<T, PassError>>) -> Result<T, PassError> {
    let guarded = AssertUnwindSafe(tokio::time::timeout(DEADLINE, pass)).catch_unwind();
    match guarded.await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(PassError::Deadline),
        Err(_) => Err(PassError::Panicked),
    }
}

/// `after` from `now`, give or take a tenth, by the uid: many objects do not come back together.
pub(super) fn later(now: Timestamp, after: SignedDuration, uid: &str) -> Timestamp {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((uid, now.as_second()));
    let tenth = after.as_millis() / 10;
    let span = (2 * tenth + 1).max(1).unsigned_abs();
    let shift = i64::try_from(u128::from(hash) % span).unwrap_or(0) - i64::try_from(tenth).unwrap_or(0);
    now.checked_add(after).and_then(|at| at.checked_add(SignedDuration::from_millis(shift))).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rule 6 of performance: ± 10 % on every interval.
    #[test]
    fn jitter_stays_within_a_tenth() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let after = SignedDuration::from_mins(10);
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..200 {
            let at = later(now, after, &format!("uid-{number}"));
            let span = at.duration_since(now);
            assert!(span >= SignedDuration::from_mins(9) && span <= SignedDuration::from_mins(11));
            seen.insert(at);
        }
        assert!(seen.len() > 100, "spread out");
    }

    /// T55: a panic inside a pass is an error like another.
    #[tokio::test]
    async fn a_panic_inside_a_pass_is_contained() {
        let result = contained::<()>(async { panic!("planted") }).await;
        assert!(matches!(result, Err(PassError::Panicked)));
    }
}
