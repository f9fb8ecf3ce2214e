//! Which readings are asked for, and when.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use k8s_openapi::jiff::Timestamp;
use tokio::sync::Notify;

use crate::plan::observed::ReadingKind;

/// The earliest order for each kind of reading.
#[derive(Debug, Default)]
pub(super) struct Requests {
    orders: Mutex<BTreeMap<ReadingKind, Timestamp>>,
    changed: Notify,
}

impl Requests {
    /// Orders a reading; an earlier order of the same kind stays.
    pub(super) fn add(&self, at: Timestamp, kind: ReadingKind) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let order = orders.entry(kind).or_insert(at);
        *order = at.min(*order);
        self.changed.notify_one();
    }

    /// The next reading: the earliest order, or the regular reading of everything if that comes first.
    pub(super) fn next(&self, regular: Timestamp) -> (Timestamp, ReadingKind) {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = orders.iter().map(|(kind, at)| (*at, *kind)).min_by_key(|(at, _)| *at);
        earliest.filter(|(at, _)| *at < regular).unwrap_or((regular, ReadingKind::Full))
    }

    /// Takes every order that is due by `now` and tells the widest kind; a reading of `least` is made in any case.
    /// Later orders that this reading covers are taken too: who still wants one asks again after seeing it.
    pub(super) fn take(&self, now: Timestamp, least: ReadingKind) -> ReadingKind {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let due = orders.iter().filter(|(_, at)| **at <= now).map(|(kind, _)| *kind).max();
        let kind = due.map_or(least, |due| due.max(least));
        orders.retain(|ordered, _| *ordered > kind);
        kind
    }

    /// Returns when an order was added.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_earliest_order_comes_next_and_a_wider_reading_covers_narrower_orders() {
        let requests = Requests::default();
        assert_eq!(requests.next(at(600)), (at(600), ReadingKind::Full));
        requests.add(at(50), ReadingKind::Account);
        requests.add(at(30), ReadingKind::Outcome);
        requests.add(at(90), ReadingKind::Outcome);
        assert_eq!(requests.next(at(600)), (at(30), ReadingKind::Outcome));
        assert_eq!(requests.take(at(30), ReadingKind::Outcome), ReadingKind::Outcome);
        assert_eq!(requests.next(at(600)), (at(600), ReadingKind::Full));
    }

    #[test]
    fn a_later_order_of_a_wider_kind_stays() {
        let requests = Requests::default();
        requests.add(at(10), ReadingKind::Account);
        requests.add(at(20), ReadingKind::Full);
        assert_eq!(requests.take(at(10), ReadingKind::Account), ReadingKind::Account);
        assert_eq!(requests.next(at(600)), (at(20), ReadingKind::Full));
    }
}
