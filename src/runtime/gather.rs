//! Wakes that come in a burst become a few: a thousand written objects are no thousand looks at all of them.

use std::collections::HashSet;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use tokio::time::Instant;

use crate::clock::{Busy, Clock};

/// After an object was woken, further wakes are gathered for so long, on the real clock.
const PAUSE: Duration = Duration::from_millis(250);

/// The first wake after a quiet time passes at once; those of the next quarter of a second pass together at its end, one for
/// each object. Under an endless burst there are four looks a second, and never none.
pub fn gather<K>(
    wakes: impl Stream<Item = ObjectRef<K>> + Send + 'static,
    clock: Clock,
) -> impl Stream<Item = ObjectRef<K>> + Send + 'static
where
    K: Resource<DynamicType = ()> + 'static,
{
    let gathering =
        Gathering { wakes: wakes.boxed(), clock, gathered: HashSet::new(), due: Vec::new(), until: None, busy: None };
    stream::unfold(gathering, |mut gathering| async { gathering.next().await.map(|object| (object, gathering)) })
}

struct Gathering<K: Resource<DynamicType = ()>> {
    wakes: stream::BoxStream<'static, ObjectRef<K>>,
    clock: Clock,
    gathered: HashSet<ObjectRef<K>>,
    due: Vec<ObjectRef<K>>,
    until: Option<Instant>,
    /// Somebody is to be woken: a simulated clock waits for it.
    busy: Option<Busy>,
}

impl<K: Resource<DynamicType = ()> + 'static> Gathering<K> {
    async fn next(&mut self) -> Option<ObjectRef<K>> {
        loop {
            if let Some(object) = self.due.pop() {
                return Some(object);
            }
            if self.gathered.is_empty() {
                self.busy = None;
            }
            let Some(until) = self.until else {
                let first = self.wakes.next().await?;
                self.until = Some(Instant::now() + PAUSE);
                return Some(first);
            };
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(until) => self.release(),
                object = self.wakes.next() => {
                    self.gathered.insert(object?);
                    self.busy.get_or_insert_with(|| self.clock.busy());
                }
            }
        }
    }

    fn release(&mut self) {
        self.due.extend(self.gathered.drain());
        self.until = (!self.due.is_empty()).then(|| Instant::now() + PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn wake(name: &str) -> ObjectRef<ConfigMap> {
        ObjectRef::new(name)
    }

    /// P13: the first of a burst is not put off, the rest is one wake for each object, and what comes later is not lost.
    #[tokio::test]
    async fn a_burst_is_one_wake_at_once_and_one_for_each_object_after_a_pause() {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        let wakes =
            stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|item| (item, receiver)) });
        let mut woken = Box::pin(gather(wakes, Clock::manual(Timestamp::UNIX_EPOCH).0));
        (0..1_000).for_each(|_| sender.send(wake("first")).unwrap());
        assert_eq!(woken.next().await, Some(wake("first")));
        let began = Instant::now();
        sender.send(wake("second")).unwrap();
        let mut rest = [woken.next().await.unwrap(), woken.next().await.unwrap()].map(|object| object.name);
        rest.sort();
        assert_eq!(rest, ["first", "second"]);
        assert!(began.elapsed() >= PAUSE / 2, "gathered for a while");
        sender.send(wake("third")).unwrap();
        assert_eq!(woken.next().await, Some(wake("third")), "nothing was left of the burst");
        drop(sender);
        assert_eq!(woken.next().await, None);
    }
}
