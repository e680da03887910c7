//! `POST /auth/user/login`: an access token for a user's e-mail address and password.

use std::sync::Arc;

use axum::extract::State;
use shared::{Error, auth::Role, error::ErrorBody, users::PublicUser};

use super::{Answer, Credentials, Done, Session, TokenPair};
use crate::{App, payload::Payload};

#[utoipa::path(
    post,
    path = "/auth/user/login",
    operation_id = "loginUser",
    summary = "An access token for a user's e-mail address and password.",
    request_body = Credentials,
    responses(
        (status = 200, description = "Who that is, and the token", body = Done<Session<PublicUser>>),
        (status = 401, description = "`WRONG_CREDENTIALS`: which of the two is not said", body = ErrorBody<'static>),
        (status = 403, description = "`ACCOUNT_BANNED`: the password is right", body = ErrorBody<'static>),
    ),
)]
pub(super) async fn post(State(app): State<Arc<App>>, payload: Payload) -> Answer<Done<Session<PublicUser>>> {
    let Credentials { email, password } = payload.json()?;
    let user = app.users.find_by_email(&email).await?;
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let verified = app.passwords.verify(password, hash).await?;
    let user = user.filter(|_| verified).ok_or(Error::WrongCredentials)?;
    // Only after the password: whether an account is banned is its owner's business.
    if user.is_banned {
        return Err(Error::AccountBanned.into());
    }
    let tokens = TokenPair::new(app.tokens.issue(user.id, Role::User)?);
    Ok(Done::with(Session { user: PublicUser::from(&user), tokens }))
}
