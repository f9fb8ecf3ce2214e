//! The simulated world: GoTo on one side, a Microsoft tenant on the other, the connector between them.
//!
//! **Architecture invariant:** nothing here is asynchronous, knows HTTP or reads a clock; time is always an argument. Effects
//! that take their time are stored with the moment they are due, and [`World::settle`] applies them in order of time, so no
//! background task exists and a world file is a complete description.

pub mod applications;
pub mod connector;
pub mod directory;
pub mod domains;
pub mod goto;
pub mod permissions;
pub mod settings;
pub mod tenant;

mod account;
mod administrators;
mod allotted;
mod answers;
mod attended;
mod consent;
mod demo;
mod dice;
mod edit;
mod edits;
mod generate;
mod hash;
mod humans;
mod imports;
mod lagged;
mod page;
mod pairs;
mod push;
mod refusal;
mod runs;
mod settle;
mod untouched;
mod verification;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::AccountKey;

pub use connector::Connector;
pub use demo::test_credentials;
pub use domains::TenantDomain;
pub use edit::{Among, Change, Who, WorldEdit};
pub use generate::{GenerateOptions, MAX_USERS};
pub use goto::GotoSide;
pub use hash::state_hash;
pub use humans::HumanAction;
pub use lagged::Lagged;
pub use page::{Cut, Listed, Share};
pub use pairs::Put;
pub use refusal::Refusal;
pub use settings::{GraphSwitches, Humans, ManagedBy, Settings};
pub use tenant::Tenant;

/// Everything that exists; what a world file holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct World {
    /// Delays, windows and habits.
    pub settings: Settings,
    /// GoTo: credentials, accounts, users, lines, numbers.
    pub goto: GotoSide,
    /// The one Microsoft 365 tenant.
    pub tenant: Tenant,
    /// The connector, one per GoTo account.
    pub connectors: BTreeMap<AccountKey, Connector>,
    /// TXT records of DNS by name.
    pub dns: BTreeMap<String, Lagged<Option<String>>>,
    /// Numbers drawn so far: with the seed it fixes every later draw.
    pub draws: u64,
}
