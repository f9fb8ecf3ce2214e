//! Two lanes: passes that somebody waits for never queue behind those whose interval has passed.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits of both lanes.
#[derive(Clone, Debug)]
pub struct Lanes {
    interactive: Arc<Semaphore>,
    periodic: Arc<Semaphore>,
}

/// Which lane a pass takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// An unobserved generation, `requestedAt`, a deletion: somebody waits.
    Interactive,
    /// Everything else.
    Periodic,
}

impl Lanes {
    /// So many permits in each lane.
    #[must_use]
    pub fn new(interactive: u16, periodic: u16) -> Self {
        Self {
            interactive: Arc::new(Semaphore::new(usize::from(interactive))),
            periodic: Arc::new(Semaphore::new(usize::from(periodic))),
        }
    }

    /// A permit, if one is free. A pass never waits for one: it comes back a little later.
    #[must_use]
    pub fn enter(&self, lane: Lane) -> Option<OwnedSemaphorePermit> {
        let semaphore = match lane {
            Lane::Interactive => &self.interactive,
            Lane::Periodic => &self.periodic,
        };
        Arc::clone(semaphore).try_acquire_owned().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P9: periodic passes that hold every permit of their lane leave the interactive lane free.
    #[test]
    fn a_full_periodic_lane_leaves_the_interactive_one_free() {
        let lanes = Lanes::new(1, 2);
        let held: Vec<_> = (0..2).filter_map(|_| lanes.enter(Lane::Periodic)).collect();
        assert_eq!(held.len(), 2);
        assert!(lanes.enter(Lane::Periodic).is_none());
        let interactive = lanes.enter(Lane::Interactive);
        assert!(interactive.is_some());
        assert!(lanes.enter(Lane::Interactive).is_none());
        drop(held);
        assert!(lanes.enter(Lane::Periodic).is_some());
    }
}
