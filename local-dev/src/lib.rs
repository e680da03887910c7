//! The cloud on a laptop: the HTTP API, the WebSocket gateway, the event sources and DynamoDB, around the functions as
//! they are deployed.
//!
//! It re-implements no behaviour: it builds the events AWS would send, and obeys the answers. [`start`] is the program
//! without a terminal; every test has a cloud of its own.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod admin_hash;
mod capacity;
pub mod cli;
mod cloud;
mod contract;
mod cost;
mod dashboard;
mod dynamodb;
mod event;
mod event_source;
mod faults;
mod functions;
mod gateway;
mod http_api;
mod invoke_api;
mod messages;
mod open_files;
mod options;
mod own_host;
mod permissions;
mod schedule;
mod server;
#[cfg(test)]
mod tables;
mod tally;
mod template;
mod throttle;
mod undelivered;

pub use cloud::{Running, StartError, start};
pub use cost::{CYCLE, Cycle, RECOVERY, RENEWAL, Recovery};
pub use faults::{Fault, Faults, Often};
pub use gateway::Limits;
pub use options::{Anonymous, Options};
pub use permissions::{Call, Permissions, needs};
pub use tally::Spent;

/// The region everything here claims to be in.
const REGION: &str = "eu-central-1";
