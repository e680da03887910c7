//! What a client sends to join the namespace, and why it may be refused.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::Error;

/// What the client's `auth` option holds. Other keys are not looked at.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct AuthPayload {
    /// The `accessToken` of a login or a refresh. Without it the socket hears the feed where that is allowed.
    #[schema(required = false)]
    pub token: Option<String>,
    /// Whether the socket can be recovered: each event of the feed then has an offset as second argument, and the client's
    /// `socket.recovered` says after a reconnection whether it was told all it had missed. Only `true` asks for it.
    #[serde(deserialize_with = "is_true")]
    #[schema(required = false)]
    pub recovery: bool,
}

/// Whatever else is there is no reason to refuse a socket.
fn is_true<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    Value::deserialize(value).map(|value| value == Value::Bool(true))
}

/// Why somebody may not join, or not stay. Final: another try with the same token is answered alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Refusal {
    /// No token, or one that is forged or expired, or whose owner is gone.
    Unauthenticated,
    /// The account is banned.
    AccountBanned,
}

impl Refusal {
    /// The refusal in an error; anything else may be different a moment later.
    ///
    /// # Errors
    /// The error itself, if it is no refusal.
    pub fn of(error: Error) -> Result<Self, Error> {
        match error {
            Error::Unauthenticated => Ok(Self::Unauthenticated),
            Error::AccountBanned => Ok(Self::AccountBanned),
            error => Err(error),
        }
    }
}

/// The payload of a CONNECT_ERROR: `error.message` in `connect_error` of the official client.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectRefused {
    /// The reason.
    pub message: ConnectRefusal,
}

/// Why a CONNECT is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum ConnectRefusal {
    /// No token, or one that is forged or expired, or whose owner is gone.
    #[serde(rename = "UNAUTHENTICATED")]
    Unauthenticated,
    /// The account is banned.
    #[serde(rename = "ACCOUNT_BANNED")]
    AccountBanned,
    /// There is no such namespace.
    #[serde(rename = "Invalid namespace")]
    InvalidNamespace,
}

impl ConnectRefusal {
    /// The refusal as it is on the wire.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::AccountBanned => "ACCOUNT_BANNED",
            Self::InvalidNamespace => "Invalid namespace",
        }
    }
}

impl From<Refusal> for ConnectRefusal {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthenticated => Self::Unauthenticated,
            Refusal::AccountBanned => Self::AccountBanned,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_true_asks_for_recovery_and_nothing_else_is_held_against_a_token() {
        for (auth, recovers) in [
            (json!({"recovery": true}), true),
            (json!({}), false),
            (json!({"recovery": false}), false),
            (json!({"recovery": "true"}), false),
            (json!({"recovery": 1}), false),
            (json!({"recovery": null}), false),
            (json!({"recovery": {"a": []}, "pid": 7}), false),
        ] {
            assert_eq!(AuthPayload::deserialize(&auth).unwrap().recovery, recovers, "{auth}");
        }
    }

    #[test]
    fn a_refusal_is_on_the_wire_what_the_contract_says_and_what_rest_answers() {
        for (error, code) in [(Error::Unauthenticated, "UNAUTHENTICATED"), (Error::AccountBanned, "ACCOUNT_BANNED")] {
            assert_eq!(error.code(), code);
            let refusal = Refusal::of(error).unwrap();
            let connect = ConnectRefusal::from(refusal);
            assert_eq!([json!(refusal), json!(connect), json!(connect.text())], [code, code, code]);
        }
        let unknown = ConnectRefusal::InvalidNamespace;
        assert_eq!(json!(ConnectRefused { message: unknown }), json!({"message": unknown.text()}));
        assert!(matches!(Refusal::of(Error::Forbidden), Err(Error::Forbidden)));
    }
}
