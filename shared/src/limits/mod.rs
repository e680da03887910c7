//! Abuse limits: how often something may be tried, and by whom, counted where every instance of a function sees it.

mod closed;
mod counters;
mod source;
mod store;

pub use source::Source;
pub use store::LimitStore;
