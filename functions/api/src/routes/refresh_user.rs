//! `POST /auth/user/refresh`: the next pair of tokens for a user's refresh token.

use std::sync::Arc;

use axum::extract::State;
use shared::{Error, error::ErrorBody, sessions::Owner, users::PublicUser};

use super::{
    Answer, Done,
    session::{Session, SessionToken},
};
use crate::{App, payload::Payload};

#[utoipa::path(
    post,
    path = "/auth/user/refresh",
    operation_id = "refreshUser",
    summary = "The next pair of tokens for a user, in exchange for a refresh token.",
    description = "The refresh token before the newest is answered for 30 seconds with the newest one again, because an \
                   answer may get lost and two tabs may refresh at once. After that its use ends the session, and so does \
                   the use of any older one.",
    request_body = SessionToken,
    responses(
        (status = 200, description = "Who that is, and the next tokens", body = Done<Session<PublicUser>>),
        (status = 401, description = "`UNAUTHENTICATED`: never a refresh token, expired, or replaced before, which ends the session", body = ErrorBody<'static>),
        (status = 403, description = "`ACCOUNT_BANNED`", body = ErrorBody<'static>),
    ),
)]
pub(super) async fn post(State(app): State<Arc<App>>, payload: Payload) -> Answer<Done<Session<PublicUser>>> {
    let token = SessionToken::read(payload)?;
    let Owner::User(id) = token.owner() else { return Err(Error::Unauthenticated.into()) };
    // Before the user is looked at: an id in a forged token learns nothing about that account.
    let generation = app.sessions.generation(&token).await?;
    let user = app.users.get(id).await?.ok_or(Error::Unauthenticated)?;
    if user.is_banned {
        return Err(Error::AccountBanned.into());
    }
    if generation != user.session_generation.to_string() {
        return Err(Error::Unauthenticated.into());
    }
    let next = app.sessions.rotate(&token).await?;
    Ok(Done::with(Session::of(PublicUser::from(&user), &next, &app.tokens)?))
}
