//! Who is calling: tokens, passwords, the administrator.

mod admin;
mod password;
mod token;

pub use admin::{Admin, AdminProfile};
pub use password::Passwords;
pub use token::{ACCESS_TOKEN_SECONDS, Claims, Role, Tokens};
