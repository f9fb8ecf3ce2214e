//! The one integration-test binary: the real binary, a real control plane, the simulator as a process.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

mod admission;
mod chart;
mod control_plane;
mod credentials;
mod environment;
mod faults;
mod harness;
mod layering;
mod proxy;
mod stage;
