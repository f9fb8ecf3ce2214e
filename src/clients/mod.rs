//! HTTP clients of the three APIs. **Architecture invariant:** a client knows the wire, never the plan and never Kubernetes.

pub mod connector;
pub mod goto;
pub mod graph;
