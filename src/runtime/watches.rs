//! Watches whose errors end here: counted, backed off one by one, never seen by a controller.

use std::fmt::Debug;

use futures::{Stream, StreamExt, future::ready};
use kube::runtime::reflector::store::Writer;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::metrics::Metrics;

/// Seconds after which a watch is renewed: below what load balancers drop.
const TIMEOUT_SECONDS: u32 = 200;

/// Turns true once a store holds the first complete list.
///
/// `Store::wait_until_ready` keeps only the newest waiter's waker, and the controller is one already: a second waiter can
/// hang for ever, so readiness is told here.
pub type Filled = tokio::sync::watch::Receiver<bool>;

/// A watch that fills a store and yields every touched object, and when the store is filled.
///
/// Errors would hold up every other trigger of the same controller, so they are counted and consumed.
pub fn watch<K>(
    api: Api<K>,
    writer: Writer<K>,
    name: &'static str,
    metrics: Metrics,
) -> (impl Stream<Item = Result<K, watcher::Error>> + Send + 'static, Filled)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let (filled, told) = tokio::sync::watch::channel(false);
    let stream = watcher(api, watcher::Config::default().timeout(TIMEOUT_SECONDS))
        .default_backoff()
        .modify(strip)
        .inspect(move |event| metrics.watch_event(name, event.as_ref().err().map(ToString::to_string)))
        .filter_map(|event| ready(event.ok().map(Ok)))
        .reflect(writer)
        .inspect(move |event: &Result<_, watcher::Error>| {
            if matches!(event, Ok(watcher::Event::InitDone)) {
                filled.send_replace(true);
            }
        })
        .touched_objects();
    (stream, told)
}

/// What no pass reads costs memory for every object.
fn strip<K: Resource>(object: &mut K) {
    object.managed_fields_mut().clear();
    object.annotations_mut().remove("kubectl.kubernetes.io/last-applied-configuration");
}
