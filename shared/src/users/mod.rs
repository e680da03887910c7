//! Users: the row, what the world sees of it, the rules of its fields, and the table.

pub mod mailbox;
mod page;
pub mod rules;
mod standing;
mod store;
mod user;
pub mod visible;

pub use page::Page;
pub use standing::Standing;
pub use store::{Editor, NewUser, ProfileChange, UserStore};
pub use user::{PasswordHash, PublicUser, User, iso_millis};
