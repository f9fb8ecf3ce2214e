//! The simulator: GoTo's APIs, Entra with Microsoft Graph and the connector's contract over one consistent [`world`].
//!
//! Every API router stands behind one [`gate`]: it counts calls in flight, plays the fault script, is hostile by a seeded
//! plan and writes the journal. Handlers behind it only translate: parse, ask the world, answer.
//!
//! **Architecture invariant:** no code of the product outside this module and its binary uses it.

mod alter;
pub mod card5;
pub mod clock;
pub mod connector;
pub mod control;
pub mod endpoints;
pub mod faults;
mod form;
pub mod gate;
pub mod goto;
pub mod graph;
pub mod hostile;
pub mod humans;
pub mod journal;
mod query;
pub mod rate;
mod reply;
pub mod server;
mod tls;
pub mod world;

#[cfg(test)]
mod tests;

use std::ops::{Deref, DerefMut};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use k8s_openapi::jiff::Timestamp;

use self::clock::SimClock;
use self::faults::Faults;
use self::hostile::Hostile;
use self::journal::Journal;
use self::rate::RateLimit;
use self::world::World;

pub use self::endpoints::{Api, Endpoints};
pub use self::gate::Call;
pub use self::server::{Sim, SimConfig, SimError};

/// What all handlers share; cheap to clone.
#[derive(Clone)]
pub struct SimState(Arc<Shared>);

/// The parts of a running simulator.
pub struct Shared {
    world: Mutex<World>,
    /// Virtual time.
    pub clock: SimClock,
    /// Every call.
    pub journal: Journal,
    /// The fault script.
    pub faults: Faults,
    /// The seeded misbehavior.
    pub hostile: Hostile,
    /// The vendor's rate limits in virtual time.
    pub rate: RateLimit,
    /// Number of tokens issued.
    pub tokens_issued: AtomicU64,
    endpoints: OnceLock<Endpoints>,
}

impl Deref for SimState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl SimState {
    /// The state of a simulator that is about to be served.
    #[must_use]
    pub fn new(config: &SimConfig) -> Self {
        Self(Arc::new(Shared {
            world: Mutex::new(config.prepared_world()),
            clock: SimClock::new(config.clock),
            journal: Journal::default(),
            faults: Faults::default(),
            hostile: Hostile::new(config.seed, config.calm),
            rate: RateLimit::new(config.requests_per_second),
            tokens_issued: AtomicU64::new(0),
            endpoints: OnceLock::new(),
        }))
    }

    /// Virtual time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Base URL of the control port, such as `http://127.0.0.1:4000`: links for humans are `{control_url}/links/{token}`.
    #[must_use]
    pub fn control_url(&self) -> &str {
        self.endpoints.get().map_or("", |endpoints| endpoints.control.as_str())
    }

    /// The world as it is now: everything whose time has come has happened.
    pub fn world(&self) -> WorldView<'_> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.settle(self.now());
        world
    }

    /// Moves time on step by step until `target` and returns when everybody has done what there was to do.
    pub async fn advance_to(&self, target: Timestamp) -> clock::Reading {
        self.clock.advance_to(target, &|| self.next_human()).await
    }

    /// When an automatic human acts next.
    fn next_human(&self) -> Option<Timestamp> {
        humans::next_automatic(&self.world(), self.now())
    }

    /// Where everything is served.
    #[must_use]
    pub fn endpoints(&self) -> Option<&Endpoints> {
        self.endpoints.get()
    }

    fn set_endpoints(&self, endpoints: Endpoints) {
        // The ports are bound once; a second value cannot occur.
        let _already_set = self.endpoints.set(endpoints);
    }
}

/// The world, locked.
pub type WorldView<'a> = MutexGuard<'a, World>;

/// The world inside one call. When the fault script says "accepted without effect", dropping it undoes every change.
pub struct WorldGuard<'a> {
    world: WorldView<'a>,
    before: Option<World>,
}

impl Deref for WorldGuard<'_> {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl DerefMut for WorldGuard<'_> {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.world
    }
}

impl Drop for WorldGuard<'_> {
    fn drop(&mut self) {
        if let Some(before) = self.before.take() {
            *self.world = before;
        }
    }
}
