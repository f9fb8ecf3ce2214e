//! The only place that joins `plan` and `clients`: observe, plan, act, report, for accounts and for policies.

pub mod account;
pub mod context;
mod deletion;
mod error;
mod expectations;
mod finalizer;
mod frame;
pub mod observer;
pub mod policy;
mod publish;
pub mod session;
mod start;
mod sweep;

pub use expectations::Expectations;
pub use start::{Scope, Woken, run, wait_for_kinds};
