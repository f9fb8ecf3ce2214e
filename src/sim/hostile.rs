//! Seeded misbehavior: what a client must live with on any day. The same seed and the same calls give the same answers.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::Api;

/// Injected answers in a row on one route, at most: no client starves.
const IN_A_ROW: u32 = 3;

/// What is done to one call.
#[derive(Debug, Clone, PartialEq)]
pub struct Roll {
    /// An answer instead of the true one.
    pub answer: Option<Injected>,
    /// Part of the asked page size that is given, above 0 and at most 1.
    pub page: f64,
    /// Whether the reply carries a field that nobody knows.
    pub extra_field: bool,
    /// Seed for the order of items, duplicates and empty pages.
    pub seed: u64,
}

impl Roll {
    /// The true answer.
    #[must_use]
    pub const fn calm() -> Self {
        Self { answer: None, page: 1.0, extra_field: false, seed: 0 }
    }
}

/// An answer instead of the true one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Injected {
    /// 429.
    Throttled {
        /// `Retry-After` in seconds.
        retry_after: Option<u64>,
    },
    /// A status of 500 and more.
    Unavailable(u16),
}

/// The plan.
#[derive(Debug)]
pub struct Hostile {
    seed: u64,
    calm: bool,
    routes: Mutex<HashMap<(Api, String), Route>>,
}

#[derive(Debug, Default)]
struct Route {
    calls: u64,
    in_a_row: u32,
}

impl Hostile {
    /// A plan from a seed.
    #[must_use]
    pub fn new(seed: u64, calm: bool) -> Self {
        Self { seed, calm, routes: Mutex::default() }
    }

    /// Whether it is switched off.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.calm
    }

    /// What is done to the next call of a route.
    pub fn roll(&self, api: Api, method: &str, route: &str) -> Roll {
        if self.calm {
            return Roll::calm();
        }
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = routes.entry((api, format!("{method} {route}"))).or_default();
        known.calls += 1;
        let mut roll = roll(&mut self.random(&(api, method, route, known.calls)));
        if known.in_a_row >= IN_A_ROW {
            roll.answer = None;
        }
        known.in_a_row = if roll.answer.is_some() { known.in_a_row + 1 } else { 0 };
        roll
    }

    /// Real life of a token in seconds: now and then it ends early.
    #[must_use]
    pub fn token_life(&self, promised: u64, ordinal: u64) -> u64 {
        let mut random = self.random(&("token", ordinal));
        if self.calm || !random.random_bool(0.25) {
            return promised;
        }
        random.random_range(promised / 20..=promised)
    }

    fn random(&self, of: &impl Hash) -> StdRng {
        let mut hasher = DefaultHasher::new();
        (self.seed, of).hash(&mut hasher);
        StdRng::seed_from_u64(hasher.finish())
    }
}

fn roll(random: &mut StdRng) -> Roll {
    let dice: f64 = random.random();
    let answer = if dice < 0.03 {
        let retry_after = random.random_bool(0.5).then(|| random.random_range(1..=20));
        Some(Injected::Throttled { retry_after })
    } else if dice < 0.05 {
        Some(Injected::Unavailable([500, 502, 503, 504][random.random_range(0..4)]))
    } else {
        None
    };
    let page = if random.random_bool(0.5) { 1.0 } else { random.random_range(0.05..1.0) };
    Roll { answer, page, extra_field: random.random_bool(0.2), seed: random.random() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rolls(seed: u64, calm: bool) -> Vec<Roll> {
        let hostile = Hostile::new(seed, calm);
        (0..2000).map(|_| hostile.roll(Api::Graph, "GET", "/v1.0/users")).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_answers_and_another_seed_others() {
        assert_eq!(rolls(7, false), rolls(7, false));
        assert_ne!(rolls(7, false), rolls(8, false));
    }

    #[test]
    fn a_few_percent_of_calls_are_hit_and_never_more_than_three_in_a_row() {
        let rolls = rolls(7, false);
        let hit = rolls.iter().filter(|roll| roll.answer.is_some()).count();
        assert!((40..200).contains(&hit), "{hit}");
        assert!(rolls.windows(4).all(|four| four.iter().any(|roll| roll.answer.is_none())));
    }

    #[test]
    fn calm_means_nothing_is_altered() {
        assert!(rolls(7, true).iter().all(|roll| *roll == Roll::calm()));
        assert_eq!(Hostile::new(7, true).token_life(3600, 3), 3600);
    }
}
