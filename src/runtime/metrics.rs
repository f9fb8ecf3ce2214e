//! Metrics, prefix `teams_connector_`. Labels come from fixed sets; no user, number or run is ever one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// A watch that fails for so long without a break counts as dead.
const WATCH_PATIENCE: Duration = Duration::from_mins(5);
/// Errors further apart than this do not belong together: the watch was open in between.
const WATCH_BREAK: Duration = Duration::from_mins(1);

/// When the errors of a watch began, and the newest one. A quiet watch yields nothing at all, so silence says nothing.
#[derive(Clone, Copy)]
struct Failing {
    since: Instant,
    last: Instant,
}

impl Failing {
    fn dead(&self) -> bool {
        self.last.elapsed() < WATCH_BREAK && self.since.elapsed() > WATCH_PATIENCE
    }
}

/// All metrics; cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    reconcile: Family<ReconcileLabels, Counter>,
    reconcile_duration: Family<KindLabels, Histogram, fn() -> Histogram>,
    panics: Family<KindLabels, Counter>,
    external_requests: Family<RequestLabels, Counter>,
    watch_errors: Family<WatchLabels, Counter>,
    source_incomplete: Family<SourceLabels, Counter>,
    readings: Family<ReadingLabels, Counter>,
    store_objects: Family<KindLabels, Gauge>,
    failing: Mutex<HashMap<(Option<String>, &'static str), Failing>>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReconcileLabels {
    kind: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    api: &'static str,
    operation: &'static str,
    code: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WatchLabels {
    watch: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SourceLabels {
    source: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReadingLabels {
    kind: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

fn duration_histogram() -> Histogram {
    Histogram::new([0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0])
}

impl Metrics {
    /// All metrics, registered.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("teams_connector");
        let reconcile = Family::default();
        let reconcile_duration = Family::new_with_constructor(duration_histogram as fn() -> Histogram);
        let panics = Family::default();
        let external_requests = Family::default();
        let watch_errors = Family::default();
        let source_incomplete = Family::default();
        let readings = Family::default();
        let store_objects = Family::default();
        registry.register("reconcile", "Passes by kind and result", reconcile.clone());
        registry.register("reconcile_duration_seconds", "Duration of passes", reconcile_duration.clone());
        registry.register("panics", "Panics that were contained in a pass", panics.clone());
        registry.register("external_requests", "Calls of the vendors' APIs", external_requests.clone());
        registry.register("watch_errors", "Errors of watches", watch_errors.clone());
        registry.register("source_incomplete", "Readings of a source that were incomplete", source_incomplete.clone());
        registry.register("readings", "Readings by how much was read", readings.clone());
        registry.register("store_objects", "Objects in the stores", store_objects.clone());
        let failing = Mutex::default();
        Self(Arc::new(Inner {
            registry,
            reconcile,
            reconcile_duration,
            panics,
            external_requests,
            watch_errors,
            source_incomplete,
            readings,
            store_objects,
            failing,
        }))
    }

    /// The OpenMetrics page.
    ///
    /// # Errors
    /// Never in practice: writing into a string fails only for a defective metric.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut page = String::new();
        text::encode(&mut page, &self.0.registry)?;
        Ok(page)
    }

    /// A pass ended.
    pub fn pass(&self, kind: &'static str, result: &'static str, took: Duration) {
        self.0.reconcile.get_or_create(&ReconcileLabels { kind, result }).inc();
        self.0.reconcile_duration.get_or_create(&KindLabels { kind }).observe(took.as_secs_f64());
    }

    /// A panic was contained.
    pub fn panicked(&self, kind: &'static str) {
        self.0.panics.get_or_create(&KindLabels { kind }).inc();
    }

    /// A call of a vendor's API ended.
    pub fn external_request(&self, api: &'static str, operation: &'static str, code: String) {
        self.0.external_requests.get_or_create(&RequestLabels { api, operation, code }).inc();
    }

    /// A reading was made.
    pub fn reading(&self, kind: &'static str) {
        self.0.readings.get_or_create(&ReadingLabels { kind }).inc();
    }

    /// A source was read incompletely.
    pub fn source_incomplete(&self, source: &'static str) {
        self.0.source_incomplete.get_or_create(&SourceLabels { source }).inc();
    }

    /// So many objects are in a store.
    pub fn store_objects(&self, kind: &'static str, objects: usize) {
        self.0.store_objects.get_or_create(&KindLabels { kind }).set(i64::try_from(objects).unwrap_or(i64::MAX));
    }

    /// A watch of this namespace, or of all of them, brought something.
    pub fn watch_works(&self, namespace: Option<&str>, watch: &'static str) {
        let mut failing = self.0.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.remove(&(namespace.map(str::to_owned), watch));
    }

    /// A watch failed. What the API server forbids counts, but says nothing against the process: no restart would help.
    pub fn watch_failed(&self, namespace: Option<&str>, watch: &'static str, forbidden: bool) {
        self.0.watch_errors.get_or_create(&WatchLabels { watch }).inc();
        if forbidden {
            return self.watch_works(namespace, watch);
        }
        let mut failing = self.0.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let entry = failing.entry((namespace.map(str::to_owned), watch)).or_insert(Failing { since: now, last: now });
        if entry.last.elapsed() > WATCH_BREAK {
            entry.since = now;
        }
        entry.last = now;
    }

    /// Whether no watch has failed without a break for five minutes: then a restart may help.
    #[must_use]
    pub fn watches_alive(&self) -> bool {
        !self.0.failing.lock().unwrap_or_else(PoisonError::into_inner).values().any(Failing::dead)
    }
}
