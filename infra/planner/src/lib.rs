//! What a deployment takes before there is one: what a month costs, what happens with many sockets, and the hash of the
//! administrator's password. The commands `local-dev cost`, `capacity` and `admin-hash` print it.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod admin_hash;
mod capacity;
mod cost;
#[cfg(test)]
mod tables;

pub use admin_hash::read_and_hash;
pub use capacity::{Crowd, Report};
pub use cost::{Bill, CYCLE, Cycle, Load, RECOVERY, RENEWAL, Recovery};

/// The template that is planned with.
const TEMPLATE: &str = include_str!("../../template.yaml");
