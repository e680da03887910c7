//! `POST /auth/admin/login`: an access token for the administrator.

use std::sync::Arc;

use axum::{extract::State, response::IntoResponse};
use shared::auth::{Admin, Role};

use super::{Credentials, Done, Session, TokenPair};
use crate::{App, failure::Failure, payload::Payload};

pub(super) async fn post(State(app): State<Arc<App>>, payload: Payload) -> Result<impl IntoResponse, Failure> {
    let Credentials { email, password } = payload.json()?;
    app.admin.login(&app.passwords, &email, password).await?;
    let tokens = TokenPair::new(app.tokens.issue(Admin::ID, Role::Admin)?);
    Ok(Done::with(Session { user: app.admin.profile(), tokens }).into_response())
}
