//! Users: the row, what the world sees of it, the rules of its fields, and the table.

pub mod rules;
mod store;
mod user;

pub use store::{Editor, NewUser, Page, ProfileChange, UserStore};
pub use user::{PasswordHash, PublicUser, User, iso_millis};
