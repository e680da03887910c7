//! `POST /auth/user/login`: a session for a user's e-mail address and password.

use std::sync::Arc;

use axum::extract::State;
use shared::{Error, auth::Role, error::ErrorBody, sessions::Owner, users::PublicUser};

use super::{
    Answer, Done,
    session::{Credentials, Session},
};
use crate::{App, client_ip::ClientIp, payload::Payload};

#[utoipa::path(
    post,
    path = "/auth/user/login",
    operation_id = "loginUser",
    summary = "A session for a user's e-mail address and password.",
    description = "The user may have twenty sessions; the one that was not used for the longest time goes first.",
    request_body = Credentials,
    responses(
        (status = 200, description = "Who that is, and the tokens", body = Done<Session<PublicUser>>),
        (status = 401, description = "`WRONG_CREDENTIALS`: which of the two is not said", body = ErrorBody<'static>),
        (status = 403, description = "`ACCOUNT_BANNED`: the password is right", body = ErrorBody<'static>),
        (status = 429, description = "`TOO_MANY_ATTEMPTS`: too many wrong passwords from this address", body = ErrorBody<'static>),
    ),
)]
pub(super) async fn post(
    State(app): State<Arc<App>>,
    ClientIp(source): ClientIp,
    payload: Payload,
) -> Answer<Done<Session<PublicUser>>> {
    let Credentials { email, password } = payload.json()?;
    let check = async {
        let user = app.users.find_by_email(&email).await?;
        let hash = user.as_ref().map(|user| user.password_hash.clone());
        let verified = app.passwords.verify(password, hash).await?;
        Ok(user.filter(|_| verified))
    };
    let user = app.limits.login(Role::User, &email, &source, check).await?.ok_or(Error::WrongCredentials)?;
    // Only after the password: whether an account is banned is its owner's business.
    if user.is_banned {
        return Err(Error::AccountBanned.into());
    }
    let refresh_token = app.sessions.begin(Owner::User(user.id), &user.session_generation.to_string()).await?;
    Ok(Done::with(Session::of(PublicUser::from(&user), &refresh_token, &app.tokens)?))
}
