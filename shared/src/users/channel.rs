//! The two ways to reach a user.

use super::User;

/// What is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// The e-mail address.
    Email,
    /// The phone number, by SMS.
    Phone,
}

impl Channel {
    /// Both channels.
    pub const ALL: [Self; 2] = [Self::Email, Self::Phone];

    /// Attribute of the user that says it is verified.
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::Email => "emailVerified",
            Self::Phone => "phoneVerified",
        }
    }

    /// Whether the user's address on this channel is verified already.
    #[must_use]
    pub fn is_verified(self, user: &User) -> bool {
        match self {
            Self::Email => user.email_verified,
            Self::Phone => user.phone_verified,
        }
    }

    /// Where the code goes.
    #[must_use]
    pub fn address(self, user: &User) -> &str {
        match self {
            Self::Email => &user.email,
            Self::Phone => &user.phone,
        }
    }
}
