//! Newtypes of the business: what the vendors and the field call things, checked once at the edge.
//!
//! **Architecture invariant:** nothing here knows Kubernetes, HTTP or the clock.

mod address;
mod ids;
mod telephone;

pub use address::{Address, InvalidAddress};
pub use ids::{AccountKey, EntraObjectId, InvalidId, OrganizationId, TenantId, UserKey};
pub use telephone::{E164, Extension, InvalidTelephoneNumber};
