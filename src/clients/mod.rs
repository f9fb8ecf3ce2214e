//! HTTP clients of the three APIs. **Architecture invariant:** a client knows the wire, never the plan and never Kubernetes.
//!
//! | Module | What it holds |
//! |---|---|
//! | [`connections`] | what all clients of a process share; builds the clients |
//! | [`endpoints`] | base URLs and what is refused as one |
//! | [`route`] | API families and route templates |
//! | [`http`] | the one way in which a call leaves the process |
//! | [`gate`] | pace and Retry-After, one per API and client id |
//! | [`token`] | access tokens: cache, refresh, rotation |
//! | `channel` | gate, token and call together; repeats reads |
//! | [`listing`] | complete listings, and why one is not complete |
//! | [`error`] | errors by meaning, each with one class |
//!
//! Waiting inside a client (gate, back-off) sleeps on the business clock. **Invariant:** a caller holds no
//! [`crate::clock::Busy`] across a call of a client, else a simulated clock cannot reach the end of the wait; the clients hold
//! one themselves while a call is in flight.

mod channel;
pub mod connections;
pub mod connector;
pub mod endpoints;
pub mod error;
pub mod gate;
pub mod goto;
pub mod graph;
pub mod http;
pub mod listing;
pub mod route;
pub mod token;

#[cfg(test)]
pub(crate) mod testing;

pub use connections::Connections;
pub use endpoints::{ConnectorEndpoint, Endpoints, connector_endpoint};
pub use error::{ApiError, Class, CredentialsProblem};
pub use gate::{Gate, Gates};
pub use http::{CallRecord, Http, HttpSettings, Observer, Outcome};
pub use listing::{Complete, Incomplete, IncompleteCause};
pub use route::{Api, Route};
pub use token::{EntraCredential, GotoCredential, GotoGrant, Persist, Rotated, TokenFacts};
