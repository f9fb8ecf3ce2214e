//! Business time: intervals, back-off, windows and token life are measured by this clock.
//!
//! In production it is the system's. With the feature `sim` and `--clock-url` it is the simulator's, so that hours pass in a
//! moment. Leases, deadlines of calls and TLS stay on the real clock.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

/// A handle to business time; cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System,
    #[cfg(feature = "sim")]
    Simulated(simulated::SimulatedClock),
    #[cfg(test)]
    Manual(manual::ManualClock),
}

/// While one of these is held the simulator does not jump ahead; without a simulator it means nothing.
#[derive(Debug)]
#[must_use]
pub struct Busy {
    #[cfg(feature = "sim")]
    _guard: Option<simulated::BusyGuard>,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// The clock of the simulator whose control port is at `url`, such as `http://127.0.0.1:4000`.
    ///
    /// # Errors
    /// When the simulator does not tell its time.
    #[cfg(feature = "sim")]
    pub async fn simulated(url: &str) -> anyhow::Result<Self> {
        Ok(Self(Kind::Simulated(simulated::SimulatedClock::connect(url).await?)))
    }

    /// A clock that a test moves, and the handle that moves it.
    #[cfg(test)]
    #[must_use]
    pub fn manual(start: Timestamp) -> (Self, manual::ManualClock) {
        let clock = manual::ManualClock::new(start);
        (Self(Kind::Manual(clock.clone())), clock)
    }

    /// The current business time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::System => Timestamp::now(),
            #[cfg(feature = "sim")]
            Kind::Simulated(clock) => clock.now(),
            #[cfg(test)]
            Kind::Manual(clock) => clock.now(),
        }
    }

    /// Returns once `at` has passed.
    pub async fn sleep_until(&self, at: Timestamp) {
        match &self.0 {
            Kind::System => sleep_real(at).await,
            #[cfg(feature = "sim")]
            Kind::Simulated(clock) => clock.sleep_until(at).await,
            #[cfg(test)]
            Kind::Manual(clock) => clock.sleep_until(at).await,
        }
    }

    /// Tells a simulated clock that work is going on.
    pub fn busy(&self) -> Busy {
        match &self.0 {
            #[cfg(feature = "sim")]
            Kind::Simulated(clock) => Busy { _guard: Some(clock.busy()) },
            _ => Busy {
                #[cfg(feature = "sim")]
                _guard: None,
            },
        }
    }
}

/// The system clock may be set while we sleep, so the time is looked at again at least every minute.
async fn sleep_real(at: Timestamp) {
    loop {
        let left = at.duration_since(Timestamp::now());
        if !left.is_positive() {
            return;
        }
        let left = Duration::try_from(left).unwrap_or_default();
        tokio::time::sleep(left.min(Duration::from_mins(1))).await;
    }
}

#[cfg(feature = "sim")]
mod simulated {
    //! The client of the simulator's clock.
    //!
    //! One task holds one long poll. While the process works it asks only to be told of a change (`known`); once it is idle
    //! it also says until when it sleeps (`after`), which is what allows the simulator to jump there.

    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex, PoisonError};
    use std::time::{Duration, Instant};

    use anyhow::Context as _;
    use k8s_openapi::jiff::{SignedDuration, Timestamp};
    use serde::Deserialize;
    use tokio::sync::{Notify, watch};

    /// How long the process must be idle before it lets the clock go on: watch events of its own writes arrive meanwhile.
    const SETTLE: Duration = Duration::from_millis(25);

    #[derive(Debug, Clone, Copy, Deserialize)]
    struct Reading {
        now: Timestamp,
        /// Simulated seconds for each real second; 0 when time moves in steps only.
        #[serde(default)]
        speed: f64,
    }

    #[derive(Debug)]
    struct Shared {
        url: String,
        http: reqwest::Client,
        reading: watch::Sender<(Reading, Instant)>,
        state: Mutex<State>,
        changed: Notify,
    }

    #[derive(Debug, Default)]
    struct State {
        busy: usize,
        sleepers: BTreeSet<(Timestamp, u64)>,
        next_id: u64,
    }

    #[derive(Clone, Debug)]
    pub(super) struct SimulatedClock(Arc<Shared>);

    #[derive(Debug)]
    pub(super) struct BusyGuard(Arc<Shared>);

    struct Sleeper<'a> {
        shared: &'a Shared,
        key: (Timestamp, u64),
    }

    impl Shared {
        fn with_state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
            let answer = change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
            self.changed.notify_one();
            answer
        }

        fn wanted(&self) -> (bool, Option<Timestamp>) {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            (state.busy > 0, state.sleepers.first().map(|(at, _)| *at))
        }

        async fn ask(&self, query: &[(&str, String)]) -> anyhow::Result<Reading> {
            let request = self.http.get(format!("{}/clock", self.url)).query(query);
            request.send().await?.error_for_status()?.json().await.context("the simulator's clock")
        }

        fn learn(&self, reading: Reading) {
            self.reading.send_replace((reading, Instant::now()));
        }
    }

    impl SimulatedClock {
        pub(super) async fn connect(url: &str) -> anyhow::Result<Self> {
            let http = reqwest::Client::builder().no_proxy().build()?;
            let unknown = Reading { now: Timestamp::UNIX_EPOCH, speed: 0.0 };
            let shared = Arc::new(Shared {
                url: url.trim_end_matches('/').to_owned(),
                http,
                reading: watch::Sender::new((unknown, Instant::now())),
                state: Mutex::default(),
                changed: Notify::new(),
            });
            shared.learn(shared.ask(&[]).await?);
            tokio::spawn(follow(Arc::clone(&shared)));
            Ok(Self(shared))
        }

        pub(super) fn now(&self) -> Timestamp {
            let (reading, at) = *self.0.reading.borrow();
            if reading.speed == 0.0 {
                return reading.now;
            }
            let passed = SignedDuration::from_secs_f64(at.elapsed().as_secs_f64() * reading.speed);
            reading.now.checked_add(passed).unwrap_or(reading.now)
        }

        pub(super) fn busy(&self) -> BusyGuard {
            self.0.with_state(|state| state.busy += 1);
            BusyGuard(Arc::clone(&self.0))
        }

        pub(super) async fn sleep_until(&self, at: Timestamp) {
            let mut reading = self.0.reading.subscribe();
            let sleeper = Sleeper::new(&self.0, at);
            while self.now() < at {
                if reading.changed().await.is_err() {
                    break;
                }
            }
            drop(sleeper);
        }
    }

    impl<'a> Sleeper<'a> {
        fn new(shared: &'a Shared, at: Timestamp) -> Self {
            let key = shared.with_state(|state| {
                state.next_id += 1;
                let key = (at, state.next_id);
                state.sleepers.insert(key);
                key
            });
            Self { shared, key }
        }
    }

    impl Drop for Sleeper<'_> {
        fn drop(&mut self) {
            self.shared.with_state(|state| state.sleepers.remove(&self.key));
        }
    }

    impl Drop for BusyGuard {
        fn drop(&mut self) {
            self.0.with_state(|state| state.busy -= 1);
        }
    }

    /// Holds the long poll for as long as the process lives.
    async fn follow(shared: Arc<Shared>) {
        loop {
            let known = shared.reading.borrow().0.now;
            let mut query = vec![("known", known.to_string())];
            let (busy, next) = shared.wanted();
            if !busy {
                tokio::time::sleep(SETTLE).await;
                if shared.wanted() != (busy, next) {
                    continue;
                }
                // Nobody sleeps: still idle, so time may pass for others.
                let after = next.map_or_else(|| "never".to_owned(), |at| at.to_string());
                query.push(("after", after));
            }
            tokio::select! {
                answer = shared.ask(&query) => match answer {
                    Ok(reading) => shared.learn(reading),
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
                () = shared.changed.notified() => {}
            }
        }
    }
}

#[cfg(test)]
pub mod manual {
    //! A clock that tests move: by hand, or by itself to whatever is waited for.

    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use k8s_openapi::jiff::Timestamp;
    use tokio::sync::watch;

    /// Moves the business time of a test; all clones share it.
    #[derive(Clone, Debug)]
    pub struct ManualClock {
        now: watch::Sender<Timestamp>,
        jumps: Arc<AtomicBool>,
    }

    impl ManualClock {
        pub(super) fn new(start: Timestamp) -> Self {
            Self { now: watch::Sender::new(start), jumps: Arc::default() }
        }

        /// From now on every sleep moves the time to its end at once.
        pub fn jump(&self) {
            self.jumps.store(true, Ordering::SeqCst);
        }

        /// Moves the time on.
        pub fn advance(&self, by: Duration) {
            self.now.send_modify(|now| *now += by);
        }

        /// The time of the test.
        pub fn now(&self) -> Timestamp {
            *self.now.borrow()
        }

        pub(super) async fn sleep_until(&self, at: Timestamp) {
            if self.jumps.load(Ordering::SeqCst) {
                self.now.send_modify(|now| *now = (*now).max(at));
            }
            // The sender lives as long as this clock, so the wait cannot fail.
            let _ = self.now.subscribe().wait_for(|now| *now >= at).await;
        }
    }
}
