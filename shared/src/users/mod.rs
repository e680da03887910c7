//! Users: the row, what the world sees of it, the rules of its fields, and the table.

mod account_status;
mod channel;
pub(crate) mod keys;
pub mod mailbox;
mod page;
pub mod rules;
mod store;
mod user;
pub mod visible;

pub use account_status::AccountStatus;
pub use channel::Channel;
pub use page::Page;
pub use store::{Editor, NewUser, ProfileChange, UserStore};
pub use user::{PublicUser, User, iso_millis};
