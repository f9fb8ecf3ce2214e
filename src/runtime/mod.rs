//! The process around the controllers: telemetry, metrics, probes, watches, timers and lanes.

pub mod gather;
pub mod lanes;
pub mod metrics;
pub mod server;
pub mod telemetry;
pub mod timers;
pub mod watches;
