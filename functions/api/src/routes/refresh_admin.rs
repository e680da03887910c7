//! `POST /auth/admin/refresh`: the next pair of tokens for the administrator's refresh token.

use std::sync::Arc;

use axum::extract::State;
use shared::{Error, auth::AdminProfile, error::ErrorBody, sessions::Owner};

use super::{
    Answer, Done,
    session::{Session, SessionToken},
};
use crate::{App, payload::Payload};

#[utoipa::path(
    post,
    path = "/auth/admin/refresh",
    operation_id = "refreshAdmin",
    summary = "The next pair of tokens for the administrator, in exchange for a refresh token.",
    description = "The refresh token before the newest is answered for 30 seconds with the newest one again, because an \
                   answer may get lost and two tabs may refresh at once. After that its use ends the session, and so does \
                   the use of any older one.",
    request_body = SessionToken,
    responses(
        (status = 200, description = "Who that is, and the next tokens", body = Done<Session<AdminProfile>>),
        (status = 401, description = "`UNAUTHENTICATED`: never a refresh token, expired, or replaced before, which ends the session", body = ErrorBody<'static>),
    ),
)]
pub(super) async fn post(State(app): State<Arc<App>>, payload: Payload) -> Answer<Done<Session<AdminProfile>>> {
    let token = SessionToken::read(payload)?;
    if token.owner() != Owner::Admin || app.sessions.generation(&token).await? != app.admin.session_generation() {
        return Err(Error::Unauthenticated.into());
    }
    let next = app.sessions.rotate(&token).await?;
    Ok(Done::with(Session::of(app.admin.profile(), &next, &app.tokens)?))
}
