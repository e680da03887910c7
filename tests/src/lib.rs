//! What the behaviour suites share: a cloud per test, a REST client, a Socket.IO client that speaks the wire itself.
//!
//! The official client has its own suite in `e2e/`; here frames are looked at one by one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cloud;
mod contract;
mod document;
mod every_edge;
pub mod fuzz;
mod lossy;
pub mod node;
mod outage;
mod process;
pub mod recovering;
mod rest;
mod runtime_api;
mod secrets;
mod server;
mod socket;
pub mod user;

pub use cloud::{Cloud, Recording, database_at, until};
pub use document::Document;
pub use every_edge::{on_every_edge, on_every_edge_with};
pub use lossy::lossy;
pub use outage::Outage;
pub use process::{Process, keeping_data_in};
pub use rest::{Answer, PASSWORD, Rest};
pub use runtime_api::{Deployment, Invocation, logical_id};
pub use secrets::{TOKEN_SECRET, signing_environment, tokens};
pub use server::serve;
pub use socket::{Edge, Socket};
