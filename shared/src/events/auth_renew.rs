//! What `auth.renew` is emitted with, and what its acknowledgement says. The function `message` does it.

use serde::{Deserialize, Serialize};
use utoipa::{
    ToSchema,
    openapi::{ObjectBuilder, Type, schema::Object},
};

use super::Refusal;

/// The event's name.
pub const NAME: &str = "auth.renew";

/// A fresh token for a socket, of the account it joined as.
#[derive(Deserialize, ToSchema)]
pub struct AuthRenew {
    /// The `accessToken` of a login or a refresh.
    pub token: String,
}

/// What `auth.renew` is acknowledged with.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum AuthRenewAnswer {
    /// The socket stays.
    Renewed(AuthRenewed),
    /// The socket is closed at the end of the token it has.
    Refused(AuthRenewRefused),
}

impl AuthRenewAnswer {
    /// The socket may stay until then, as [`iso_millis`](crate::users::iso_millis) writes it.
    #[must_use]
    pub fn renewed(expires_at: String) -> Self {
        Self::Renewed(AuthRenewed { ok: true, expires_at })
    }

    /// The answer that the token does not let the socket stay.
    #[must_use]
    pub fn refused(message: Refusal) -> Self {
        Self::Refused(AuthRenewRefused { ok: false, message })
    }
}

/// Until when a socket may stay.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthRenewed {
    #[schema(schema_with = always::<true>)]
    ok: bool,
    /// ISO 8601 with milliseconds and Z.
    #[schema(format = DateTime, pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$")]
    expires_at: String,
}

/// Why a token does not let a socket stay.
#[derive(Serialize, ToSchema)]
pub struct AuthRenewRefused {
    #[schema(schema_with = always::<false>)]
    ok: bool,
    /// `UNAUTHENTICATED` also for the token of another account.
    message: Refusal,
}

/// A boolean that is always this.
fn always<const VALUE: bool>() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Boolean)
        .description(Some(if VALUE { "Always true." } else { "Always false." }))
        .enum_values(Some([VALUE]))
        .build()
}
