//! How long to wait before the next look or the next try.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::api::Failure;

/// A user whom the connector accepted may be missing from its listing for so long.
pub(super) const LISTING_LAG: SignedDuration = SignedDuration::from_mins(10);
/// Registration after a push may take so long.
pub(super) const READ_BACK_WINDOW: SignedDuration = SignedDuration::from_mins(15);

/// When to look again at something that has been awaited since `since`: 2 s to 30 s in the first minutes, then 1 to 5 minutes.
pub(super) fn look_again(since: Timestamp, now: Timestamp) -> Timestamp {
    let age = now.duration_since(since).as_secs().max(0);
    let seconds = if age < 600 { (age / 5).clamp(2, 30) } else { (age / 10).clamp(60, 300) };
    add(now, seconds)
}

/// When a failed write is tried again: a minute after the first failure, doubling to an hour.
pub(super) fn retry_after(now: Timestamp, failures: u32) -> Timestamp {
    let doublings = failures.saturating_sub(1).min(6);
    add(now, (60_i64 << doublings).min(3600))
}

/// When somebody whom the connector accepted and never listed is put again, after so many tries.
pub(super) fn put_again(accepted: Timestamp, tries: u32) -> Timestamp {
    retry_after(accepted.saturating_add(LISTING_LAG).unwrap_or(Timestamp::MAX), tries)
}

/// When a batch is sent again after so many in a row were not answered: after half a minute, doubling to an hour.
pub(super) fn refused_until(now: Timestamp, refusals: u32) -> Timestamp {
    let doublings = refusals.saturating_sub(1).min(7);
    add(now, (30_i64 << doublings).min(3600))
}

/// One failure more.
pub(super) fn failed_again(before: Option<&Failure>, now: Timestamp) -> Failure {
    let count = before.map_or(0, |failure| failure.count).saturating_add(1);
    let next = retry_after(now, count);
    Failure { count, next_attempt_time: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(next) }
}

fn add(time: Timestamp, seconds: i64) -> Timestamp {
    time.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}
