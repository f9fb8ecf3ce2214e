//! Wake-ups of objects by the business clock. `Action::requeue` knows only real time, so passes await change and are woken from here.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;

use futures::Stream;
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc;

use crate::clock::Clock;

/// Sends wake-ups; cheap to clone.
#[derive(Debug)]
pub struct Timers<K: Resource>
where
    K::DynamicType: Default + Eq + std::hash::Hash,
{
    orders: mpsc::UnboundedSender<(ObjectRef<K>, Option<Timestamp>)>,
}

impl<K: Resource> Clone for Timers<K>
where
    K::DynamicType: Default + Eq + std::hash::Hash,
{
    fn clone(&self) -> Self {
        Self { orders: self.orders.clone() }
    }
}

impl<K> Timers<K>
where
    K: Resource + Debug + Send + Sync + 'static,
    K::DynamicType: Default + Eq + std::hash::Hash + Clone + Debug + Send + Sync,
{
    /// The queue, and the stream of objects whose time has come.
    pub fn start(clock: Clock) -> (Self, impl Stream<Item = ObjectRef<K>> + Send + 'static) {
        let (orders, mut incoming) = mpsc::unbounded_channel::<(ObjectRef<K>, Option<Timestamp>)>();
        let (due, woken) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut queue = Queue::default();
            loop {
                let next = queue.next();
                tokio::select! {
                    order = incoming.recv() => match order {
                        Some((object, at)) => queue.set(object, at, &due),
                        None => return,
                    },
                    () = sleep_until(&clock, next) => queue.fire(clock.now(), &due),
                }
            }
        });
        let stream =
            futures::stream::unfold(woken, |mut woken| async { woken.recv().await.map(|object| (object, woken)) });
        (Self { orders }, stream)
    }

    /// Wakes the object at `at`; an earlier order for the same object is replaced.
    pub fn wake_at(&self, object: ObjectRef<K>, at: Timestamp) {
        let _ = self.orders.send((object, Some(at)));
    }

    /// Wakes the object now; its timed order stays.
    pub fn wake(&self, object: ObjectRef<K>) {
        let _ = self.orders.send((object, None));
    }
}

async fn sleep_until(clock: &Clock, at: Option<Timestamp>) {
    match at {
        Some(at) => clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// One entry for each object.
struct Queue<K: Resource>
where
    K::DynamicType: Default + Eq + std::hash::Hash,
{
    by_time: BTreeSet<(Timestamp, u64)>,
    objects: HashMap<u64, ObjectRef<K>>,
    entries: HashMap<ObjectRef<K>, (Timestamp, u64)>,
    next_id: u64,
}

impl<K: Resource> Default for Queue<K>
where
    K::DynamicType: Default + Eq + std::hash::Hash,
{
    fn default() -> Self {
        Self { by_time: BTreeSet::new(), objects: HashMap::new(), entries: HashMap::new(), next_id: 0 }
    }
}

impl<K: Resource> Queue<K>
where
    K::DynamicType: Default + Eq + std::hash::Hash + Clone,
{
    fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    fn set(&mut self, object: ObjectRef<K>, at: Option<Timestamp>, due: &mpsc::UnboundedSender<ObjectRef<K>>) {
        let Some(at) = at else {
            let _ = due.send(object);
            return;
        };
        if let Some(old) = self.entries.remove(&object) {
            self.by_time.remove(&old);
            self.objects.remove(&old.1);
        }
        self.next_id += 1;
        self.by_time.insert((at, self.next_id));
        self.objects.insert(self.next_id, object.clone());
        self.entries.insert(object, (at, self.next_id));
    }

    fn fire(&mut self, now: Timestamp, due: &mpsc::UnboundedSender<ObjectRef<K>>) {
        while let Some((at, id)) = self.by_time.first().copied().filter(|(at, _)| *at <= now) {
            self.by_time.remove(&(at, id));
            if let Some(object) = self.objects.remove(&id) {
                self.entries.remove(&object);
                let _ = due.send(object);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    #[tokio::test]
    async fn an_object_is_woken_once_at_its_newest_time() {
        let (timers, woken) = Timers::<ConfigMap>::start(Clock::system());
        let mut woken = Box::pin(woken);
        let (first, second) = (ObjectRef::new("first"), ObjectRef::new("second"));
        let past = Timestamp::now();
        timers.wake_at(first.clone(), past.checked_add(k8s_openapi::jiff::SignedDuration::from_hours(1)).unwrap());
        timers.wake_at(first.clone(), past);
        assert_eq!(woken.next().await, Some(first));
        timers.wake(second.clone());
        assert_eq!(woken.next().await, Some(second));
    }
}
