//! The behaviour of the whole, over every edge and on the DynamoDB at `DYNAMODB_ENDPOINT` or the embedded one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bans;
mod delivery;
mod document;
mod gateway;
mod handshakes;
mod headers;
mod heartbeat;
mod http;
mod limits;
mod logs;
mod management;
mod program;
mod registration;
mod repeats;
mod rest;
mod self_delete;
mod sessions;
mod startup;
mod tokens;
mod typed;
mod users;
mod verification;
