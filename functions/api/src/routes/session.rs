//! What logins, refreshes and logouts have in common, whoever's session it is.

use serde::{Deserialize, Serialize};
use shared::{
    Error,
    auth::{ACCESS_TOKEN_SECONDS, Role, Tokens},
    sessions::RefreshToken,
};
use utoipa::ToSchema;

use super::{Answer, Done, Nothing};
use crate::{App, payload::Payload};

/// `"user":…,"tokens":…`.
#[derive(Serialize, ToSchema)]
pub(super) struct Session<U> {
    /// Who logged in.
    user: U,
    /// The tokens that prove the login from now on.
    tokens: TokenPair,
}

/// What a login brings.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TokenPair {
    /// JWT, for `Authorization: Bearer` and the sockets' `auth: { token }`.
    access_token: String,
    /// For the next pair of tokens, within 30 days. Once it has brought that it is good for half a minute more, for the
    /// same pair: an answer may get lost, and two tabs may refresh at once.
    refresh_token: String,
    /// Life of the access token, seconds.
    expires_in: i64,
}

impl<U> Session<U> {
    /// The session of this refresh token, with a fresh access token.
    pub(super) fn of(user: U, refresh_token: &RefreshToken, tokens: &Tokens) -> Result<Self, Error> {
        let owner = refresh_token.owner();
        let access_token = tokens.issue(owner.subject(), owner.role())?;
        let refresh_token = refresh_token.text();
        Ok(Self { user, tokens: TokenPair { access_token, refresh_token, expires_in: ACCESS_TOKEN_SECONDS } })
    }
}

/// What both logins are sent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    /// The address, however it is spelt: in any case of its letters, its domain in Unicode or in Punycode.
    pub(super) email: String,
    /// The password as chosen at registration.
    pub(super) password: String,
}

/// What refreshing and logging out are sent.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SessionToken {
    /// The newest of the session.
    refresh_token: String,
}

impl SessionToken {
    /// The token in a request.
    ///
    /// # Errors
    /// Those of [`Payload::json`]; [`Error::Unauthenticated`] for what never was a refresh token.
    pub(super) fn read(payload: Payload) -> Result<RefreshToken, Error> {
        let Self { refresh_token } = payload.json()?;
        RefreshToken::parse(&refresh_token)
    }
}

/// Logs out: ends the session of a token, if its owner is of this kind. Twice is as good as once.
pub(super) async fn end(app: &App, role: Role, payload: Payload) -> Answer<Done<Nothing>> {
    let token = SessionToken::read(payload)?;
    if token.owner().role() != role {
        return Err(Error::Unauthenticated.into());
    }
    app.sessions.end(&token).await?;
    Ok(Done::with(Nothing {}))
}
