//! The behaviour of the whole, over every edge and on the DynamoDB at `DYNAMODB_ENDPOINT` or the embedded one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod addresses;
mod bans;
mod bill;
mod delivery;
mod document;
mod files;
mod floods;
mod gateway;
mod handshakes;
mod headers;
mod heartbeat;
mod http;
mod invocations;
mod limits;
mod logs;
mod management;
mod outages;
mod own_machine;
mod program;
mod recovery;
mod recovery_races;
mod registration;
mod renewals;
mod repeats;
mod rest;
mod self_delete;
mod sessions;
mod slow_sockets;
mod startup;
mod tokens;
mod typed;
mod users;
mod verification;
