//! `teams-connector-operator` runs GoTo Connect's Teams Connector from Kubernetes objects.
//!
//! The map, in reading order:
//!
//! | Module | What it holds |
//! |---|---|
//! | [`domain`] | newtypes of the business |
//! | [`clock`] | business time: the system's, or the simulator's |
//! | [`api`] | the four kinds, the conditions and their reasons |
//! | [`plan`] | PURE: what is to be done, decided from values |
//! | [`clients`] | the HTTP clients of GoTo, Microsoft Graph and the connector |
//! | [`controllers`] | the only place that joins `plan` and `clients`: observe, plan, act, report |
//! | [`runtime`] | the process around the controllers |
//! | [`settings`] | every flag and environment variable |
//!
//! `sim` and `devenv` exist with the feature `sim` only: the simulator and the development control plane.
//!
//! **Architecture invariants** (`tests/it/layering.rs` reads the sources and fails where one is broken):
//! - `plan` and `clients` never see each other; `controllers` joins them.
//! - `plan`, `api` and `domain` are pure: no `async`, no client, no clock, no randomness.
//! - Status is computed by one pure function per kind and written once per pass.
//! - No external write to a user happens outside a stored `UserSyncRun`.
//! - Service is taken from nobody because of what a status says.

pub mod api;
pub mod clients;
pub mod clock;
pub mod controllers;
#[cfg(feature = "sim")]
pub mod devenv;
pub mod domain;
pub mod plan;
pub mod runtime;
pub mod settings;
#[cfg(feature = "sim")]
pub mod sim;
