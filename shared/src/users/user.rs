//! One user: the row in the table and its public face.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::passwords::PasswordHash;

/// The attributes of a `USER#<id>`/`PROFILE` item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Primary key of the user.
    pub id: Uuid,
    /// At least three words.
    pub full_name: String,
    /// ISO 3166 alpha-2, upper case.
    pub country_code: String,
    /// Free text, as the client shows it.
    pub country_name: String,
    /// E.164.
    pub phone: String,
    /// Whether an administrator disabled the account.
    #[serde(default)]
    pub is_banned: bool,
    /// When the account was banned, ISO 8601 with milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub banned_at: Option<String>,
    /// Why the account was banned; for administrators, not part of [`PublicUser`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ban_reason: Option<String>,
    /// Whether the phone number was confirmed with a code.
    #[serde(default)]
    pub phone_verified: bool,
    /// The address as typed at registration; unique however it is spelt, see [`mailbox`](super::mailbox).
    pub email: String,
    /// Whether the address was confirmed with a code.
    #[serde(default)]
    pub email_verified: bool,
    /// An https URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub photo_url: Option<String>,
    /// ISO 8601 with milliseconds; sorts as text.
    pub created_at: String,
    /// The hash of the password, which never leaves the service.
    pub password_hash: PasswordHash,
    /// Goes up with every ban; sessions of an earlier generation are over, also after an unban.
    #[serde(default)]
    pub session_generation: u32,
    /// The request that wrote the row last, see [`crate::request`]; for logs, not part of [`PublicUser`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What everyone may see of a user: REST answers and event payloads. All keys are always present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublicUser {
    /// UUID.
    pub id: Uuid,
    /// At least three words.
    #[schema(example = "Sara Ahmadi Rad")]
    pub full_name: String,
    /// ISO 3166 alpha-2, or `XK` for Kosovo.
    #[schema(pattern = "^[A-Z]{2}$", example = "IR")]
    pub country_code: String,
    /// Free text.
    pub country_name: String,
    /// E.164.
    #[schema(pattern = "^\\+[1-9][0-9]{6,14}$", example = "+989121234567")]
    pub phone: String,
    /// Whether the account is disabled.
    pub is_banned: bool,
    /// ISO 8601 with milliseconds and Z, or null.
    #[schema(required = true, format = DateTime, pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$")]
    pub banned_at: Option<String>,
    /// Whether the phone number is confirmed.
    pub phone_verified: bool,
    /// The address as typed at registration: before the `@` it is ASCII, its domain may be in any script.
    #[schema(format = "idn-email", example = "sara@example.com")]
    pub email: String,
    /// Whether the address is confirmed.
    pub email_verified: bool,
    /// https URL or null.
    #[schema(required = true, format = "uri", pattern = "^https://")]
    pub photo_url: Option<String>,
    /// ISO 8601 with milliseconds and Z.
    #[schema(format = DateTime, pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$")]
    pub created_at: String,
}

impl From<&User> for PublicUser {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            full_name: user.full_name.clone(),
            country_code: user.country_code.clone(),
            country_name: user.country_name.clone(),
            phone: user.phone.clone(),
            is_banned: user.is_banned,
            banned_at: user.banned_at.clone(),
            phone_verified: user.phone_verified,
            email: user.email.clone(),
            email_verified: user.email_verified,
            photo_url: user.photo_url.clone(),
            created_at: user.created_at.clone(),
        }
    }
}

/// `2025-02-09T18:23:27.396Z`: always three decimals, so that text order is time order.
#[must_use]
pub fn iso_millis(at: Timestamp) -> String {
    format!("{at:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_always_have_three_decimals() {
        assert_eq!(iso_millis(Timestamp::from_millisecond(1_739_125_407_396).unwrap()), "2025-02-09T18:23:27.396Z");
        assert_eq!(iso_millis(Timestamp::from_second(1_739_125_407).unwrap()), "2025-02-09T18:23:27.000Z");
    }
}
