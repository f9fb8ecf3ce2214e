//! Worlds of any size, fixed by their options.

use std::collections::BTreeSet;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::index;

use super::demo::{E5, Person, base, user_key};
use super::{Refusal, Settings, World};

/// Most users of a generated world.
pub const MAX_USERS: u32 = 50_000;

/// What a generated world looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GenerateOptions {
    /// Users of the PBX, at most [`MAX_USERS`].
    pub users: u32,
    /// Connector licenses.
    pub licenses: u32,
    /// Share of users whom the tenant does not know.
    pub unmatched_percent: u32,
    /// Fixes who they are, and every later draw.
    pub seed: u64,
}

impl World {
    /// A world that is set up to the end, with people who all could be connected but for the unmatched ones. The first user
    /// is the account's administrator.
    ///
    /// # Errors
    /// With more than [`MAX_USERS`] users or more than 100 percent.
    pub fn generated(options: &GenerateOptions) -> Result<Self, Refusal> {
        let GenerateOptions { users, licenses, unmatched_percent, seed } = *options;
        if users > MAX_USERS || unmatched_percent > 100 {
            return Err(Refusal::InvalidValue("at most 50000 users and 100 percent"));
        }
        let mut world = base(Settings { seed, ..Settings::default() }, licenses);
        let unmatched = unmatched(users, unmatched_percent, seed);
        for number in 1..=users {
            let product = (!unmatched.contains(&number)).then_some(E5);
            let last = format!("User {number}");
            let person = Person { number, name: ("Test", &last), local: format!("user{number:05}"), product };
            world.add_person(&person)?;
        }
        for account in world.goto.accounts.values_mut() {
            if let Some(first) = account.users.get_mut(&user_key(1)) {
                first.admin_roles = vec!["SUPER_USER".to_owned()];
            }
        }
        world.complete();
        Ok(world)
    }
}

/// Ordinals of the users whom the tenant does not know: exactly the share, rounded down.
fn unmatched(users: u32, percent: u32, seed: u64) -> BTreeSet<u32> {
    let amount = usize::try_from(u64::from(users) * u64::from(percent) / 100).unwrap_or_default();
    let length = usize::try_from(users).unwrap_or_default();
    let drawn = index::sample(&mut StdRng::seed_from_u64(seed), length, amount);
    drawn.into_iter().filter_map(|position| u32::try_from(position + 1).ok()).collect()
}
