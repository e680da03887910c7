//! Users: the row, what the world sees of it, the rules of its fields, and the table.

mod page;
pub mod rules;
mod standing;
mod store;
mod user;

pub use page::Page;
pub use standing::Standing;
pub use store::{Editor, NewUser, ProfileChange, UserStore};
pub use user::{PasswordHash, PublicUser, User, iso_millis};
