//! The vendor's limit: so many calls a second for each API and client, measured in virtual time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use k8s_openapi::jiff::Timestamp;

/// Counts calls in buckets of one virtual second.
#[derive(Debug)]
pub struct RateLimit {
    per_second: Option<u32>,
    buckets: Mutex<HashMap<(&'static str, String), Bucket>>,
}

#[derive(Debug, Default)]
struct Bucket {
    second: i64,
    calls: u32,
}

impl RateLimit {
    /// A limit; `None`: there is none.
    #[must_use]
    pub fn new(per_second: Option<u32>) -> Self {
        Self { per_second, buckets: Mutex::default() }
    }

    /// Whether one more call of `client` to the API `family` is admitted at `now`.
    pub fn admits(&self, family: &'static str, client: &str, now: Timestamp) -> bool {
        let Some(limit) = self.per_second else { return true };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry((family, client.to_owned())).or_default();
        if bucket.second != now.as_second() {
            *bucket = Bucket { second: now.as_second(), calls: 0 };
        }
        bucket.calls += 1;
        bucket.calls <= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eleventh_call_of_a_second_is_refused_for_that_client_and_api_only() {
        let limit = RateLimit::new(Some(10));
        let now = Timestamp::from_second(1_000).unwrap();
        assert!((0..10).all(|_| limit.admits("users", "a", now)));
        assert!(!limit.admits("users", "a", now));
        assert!(limit.admits("users", "b", now) && limit.admits("admin", "a", now));
        assert!(limit.admits("users", "a", Timestamp::from_second(1_001).unwrap()));
    }
}
