//! `POST /auth/admin/login`: a session for the administrator.

use std::sync::Arc;

use axum::extract::State;
use shared::{
    Error,
    auth::{AdminProfile, Role},
    error::ErrorBody,
    sessions::Owner,
};

use super::{
    Answer, Done,
    session::{Credentials, Session},
};
use crate::{App, client_ip::ClientIp, payload::Payload};

#[utoipa::path(
    post,
    path = "/auth/admin/login",
    operation_id = "loginAdmin",
    summary = "A session for the administrator.",
    description = "The administrator may have twenty sessions; the one that was not used for the longest time goes first.",
    request_body = Credentials,
    responses(
        (status = 200, description = "Who that is, and the tokens", body = Done<Session<AdminProfile>>),
        (status = 401, description = "`WRONG_CREDENTIALS`: which of the two is not said", body = ErrorBody<'static>),
        (status = 429, description = "`TOO_MANY_ATTEMPTS`: too many wrong passwords from this address", body = ErrorBody<'static>),
    ),
)]
pub(super) async fn post(
    State(app): State<Arc<App>>,
    ClientIp(source): ClientIp,
    payload: Payload,
) -> Answer<Done<Session<AdminProfile>>> {
    let Credentials { email, password } = payload.json()?;
    let check = async { Ok(app.admin.verify(&app.passwords, &email, password).await?.then_some(())) };
    app.limits.login(Role::Admin, &email, &source, check).await?.ok_or(Error::WrongCredentials)?;
    let refresh_token = app.sessions.begin(Owner::Admin, app.admin.session_generation()).await?;
    Ok(Done::with(Session::of(app.admin.profile(), &refresh_token, &app.tokens)?))
}
