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

/// What a watch is called in metrics and logs.
#[derive(Clone, Debug)]
pub struct Label {
    /// Its namespace; all of them without one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: &'static str,
}

/// A watch that fills a store and yields every touched object, and when the store is filled.
///
/// Errors would hold up every other trigger of the same controller, so they are counted and consumed.
pub fn watch<K>(
    api: Api<K>,
    writer: Writer<K>,
    label: Label,
    metrics: Metrics,
) -> (impl Stream<Item = Result<K, watcher::Error>> + Send + 'static, Filled)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let (filled, told) = tokio::sync::watch::channel(false);
    let stream = watcher(api, watcher::Config::default().timeout(TIMEOUT_SECONDS))
        .default_backoff()
        .modify(strip)
        .inspect(move |event| label.report(&metrics, event.as_ref().err()))
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

impl Label {
    fn report(&self, metrics: &Metrics, error: Option<&watcher::Error>) {
        let (namespace, watch) = (self.namespace.as_deref(), self.name);
        let Some(error) = error else { return metrics.watch_works(namespace, watch) };
        let (code, cause) = cause(error);
        metrics.watch_failed(namespace, watch, code == Some(403));
        tracing::warn!(namespace, watch, code, cause, "a watch failed and is opened again");
    }
}

/// Status and word of an error, without the API server's text: that may quote values of objects.
fn cause(error: &watcher::Error) -> (Option<u16>, String) {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => (Some(status.code), status.reason.clone()),
        watcher::Error::InitialListFailed(kube::Error::SerdeError(_))
        | watcher::Error::WatchFailed(kube::Error::SerdeError(_)) => (None, "an object cannot be read".to_owned()),
        other => (None, other.to_string()),
    }
}

/// What no pass reads costs memory for every object.
fn strip<K: Resource>(object: &mut K) {
    object.managed_fields_mut().clear();
    object.annotations_mut().remove("kubectl.kubernetes.io/last-applied-configuration");
}
