//! Every call that reached an API.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Api;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Number of the call, from 1, in the order of arrival.
    pub sequence: u64,
    /// Virtual time of its arrival.
    pub at: Timestamp,
    /// Which API.
    pub api: Api,
    /// HTTP method.
    pub method: String,
    /// Route template, such as `/v1.0/users/{id}`; `-` when no route matched.
    pub route: String,
    /// What the client saw; 0: the connection was closed without a reply.
    pub status: u16,
    /// Whether the world was changed.
    pub wrote: bool,
    /// Whether the reply was made or altered by the fault script or by the hostile plan, and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub injected: Option<String>,
    /// Which page of a list, from 0. Where a list is read by index and pages are short, several later ones share a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<u64>,
}

/// `GET /journal`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Only this API.
    pub api: Option<Api>,
    /// Only this method.
    pub method: Option<String>,
    /// Only this route template.
    pub route: Option<String>,
    /// Only calls that changed the world, or only those that did not.
    pub wrote: Option<bool>,
    /// Only calls after this sequence number.
    pub since: Option<u64>,
}

/// Answer of `GET /journal`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Listing {
    /// In the order of arrival.
    pub calls: Vec<Entry>,
    /// Number of calls for each `api method route`.
    pub counters: BTreeMap<String, u64>,
}

/// The journal.
#[derive(Debug, Default)]
pub struct Journal(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: u64,
    entries: Vec<Entry>,
}

impl Filter {
    fn admits(&self, entry: &Entry) -> bool {
        let Self { api, method, route, wrote, since } = self;
        api.is_none_or(|api| api == entry.api)
            && method.as_deref().is_none_or(|method| method.eq_ignore_ascii_case(&entry.method))
            && route.as_deref().is_none_or(|route| route == entry.route)
            && wrote.is_none_or(|wrote| wrote == entry.wrote)
            && since.is_none_or(|since| entry.sequence > since)
    }
}

impl Journal {
    /// The sequence number of a call that arrives.
    pub fn arrive(&self) -> u64 {
        let mut state = self.lock();
        state.last += 1;
        state.last
    }

    /// Stores a call that has ended.
    pub fn record(&self, entry: Entry) {
        let mut state = self.lock();
        let at = state.entries.partition_point(|other| other.sequence < entry.sequence);
        state.entries.insert(at, entry);
    }

    /// The calls that a filter admits.
    #[must_use]
    pub fn list(&self, filter: &Filter) -> Listing {
        let calls: Vec<Entry> = self.lock().entries.iter().filter(|entry| filter.admits(entry)).cloned().collect();
        let mut counters = BTreeMap::new();
        for entry in &calls {
            *counters.entry(format!("{} {} {}", entry.api.name(), entry.method, entry.route)).or_default() += 1;
        }
        Listing { calls, counters }
    }

    /// Forgets all calls; sequence numbers go on.
    pub fn clear(&self) {
        self.lock().entries.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sequence: u64, api: Api, wrote: bool) -> Entry {
        Entry {
            sequence,
            at: Timestamp::UNIX_EPOCH,
            api,
            method: "GET".to_owned(),
            route: "/x".to_owned(),
            status: 200,
            wrote,
            injected: None,
            page: None,
        }
    }

    #[test]
    fn calls_are_listed_in_the_order_of_arrival_and_counted() {
        let journal = Journal::default();
        journal.record(entry(2, Api::Graph, false));
        journal.record(entry(1, Api::Graph, true));
        let all = journal.list(&Filter::default());
        assert_eq!(all.calls.iter().map(|call| call.sequence).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(all.counters["graph GET /x"], 2);
        let wrote = journal.list(&Filter { wrote: Some(true), ..Filter::default() });
        assert_eq!(wrote.calls.len(), 1);
    }
}
