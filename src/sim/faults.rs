//! The fault script: the next N calls that match get what the script says.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Api;

/// One line of the script.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Which calls.
    #[serde(rename = "match", default)]
    pub matches: Match,
    /// How many matching calls pass first.
    #[serde(default)]
    pub after: u64,
    /// How many calls are hit then; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// What happens to them.
    pub then: Effect,
}

/// Which calls a [`Rule`] is for; what is absent matches everything.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Match {
    /// Which API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<Api>,
    /// HTTP method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Route template, or the beginning of one when it ends with `*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Id or address of a user that path, query or body name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Text that the decoded query holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Effect {
    /// The world is not asked; this status instead.
    Status {
        /// HTTP status.
        code: u16,
        /// JSON body; absent: one in the dialect of the API.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<Value>,
        /// `Retry-After` in seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    },
    /// The call waits first.
    Delay {
        /// Real milliseconds.
        ms: u64,
    },
    /// The connection is closed, nothing happened.
    ResetBeforeCommit,
    /// It happened, then the connection is closed without a reply.
    ResetAfterCommit,
    /// It happened, then the connection is closed in the middle of the reply.
    ResetMidBody,
    /// 200 with half of the items and no further page; a total is kept.
    TruncatedPage,
    /// 200 with an empty list, a total of 0 and no further page.
    EmptyPage,
    /// 200 with only the first so many percent of the whole listing, on every page of it: the total, where there is one, and
    /// the links agree with what is shown. 0: an empty list.
    ShorterList {
        /// Part of the items, rounded down.
        percent: u8,
    },
    /// 200, but the listing has no page after this one, counted from 1; a total is kept, a delta round ends with its link.
    StopsAfterPage {
        /// The last page.
        page: u64,
    },
    /// 200 with a total that counts one too many.
    LyingTotal,
    /// 200 with a total that is off by so many; never below 0.
    TotalOff {
        /// Added to the total.
        by: i64,
    },
    /// 200 with the first half of the JSON.
    MalformedJson,
    /// An HTML page, as a proxy in front of the API sends it; the world is not asked.
    Html {
        /// HTTP status.
        status: u16,
    },
    /// The true reply, a few bytes at a time.
    SlowDrip {
        /// Real milliseconds between two pieces.
        ms: u64,
    },
    /// The reply of success, but nothing happened.
    AcceptedWithoutEffect,
}

impl Effect {
    /// The name in the journal.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Delay { .. } => "delay",
            Self::ResetBeforeCommit => "resetBeforeCommit",
            Self::ResetAfterCommit => "resetAfterCommit",
            Self::ResetMidBody => "resetMidBody",
            Self::TruncatedPage => "truncatedPage",
            Self::EmptyPage => "emptyPage",
            Self::ShorterList { .. } => "shorterList",
            Self::StopsAfterPage { .. } => "stopsAfterPage",
            Self::LyingTotal => "lyingTotal",
            Self::TotalOff { .. } => "totalOff",
            Self::MalformedJson => "malformedJson",
            Self::Html { .. } => "html",
            Self::SlowDrip { .. } => "slowDrip",
            Self::AcceptedWithoutEffect => "acceptedWithoutEffect",
        }
    }
}

/// A call as rules see it.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Which API.
    pub api: Api,
    /// HTTP method.
    pub method: &'a str,
    /// Route template.
    pub route: &'a str,
    /// Decoded path and query.
    pub target: &'a str,
    /// Decoded query.
    pub query: &'a str,
    /// Body.
    pub body: &'a str,
}

impl Match {
    fn admits(&self, seen: &Seen<'_>) -> bool {
        let Self { api, method, route, user, query } = self;
        api.is_none_or(|api| api == seen.api)
            && method.as_deref().is_none_or(|method| method.eq_ignore_ascii_case(seen.method))
            && route.as_deref().is_none_or(|route| admits_route(route, seen.route))
            && user.as_deref().is_none_or(|user| seen.target.contains(user) || seen.body.contains(user))
            && query.as_deref().is_none_or(|query| seen.query.contains(query))
    }
}

fn admits_route(wanted: &str, route: &str) -> bool {
    wanted.strip_suffix('*').map_or(wanted == route, |beginning| route.starts_with(beginning))
}

/// A line of the script and how often it fired.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// The line.
    #[serde(flatten)]
    pub rule: Rule,
    /// Calls that matched, those that passed first included.
    pub matched: u64,
    /// Calls that were hit.
    pub fired: u64,
}

/// The script.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Entry>>);

impl Faults {
    /// Adds lines at the end.
    pub fn add(&self, rules: Vec<Rule>) {
        self.lock().extend(rules.into_iter().map(|rule| Entry { rule, matched: 0, fired: 0 }));
    }

    /// Removes all lines.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// The lines and how often each fired.
    #[must_use]
    pub fn list(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    /// What happens to a call: the first line that matches and is not used up decides.
    pub fn decide(&self, seen: &Seen<'_>) -> Option<Effect> {
        let mut entries = self.lock();
        let spent = |entry: &Entry| entry.rule.times.is_some_and(|times| entry.fired >= times);
        for entry in entries.iter_mut().filter(|entry| !spent(entry)) {
            if !entry.rule.matches.admits(seen) {
                continue;
            }
            entry.matched += 1;
            if entry.matched > entry.rule.after {
                entry.fired += 1;
                return Some(entry.rule.then.clone());
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(json: &str) -> Faults {
        let faults = Faults::default();
        faults.add(serde_json::from_str(json).unwrap());
        faults
    }

    fn seen<'a>(method: &'a str, route: &'a str, body: &'a str) -> Seen<'a> {
        Seen { api: Api::Connector, method, route, target: route, query: "", body }
    }

    #[test]
    fn a_rule_skips_then_fires_then_is_used_up() {
        let faults = rules(r#"[{"match":{"method":"put"},"after":1,"times":2,"then":"resetAfterCommit"}]"#);
        let fired: Vec<bool> = (0..5).map(|_| faults.decide(&seen("PUT", "/a", "")).is_some()).collect();
        assert_eq!(fired, [false, true, true, false, false]);
        assert!(faults.decide(&seen("GET", "/a", "")).is_none());
        assert_eq!((faults.list()[0].matched, faults.list()[0].fired), (3, 2));
    }

    #[test]
    fn a_user_is_found_in_the_body_and_a_route_by_its_beginning() {
        let faults = rules(r#"[{"match":{"route":"/a/*","user":"42"},"then":{"status":{"code":503,"retryAfter":7}}}]"#);
        assert!(faults.decide(&seen("POST", "/b", "42")).is_none());
        assert!(faults.decide(&seen("POST", "/a/b", "41")).is_none());
        let effect = faults.decide(&seen("POST", "/a/b", r#"{"gotoUserKey":"42"}"#));
        assert_eq!(effect, Some(Effect::Status { code: 503, body: None, retry_after: Some(7) }));
    }

    #[test]
    fn an_unknown_field_of_a_rule_is_refused() {
        assert!(serde_json::from_str::<Rule>(r#"{"then":"emptyPage","often":3}"#).is_err());
        assert!(serde_json::from_str::<Rule>(r#"{"then":{"status":{"code":500,"text":"x"}}}"#).is_err());
    }
}
