//! The product on a laptop: its template and its functions in the emulator of AWS, with socketioxide as a second entrance
//! for sockets, the dashboard at `/`, and the options of the program.
//!
//! [`start`] is the program without a terminal; every test has a cloud of its own.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod cli;
mod contract;
mod dashboard;
mod functions;
mod open_files;
mod options;
mod start;
#[cfg(test)]
mod template;

pub use emulator::{Call, Fault, Faults, Often, Permissions, Running, Spent, StartError};
pub use options::{Anonymous, Limits, Options};
pub use start::{TEMPLATE, start};
