//! Pace and Retry-After: one gate for each API and client id, shared by all accounts that use them.
//!
//! **Invariant (P11, T27):** while a gate is closed no call is sent; beyond one hour one probe an hour is let through.
//!
//! The bucket is the project's own: the business clock may be set back, and then neither bucket nor gate may stay shut until
//! the old time comes again.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::jiff::fmt::rfc2822;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::route::Api;
use crate::clock::Clock;

/// A call waits this long for a gate or for its turn, not longer.
pub const LONGEST_WAIT: SignedDuration = SignedDuration::from_secs(60);
/// A gate that is closed for longer than this lets one probe through in each such time.
const PROBE_INTERVAL: SignedDuration = SignedDuration::from_hours(1);
/// A vendor that names a later time than this is not believed.
const LONGEST_CLOSING: SignedDuration = SignedDuration::from_hours(48);
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
const LAST_BACKOFF: Duration = Duration::from_secs(8);

/// The gates of a process.
#[derive(Debug)]
pub struct Gates {
    clock: Clock,
    gates: Mutex<HashMap<(Api, String), Arc<Gate>>>,
}

/// Decides when a call of one API with one client id may be sent.
#[derive(Debug)]
pub struct Gate {
    clock: Clock,
    key: String,
    interval: SignedDuration,
    burst: i32,
    /// Held by the one caller who waits for its turn; the others queue behind it in order.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the bucket is full again; each call moves it on by one interval.
    full_at: Timestamp,
    closed: Option<Closed>,
    /// Answers of "too many" in a row without a Retry-After.
    strikes: u32,
}

#[derive(Debug, Clone, Copy)]
struct Closed {
    since: Timestamp,
    until: Timestamp,
    next_probe: Timestamp,
}

/// The right to send one call.
#[derive(Debug)]
#[must_use]
pub(crate) struct Permit<'a> {
    gate: &'a Gate,
    probe: bool,
}

enum Verdict {
    Go { probe: bool },
    Wait(Timestamp),
    Refuse(Timestamp),
}

impl Gates {
    /// No gates yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, gates: Mutex::default() }
    }

    /// The gate of an API for a client id: GoTo's client id, `tenant/client` for Microsoft, `endpoint/account` for the
    /// connector.
    #[must_use]
    pub fn for_key(&self, api: Api, client_id: &str) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (api, client_id.to_owned());
        if let Some(gate) = gates.get(&key) {
            return Arc::clone(gate);
        }
        gates.retain(|_, gate| Arc::strong_count(gate) > 1 || gate.has_memory());
        let gate = Arc::new(Gate::new(self.clock.clone(), api, client_id));
        gates.insert(key, Arc::clone(&gate));
        gate
    }

    /// Until when each closed gate is closed, for metrics: the latest of each API.
    #[must_use]
    pub fn closed(&self) -> Vec<(Api, Timestamp)> {
        let gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let mut closed: Vec<_> =
            gates.iter().filter_map(|((api, _), gate)| Some((*api, gate.closed_until()?))).collect();
        closed.sort_unstable();
        closed.dedup_by(|later, earlier| {
            later.0 == earlier.0 && {
                earlier.1 = earlier.1.max(later.1);
                true
            }
        });
        closed
    }
}

impl Gate {
    fn new(clock: Clock, api: Api, client_id: &str) -> Self {
        let (interval, burst) = api.pace();
        Self {
            clock,
            key: format!("{api}/{client_id}"),
            interval: SignedDuration::try_from(interval).unwrap_or(SignedDuration::from_secs(1)),
            burst: i32::try_from(burst).unwrap_or(1),
            turn: tokio::sync::Mutex::default(),
            state: Mutex::default(),
        }
    }

    /// Until when no call is sent; `None` while the gate is open.
    #[must_use]
    pub fn closed_until(&self) -> Option<Timestamp> {
        let now = self.clock.now();
        self.with_state(|state| state.closed.filter(|closed| closed.holds(now)).map(|closed| closed.until))
    }

    /// Returns when a call may be sent, or the time until which none may, if that is more than a minute away.
    pub(crate) async fn pass(&self) -> Result<Permit<'_>, Timestamp> {
        let _turn = self.turn.lock().await;
        loop {
            let now = self.clock.now();
            match self.with_state(|state| state.decide(now, self.interval, self.burst)) {
                Verdict::Go { probe } => return Ok(Permit { gate: self, probe }),
                Verdict::Wait(at) => self.clock.sleep_until(at).await,
                Verdict::Refuse(until) => return Err(until),
            }
        }
    }

    /// Closes the gate, as an answer inside an answer demands (a batch whose outer status is 200).
    pub(crate) fn throttled(&self) {
        self.close(None, false);
    }

    fn close(&self, until: Option<Timestamp>, probe: bool) -> Timestamp {
        let now = self.clock.now();
        self.with_state(|state| state.close(now, until, probe, &self.key))
    }

    fn has_memory(&self) -> bool {
        let now = self.clock.now();
        self.closed_until().is_some() || self.with_state(|state| state.full_at > now)
    }

    fn with_state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn decide(&mut self, now: Timestamp, interval: SignedDuration, burst: i32) -> Verdict {
        let probe = match &mut self.closed {
            Some(closed) if closed.holds(now) => {
                if now < closed.next_probe {
                    let left = closed.until.duration_since(now);
                    return if left <= LONGEST_WAIT {
                        Verdict::Wait(closed.until)
                    } else {
                        Verdict::Refuse(closed.until)
                    };
                }
                closed.next_probe = later(now, PROBE_INTERVAL);
                true
            }
            _ => false,
        };
        // A time set back must not leave the bucket empty for longer than it takes to fill.
        let full_at = self.full_at.clamp(now, later(now, interval * burst));
        let turn = later(full_at, -(interval * (burst - 1)));
        if turn > now {
            return Verdict::Wait(turn);
        }
        self.full_at = later(full_at, interval);
        Verdict::Go { probe }
    }

    fn close(&mut self, now: Timestamp, told: Option<Timestamp>, probe: bool, key: &str) -> Timestamp {
        let until = told.map_or_else(
            || {
                self.strikes += 1;
                later(now, SignedDuration::try_from(backoff(self.strikes, key, now)).unwrap_or(SignedDuration::ZERO))
            },
            |told| told.clamp(now, later(now, LONGEST_CLOSING)),
        );
        let known = self.closed.filter(|closed| closed.holds(now));
        let closed = match known {
            // The answer to a probe is the newest word, even if it is a shorter one.
            Some(closed) if probe => Closed { until, ..closed },
            Some(closed) => Closed { until: closed.until.max(until), ..closed },
            None => Closed { since: now, until, next_probe: later(now, PROBE_INTERVAL) },
        };
        self.closed = Some(closed);
        closed.until
    }
}

impl Closed {
    /// A time before the closing means that the clock was set back: then the gate opens.
    fn holds(&self, now: Timestamp) -> bool {
        self.since <= now && now < self.until
    }
}

impl Permit<'_> {
    /// The call was answered, and not by "too many".
    pub(crate) fn answered(self) {
        self.gate.with_state(|state| {
            state.strikes = 0;
            if self.probe {
                state.closed = None;
            }
        });
    }

    /// The call was answered by "too many"; returns until when the gate is closed now.
    pub(crate) fn throttled(self, told: Option<Timestamp>) -> Timestamp {
        self.gate.close(told, self.probe)
    }
}

/// 0.5 s doubling to 8 s, varied by up to a quarter; `attempt` counts from 1.
pub(crate) fn backoff(attempt: u32, key: &str, now: Timestamp) -> Duration {
    let doubled = FIRST_BACKOFF.saturating_mul(1 << attempt.saturating_sub(1).min(8)).min(LAST_BACKOFF);
    let mut hasher = DefaultHasher::new();
    (key, attempt, now).hash(&mut hasher);
    let quarter_permille = u32::try_from(hasher.finish() % 251).unwrap_or(0);
    doubled * (1000 - quarter_permille) / 1000
}

/// The moment that a `Retry-After` names: seconds from now, or an HTTP date.
pub(crate) fn retry_after(value: &str, now: Timestamp) -> Option<Timestamp> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = value.parse().unwrap_or(i64::MAX).min(LONGEST_CLOSING.as_secs());
        return Some(later(now, SignedDuration::from_secs(seconds)));
    }
    let date = rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(date.max(now))
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(at)
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
