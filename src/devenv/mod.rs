//! The development environment that tests and the demo share: a real control plane, the chart rendered by the real helm,
//! the simulator and the operator as processes, and a proxy that kills at a chosen call.
//!
//! Nothing here imitates Kubernetes: kube-apiserver, etcd and kube-controller-manager are the real programs.

pub mod audit;
pub mod chart;
pub mod control_plane;
pub mod demo;
pub mod environment;
pub mod kubeconfig;
pub mod objects;
pub mod operator;
pub mod process;
pub mod programs;
pub mod proxy;
pub mod route;
pub mod simulator;
pub mod tls;
mod watchdog;
