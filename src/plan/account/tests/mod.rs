//! The account's plan on minimal input: a world in which everything is set up, changed by each test.

mod domain;
mod dropped;
mod fixture;
mod gates;
mod graph;
mod report;
mod setup;
mod steps;
mod waiting;
