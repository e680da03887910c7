//! `POST /auth/user/logout`: ends a user's session. Its access token lives on for its remaining minutes.

use std::sync::Arc;

use axum::extract::State;
use shared::{auth::Role, error::ErrorBody};

use super::{
    Answer, Done, Nothing,
    session::{self, SessionToken},
};
use crate::{App, payload::Payload};

#[utoipa::path(
    post,
    path = "/auth/user/logout",
    operation_id = "logoutUser",
    summary = "Ends the session of a user.",
    description = "Logging out twice is as good as once. The access token lives on for its remaining minutes.",
    request_body = SessionToken,
    responses(
        (status = 200, description = "It is over, also if it was before", body = Done<Nothing>),
        (status = 401, description = "`UNAUTHENTICATED`: this is no refresh token of the kind", body = ErrorBody<'static>),
    ),
)]
pub(super) async fn post(State(app): State<Arc<App>>, payload: Payload) -> Answer<Done<Nothing>> {
    session::end(&app, Role::User, payload).await
}
