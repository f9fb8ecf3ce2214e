//! Tests of the plan of a policy, by subject; `world` is a tiny pure world and `cluster` a tiny pure executor.

mod arbitrary;
mod cluster;
mod conditions;
mod counting;
mod crash;
mod disconnecting;
mod funnel;
mod guarding;
mod incomplete;
mod leaving;
mod matching;
mod model;
mod ownership;
mod printing;
mod properties;
mod refusals;
mod replacing;
mod resuming;
mod running;
mod scheduling;
mod strange;
mod verifying;
mod world;
