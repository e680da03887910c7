//! What is decided once: the domain, its events, the protocol, the stores, the gateway, who may do what.
//!
//! Functions translate an event of AWS into calls of this crate; nothing here knows about Lambda events except
//! [`events::Change`] and [`verification::Delivery`], which are made of a stream record, and [`lambda`], which starts a function.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod auth;
pub mod aws;
pub mod config;
pub mod connections;
pub mod contract;
pub mod dynamodb;
pub mod error;
pub mod events;
pub mod gateway;
pub mod heartbeat;
pub mod invoke;
pub mod lambda;
pub mod limits;
pub mod metrics;
pub mod origins;
pub mod passwords;
pub mod protocol;
pub mod recovery;
pub mod repeats;
pub mod request;
pub mod sessions;
pub mod users;
pub mod verification;

pub use error::Error;
