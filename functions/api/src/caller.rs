//! Who calls: the bearer of the access token, as of this moment.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{header::AUTHORIZATION, request::Parts},
};
use shared::{
    Error,
    auth::Role,
    users::{Editor, User},
};
use uuid::Uuid;

use crate::{App, failure::Failure};

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
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok());
        let (scheme, token) = header.and_then(|header| header.split_once(' ')).ok_or(Error::Unauthenticated)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Error::Unauthenticated.into());
        }
        let claims = app.tokens.verify(token.trim())?;
        if claims.role == Role::Admin {
            return Ok(Self::Admin);
        }
        match app.users.get(claims.user_id()?).await? {
            Some(user) if user.is_banned => Err(Error::AccountBanned.into()),
            Some(user) => Ok(Self::User(Box::new(user))),
            None => Err(Error::Unauthenticated.into()),
        }
    }
}
