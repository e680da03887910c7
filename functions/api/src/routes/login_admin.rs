//! `POST /auth/admin/login`: an access token for the administrator.

use std::sync::Arc;

use axum::extract::State;
use shared::{
    auth::{Admin, AdminProfile, Role},
    error::ErrorBody,
};

use super::{Answer, Credentials, Done, Session, TokenPair};
use crate::{App, payload::Payload};

#[utoipa::path(
    post,
    path = "/auth/admin/login",
    operation_id = "loginAdmin",
    summary = "An access token for the administrator.",
    request_body = Credentials,
    responses(
        (status = 200, description = "Who that is, and the token", body = Done<Session<AdminProfile>>),
        (status = 401, description = "`WRONG_CREDENTIALS`: which of the two is not said", body = ErrorBody<'static>),
    ),
)]
pub(super) async fn post(State(app): State<Arc<App>>, payload: Payload) -> Answer<Done<Session<AdminProfile>>> {
    let Credentials { email, password } = payload.json()?;
    app.admin.login(&app.passwords, &email, password).await?;
    let tokens = TokenPair::new(app.tokens.issue(Admin::ID, Role::Admin)?);
    Ok(Done::with(Session { user: app.admin.profile(), tokens }))
}
