//! PURE: what is to be done, decided from values. No I/O, no clock, no randomness: time is an argument.

pub mod account;
pub mod observed;
pub mod snapshot;
