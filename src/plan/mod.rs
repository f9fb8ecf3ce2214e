//! PURE: what is to be done, decided from values. No I/O, no clock, no randomness: time is an argument.

pub mod account;
pub mod acted;
pub mod adoption;
mod candidates;
mod counters;
mod decision;
mod disconnect;
mod funnel;
mod guard;
mod holding;
mod licenses;
mod matching;
mod numbers;
pub mod observed;
mod polling;
mod protection;
mod readiness;
mod reading;
mod records;
mod replace;
mod rest;
mod retention;
pub mod run_status;
pub mod runs;
mod schedule;
pub mod snapshot;
mod standing;
pub mod strange;
mod subjects;
pub mod sweep;
#[cfg(test)]
mod tests;
pub mod user_plan;
pub mod user_sync;
mod verification;
