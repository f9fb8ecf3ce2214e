//! Client.

pub mod wire;
