//! Who is calling: tokens, and the administrator.

mod admin;
mod token;

pub use admin::{Admin, AdminProfile};
pub use token::{ACCESS_TOKEN_SECONDS, Claims, Role, Tokens};
