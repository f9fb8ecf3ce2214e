//! The development environment on the command line.
fn main() {}
