//! Sessions: refresh tokens that work once, and the families they follow each other in.
//!
//! A login begins a family; every refresh replaces its one token by the next. Whoever comes with a replaced token is
//! either a thief or was robbed by one, so the whole family ends, and both have to log in again.

mod store;
mod token;

pub use store::SessionStore;
pub use token::{Owner, RefreshToken};
