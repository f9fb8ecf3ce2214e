//! The one integration-test binary: the real binary, a real control plane, the simulator as a process.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

mod admission;
mod approvals;
mod breaker;
mod budget;
mod chart;
mod connect;
mod control_plane;
mod crash;
mod credentials;
mod decide;
mod default_binary;
mod deleting;
mod edits;
mod environment;
mod faults;
mod harness;
mod in_flight;
mod layering;
mod leaving;
mod matching;
mod objects;
mod proxy;
mod replacing;
mod safety;
mod setup;
mod stage;
mod withdrawn;
mod without_effect;
