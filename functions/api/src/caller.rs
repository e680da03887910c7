//! Who calls: the bearer of the access token, as of this moment.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
};
use shared::{
    Error,
    auth::Role,
    users::{Editor, User},
};
use uuid::Uuid;

use crate::{App, error_response::ErrorResponse};

/// An authenticated caller. A user's row is read with every request: a ban or delete takes effect at once, not when
/// the token expires.
pub(crate) enum Caller {
    Admin,
    User(Box<User>),
}

impl Caller {
    /// # Errors
    /// [`Error::Forbidden`] for anyone but the administrator.
    pub(crate) fn must_be_admin(&self) -> Result<(), Error> {
        if matches!(self, Self::Admin) { Ok(()) } else { Err(Error::Forbidden) }
    }

    /// # Errors
    /// [`Error::Forbidden`] for anyone but the administrator and this user.
    pub(crate) fn must_be_admin_or(&self, id: Uuid) -> Result<Editor, Error> {
        match self {
            Self::Admin => Ok(Editor::Admin),
            Self::User(user) if user.id == id => Ok(Editor::Owner),
            Self::User(_) => Err(Error::Forbidden),
        }
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ErrorResponse;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ErrorResponse> {
        let token = bearer(&parts.headers).ok_or(Error::Unauthenticated)?;
        let claims = app.tokens.verify(token).map_err(|_| ErrorResponse::bad_token())?;
        if claims.role == Role::Admin {
            return Ok(Self::Admin);
        }
        match app.users.get(claims.user_id().map_err(|_| ErrorResponse::bad_token())?).await? {
            Some(user) if user.is_banned => Err(Error::AccountBanned.into()),
            Some(user) => Ok(Self::User(Box::new(user))),
            None => Err(ErrorResponse::bad_token()),
        }
    }
}

/// The token of a request, if it has one, good or not.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
