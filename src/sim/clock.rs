//! Virtual time and the long polls of those who live by it.
//!
//! A client of the clock always holds one poll: `known` alone means that it works, `known` with `after` that it is idle and
//! sleeps until then. Time moves in steps, and only while everybody is idle: [`SimClock::advance_to`] on demand, the
//! [`SimClock::jump`] loop by itself. In `Auto` it flows.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::world::test_credentials::START;

/// Quiet time after the last call or answer before time may move.
const SETTLE: Duration = Duration::from_millis(30);
/// Quiet time after somebody asked for the time at once: a client that starts does so before its first long poll.
const SETTLE_AFTER_READING: Duration = Duration::from_millis(150);
/// How long a client that was answered is believed to come back.
const EXPECTED_BACK: Duration = Duration::from_secs(2);
/// How long before the end of its former poll is noticed a client may have begun the next one.
const OVERLAP: Duration = Duration::from_millis(500);
/// How often a working client hears of time that flows.
const FLOW: Duration = Duration::from_millis(20);
/// How long a long poll is held at most when nothing happens.
const HELD: Duration = Duration::from_secs(10);

/// How virtual time moves.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "mode", deny_unknown_fields)]
pub enum Mode {
    /// It flows.
    Auto {
        /// Virtual seconds for each real second; above 0.
        speed: f64,
    },
    /// It stands until it is advanced.
    #[default]
    Explicit,
    /// It jumps to the earliest moment that somebody sleeps for, whenever nothing is under way.
    Jump,
}

/// What `GET /clock` answers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Virtual time.
    pub now: Timestamp,
    /// 0 unless `mode` is `Auto`.
    pub speed: f64,
    /// `Auto`, `Explicit` or `Jump`.
    pub mode: ModeName,
}

/// Name of a [`Mode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModeName {
    /// See [`Mode::Auto`].
    Auto,
    /// See [`Mode::Explicit`].
    Explicit,
    /// See [`Mode::Jump`].
    Jump,
}

/// What a long poll waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// A working client: any change from what it knows.
    Busy {
        /// The time that it knows.
        known: Timestamp,
    },
    /// An idle client: as above, and it sleeps until `after`; `None`: for nothing.
    Idle {
        /// The time that it knows.
        known: Timestamp,
        /// Its earliest sleeper.
        after: Option<Timestamp>,
    },
    /// People and tests: until a moment has passed.
    Until(Timestamp),
}

/// When the next thing happens in the world by itself.
type NextEvent<'a> = &'a (dyn Fn() -> Option<Timestamp> + Send + Sync);

/// The clock.
pub struct SimClock {
    state: Mutex<State>,
    changed: watch::Sender<()>,
    /// One advance at a time.
    turn: tokio::sync::Mutex<()>,
}

struct State {
    mode: Mode,
    /// Virtual time at `since`.
    base: Timestamp,
    since: Instant,
    in_flight: usize,
    polls: Vec<(u64, Wait)>,
    next_poll: u64,
    /// Until when clients that were answered, or hung up, are expected to poll again.
    expected: Vec<Instant>,
    /// When polls began beside others although nobody was expected: the client's former poll may not have ended yet.
    early: Vec<Instant>,
    quiet_from: Instant,
}

impl State {
    fn now(&self) -> Timestamp {
        match self.mode {
            Mode::Auto { speed } => {
                let passed = SignedDuration::from_secs_f64(self.since.elapsed().as_secs_f64() * speed);
                self.base.checked_add(passed).unwrap_or(self.base)
            }
            Mode::Explicit | Mode::Jump => self.base,
        }
    }

    fn reading(&self) -> Reading {
        let now = self.now();
        match self.mode {
            Mode::Auto { speed } => Reading { now, speed, mode: ModeName::Auto },
            Mode::Explicit => Reading { now, speed: 0.0, mode: ModeName::Explicit },
            Mode::Jump => Reading { now, speed: 0.0, mode: ModeName::Jump },
        }
    }

    fn set(&mut self, now: Timestamp) {
        self.base = now;
        self.since = Instant::now();
    }

    fn settle(&mut self, time: Duration) {
        self.quiet_from = self.quiet_from.max(Instant::now() + time);
    }

    /// A client's poll has ended: it will poll again, unless it hung up because it already does.
    fn expect_back(&mut self, answered: bool) {
        self.early.retain(|since| since.elapsed() < OVERLAP);
        if !answered && self.early.pop().is_some() {
            self.settle(SETTLE_AFTER_READING);
        } else {
            self.expected.push(Instant::now() + EXPECTED_BACK);
        }
    }

    fn came_back(&mut self) {
        if !self.expected.is_empty() {
            self.expected.remove(0);
        } else if self.polls.iter().any(|(_, wait)| !matches!(wait, Wait::Until(_))) {
            self.early.push(Instant::now());
        }
    }

    /// Until when it is not quiet; `Err` when only an event can end it.
    fn busy(&mut self) -> Result<Option<Instant>, StillBusy> {
        let now = Instant::now();
        self.expected.retain(|until| *until > now);
        let working = self.polls.iter().any(|(_, wait)| matches!(wait, Wait::Busy { .. }));
        if self.in_flight > 0 || working {
            return Err(StillBusy);
        }
        let expected = self.expected.iter().min().copied();
        Ok(expected.or_else(|| Some(self.quiet_from).filter(|from| *from > now)))
    }

    /// The earliest moment that somebody sleeps for.
    fn earliest(&self) -> Option<Timestamp> {
        let after = |(_, wait): &(u64, Wait)| match *wait {
            Wait::Busy { .. } => None,
            Wait::Idle { after, .. } => after,
            Wait::Until(at) => Some(at),
        };
        self.polls.iter().filter_map(after).min()
    }
}

struct StillBusy;

/// A call in flight: time stands still meanwhile.
pub struct InFlight<'a>(&'a SimClock);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.change(|state| {
            state.in_flight -= 1;
            state.settle(SETTLE);
        });
    }
}

/// A long poll; when it ends, however it ends, the client is expected back.
struct Poll<'a> {
    clock: &'a SimClock,
    id: u64,
    answered: bool,
}

impl Drop for Poll<'_> {
    fn drop(&mut self) {
        self.clock.change(|state| {
            let Some(at) = state.polls.iter().position(|(id, _)| *id == self.id) else { return };
            let (_, wait) = state.polls.swap_remove(at);
            if !matches!(wait, Wait::Until(_)) {
                state.expect_back(self.answered);
            }
            state.settle(SETTLE);
        });
    }
}

impl SimClock {
    /// A clock at the beginning of virtual time, 2026-01-05T08:00:00Z.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        let state = State {
            mode,
            base: START,
            since: Instant::now(),
            in_flight: 0,
            polls: Vec::new(),
            next_poll: 0,
            expected: Vec::new(),
            early: Vec::new(),
            quiet_from: Instant::now(),
        };
        Self { state: Mutex::new(state), changed: watch::Sender::new(()), turn: tokio::sync::Mutex::default() }
    }

    /// Virtual time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.lock().now()
    }

    /// The reading that is answered at once.
    pub fn read(&self) -> Reading {
        self.change(|state| {
            state.settle(SETTLE_AFTER_READING);
            state.reading()
        })
    }

    /// Marks a call in flight until the guard is dropped.
    pub fn in_flight(&self) -> InFlight<'_> {
        self.change(|state| state.in_flight += 1);
        InFlight(self)
    }

    /// Changes how time moves; it goes on from where it is.
    pub fn set_mode(&self, mode: Mode) -> Reading {
        self.change(|state| {
            let now = state.now();
            state.set(now);
            state.mode = mode;
            state.reading()
        })
    }

    /// One long poll.
    pub async fn poll(&self, wait: Wait) -> Reading {
        let mut changed = self.changed.subscribe();
        let mut poll = self.register(wait);
        let asked = self.lock().mode;
        let held = Instant::now();
        loop {
            changed.borrow_and_update();
            let (reading, pause) = {
                let state = self.lock();
                let same_mode = state.mode == asked;
                (state.reading(), pause(&state, wait, same_mode.then(|| held.elapsed())))
            };
            let Some(pause) = pause else {
                poll.answered = true;
                return reading;
            };
            let _woken = tokio::time::timeout(pause, changed.changed()).await;
        }
    }

    /// Moves time on step by step until `target`, and returns when everybody has done what there was to do by then.
    pub async fn advance_to(&self, target: Timestamp, next_event: NextEvent<'_>) -> Reading {
        let _turn = self.turn.lock().await;
        loop {
            self.quiet().await;
            let event = next_event();
            let mut state = self.lock();
            let now = state.now();
            if now >= target {
                return state.reading();
            }
            let step = [state.earliest(), event].into_iter().flatten().filter(|at| *at > now).min();
            state.set(step.map_or(target, |at| at.min(target)));
            state.settle(SETTLE);
            drop(state);
            self.changed.send_replace(());
        }
    }

    /// The loop behind [`Mode::Jump`]; runs as long as the simulator.
    pub async fn jump(&self, next_event: NextEvent<'_>) {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            let jumping = self.lock().mode == Mode::Jump;
            if !jumping || !self.jump_once(next_event).await {
                // A change of the mode or a new poll goes on from here.
                if changed.changed().await.is_err() {
                    return;
                }
            }
        }
    }

    async fn jump_once(&self, next_event: NextEvent<'_>) -> bool {
        let _turn = self.turn.lock().await;
        self.quiet().await;
        let event = next_event();
        let moved = {
            let mut state = self.lock();
            let now = state.now();
            let sleeper = state.earliest().filter(|at| *at > now && state.mode == Mode::Jump);
            let to = sleeper.map(|at| event.filter(|event| *event > now).map_or(at, |event| at.min(event)));
            if let Some(to) = to {
                state.set(to);
                state.settle(SETTLE);
            }
            to.is_some()
        };
        if moved {
            self.changed.send_replace(());
        }
        moved
    }

    /// Returns once nothing is under way.
    async fn quiet(&self) {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            let busy = self.lock().busy();
            match busy {
                Ok(None) => return,
                Ok(Some(until)) => {
                    let _woken = tokio::time::timeout_at(until.into(), changed.changed()).await;
                }
                Err(StillBusy) => {
                    let _woken = changed.changed().await;
                }
            }
        }
    }

    fn register(&self, wait: Wait) -> Poll<'_> {
        let id = self.change(|state| {
            state.next_poll += 1;
            if !matches!(wait, Wait::Until(_)) {
                state.came_back();
            }
            state.polls.push((state.next_poll, wait));
            state.next_poll
        });
        Poll { clock: self, id, answered: false }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let answer = change(&mut self.lock());
        self.changed.send_replace(());
        answer
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a poll waits before it looks again; `None`: it is to be answered. `held` is `None` after a change of the mode.
fn pause(state: &State, wait: Wait, held: Option<Duration>) -> Option<Duration> {
    let now = state.now();
    let held = held?;
    match (state.mode, wait) {
        (Mode::Auto { speed }, Wait::Idle { after: Some(at), .. } | Wait::Until(at)) => {
            let left = at.duration_since(now).as_secs_f64();
            (left > 0.0).then(|| Duration::try_from_secs_f64(left / speed).unwrap_or(HELD).clamp(FLOW / 20, HELD))
        }
        (Mode::Auto { .. }, Wait::Busy { .. }) => FLOW.checked_sub(held).filter(|left| !left.is_zero()),
        (Mode::Auto { .. }, Wait::Idle { after: None, .. }) => HELD.checked_sub(held).filter(|left| !left.is_zero()),
        (_, Wait::Busy { known } | Wait::Idle { known, .. }) => (known == now && !due(wait, now)).then_some(HELD),
        (_, Wait::Until(_)) => (!due(wait, now)).then_some(HELD),
    }
}

fn due(wait: Wait, now: Timestamp) -> bool {
    matches!(wait, Wait::Idle { after: Some(at), .. } | Wait::Until(at) if at <= now)
}
