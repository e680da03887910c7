//! The two ways to reach a user.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    dynamodb::{Item, s},
    users::User,
};

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

    /// Sort key of its code; a prefix of it is what `notify` filters the stream by.
    #[must_use]
    pub fn sort_key(self) -> &'static str {
        match self {
            Self::Email => "CODE#email",
            Self::Phone => "CODE#phone",
        }
    }

    /// Key of its code, of this user.
    pub(crate) fn code_key(self, id: Uuid) -> Item {
        HashMap::from([("pk".into(), s(format!("USER#{id}"))), ("sk".into(), s(self.sort_key()))])
    }

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
