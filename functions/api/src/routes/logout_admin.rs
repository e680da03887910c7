//! `POST /auth/admin/logout`: ends the administrator's session. Its access token lives on for its remaining minutes.

use std::sync::Arc;

use axum::extract::State;
use shared::{
    Error,
    error::ErrorBody,
    sessions::{Owner, RefreshToken},
};

use super::{Answer, Done, Nothing, SessionToken};
use crate::{App, payload::Payload};

/// Logging out twice is as good as once.
#[utoipa::path(
    post,
    path = "/auth/admin/logout",
    operation_id = "logoutAdmin",
    summary = "Ends the session of the administrator.",
    description = "Logging out twice is as good as once. The access token lives on for its remaining minutes.",
    request_body = SessionToken,
    responses(
        (status = 200, description = "It is over, also if it was before", body = Done<Nothing>),
        (status = 401, description = "`UNAUTHENTICATED`: this is no refresh token of the kind", body = ErrorBody<'static>),
    ),
)]
pub(super) async fn post(State(app): State<Arc<App>>, payload: Payload) -> Answer<Done<Nothing>> {
    let SessionToken { refresh_token } = payload.json()?;
    let token = RefreshToken::parse(&refresh_token)?;
    if token.owner() != Owner::Admin {
        return Err(Error::Unauthenticated.into());
    }
    app.sessions.end(&token).await?;
    Ok(Done::with(Nothing {}))
}
