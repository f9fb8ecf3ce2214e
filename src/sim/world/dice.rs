//! Draws of the world: fixed by its seed and by how many came before.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Builder;

use crate::domain::EntraObjectId;

/// A number from `low` to `high`; counts the draw.
pub(crate) fn roll(seed: u64, draws: &mut u64, low: u32, high: u32) -> u32 {
    generator(seed, draws).random_range(low..=high.max(low))
}

/// A text that nobody guesses, for links; counts the draw.
pub(crate) fn token(seed: u64, draws: &mut u64) -> String {
    format!("{:032x}", generator(seed, draws).random::<u128>())
}

/// An object id; counts the draw.
pub(crate) fn object_id(seed: u64, draws: &mut u64) -> EntraObjectId {
    EntraObjectId::from(Builder::from_random_bytes(generator(seed, draws).random()).into_uuid())
}

fn generator(seed: u64, draws: &mut u64) -> StdRng {
    *draws += 1;
    StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(*draws))
}
