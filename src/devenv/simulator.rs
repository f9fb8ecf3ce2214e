//! The simulator as a process, and a client of its control port.
