//! The operator dies at any call, and nobody but its log notices.
//!
//! An undisturbed play of the demo world gives the calls, by route and ordinal; then there is a play for each crash. Plays share
//! the seed, so the vendors have the same bad days; what remains is the order of calls that go side by side. An ordinal that a
//! play does not reach is told, and every route must have been hit in every phase.

mod changing;
mod leaving;
mod long;
mod matrix;
mod outcome;
mod play;
mod points;
mod restart;
