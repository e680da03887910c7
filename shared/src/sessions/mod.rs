//! Sessions: refresh tokens that follow each other in families.
//!
//! A login begins a family; every refresh replaces its one token by the next. The token before that is answered for half
//! a minute with that same next one: an answer may have been lost, and two tabs refresh at the same moment. Whoever comes
//! with a replaced token later is either a thief or was robbed by one, so the whole family ends, and both have to log in
//! again.

mod row;
mod store;
mod token;

pub use store::SessionStore;
pub use token::{Owner, RefreshToken};
