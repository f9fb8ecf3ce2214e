//! What a pass wrote and the stores have not shown yet. A pass that would look at a stale store is put off until they have,
//! so that nothing is written twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::ResourceExt;

/// A write that is not shown after so long was overtaken by a deletion or lost with the watch: it is no longer waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Writes by policy uid; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Expectations(Arc<Mutex<HashMap<String, Pending>>>);

#[derive(Debug)]
struct Pending {
    since: Instant,
    /// Kind and name, with the resource version that was answered.
    versions: HashMap<(&'static str, String), u64>,
}

impl Expectations {
    /// Remembers what the API server answered to a write.
    pub fn wrote<K: ResourceExt>(&self, policy: &str, kind: &'static str, object: &K) {
        let Some(version) = version(object) else { return };
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = pending
            .entry(policy.to_owned())
            .or_insert_with(|| Pending { since: Instant::now(), versions: HashMap::new() });
        entry.since = Instant::now();
        entry.versions.insert((kind, object.name_any()), version);
    }

    /// Whether the store shows every write of this kind; `stored` gives the version that the store holds under a name.
    pub fn seen(&self, policy: &str, kind: &'static str, stored: impl Fn(&str) -> Option<u64>) -> bool {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = pending.get_mut(policy) else { return true };
        if entry.since.elapsed() > PATIENCE {
            pending.remove(policy);
            return true;
        }
        entry.versions.retain(|(of, name), version| *of != kind || stored(name).is_none_or(|held| held < *version));
        let seen = entry.versions.keys().all(|(of, _)| *of != kind);
        if entry.versions.is_empty() {
            pending.remove(policy);
        }
        seen
    }
}

/// The resource version as a number: the API server's are, and grow.
pub(super) fn version<K: ResourceExt>(object: &K) -> Option<u64> {
    object.resource_version()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    fn object(name: &str, version: &str) -> ConfigMap {
        let metadata =
            ObjectMeta { name: Some(name.into()), resource_version: Some(version.into()), ..Default::default() };
        ConfigMap { metadata, ..Default::default() }
    }

    /// T12, T26: a store that is behind our own write is not planned from.
    #[test]
    fn a_store_that_is_behind_a_write_is_not_seen() {
        let expectations = Expectations::default();
        expectations.wrote("policy", "run", &object("first", "20"));
        assert!(!expectations.seen("policy", "run", |_| Some(19)));
        assert!(!expectations.seen("policy", "run", |_| None));
        assert!(expectations.seen("policy", "user", |_| None));
        assert!(expectations.seen("policy", "run", |_| Some(20)));
        assert!(expectations.seen("policy", "run", |_| None), "what was seen once is not waited for again");
    }
}
