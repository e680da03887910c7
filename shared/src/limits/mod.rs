//! Abuse limits: how often something may be tried, and by whom, counted where every instance of a function sees it.

mod client_network;
mod closed;
mod counters;
mod store;

pub use client_network::ClientNetwork;
pub use store::LimitStore;
