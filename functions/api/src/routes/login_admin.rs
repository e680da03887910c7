//! `POST /auth/admin/login`: a session for the administrator.

use std::sync::Arc;

use axum::{extract::State, response::IntoResponse};
use shared::sessions::Owner;

use super::{Credentials, Done, Session, TokenPair};
use crate::{App, failure::Failure, payload::Payload};

pub(super) async fn post(State(app): State<Arc<App>>, payload: Payload) -> Result<impl IntoResponse, Failure> {
    let Credentials { email, password } = payload.json()?;
    app.admin.login(&app.passwords, &email, password).await?;
    let refresh_token = app.sessions.begin(Owner::Admin, app.admin.session_generation()).await?;
    let tokens = TokenPair::new(&app.tokens, &refresh_token)?;
    Ok(Done::with(Session { user: app.admin.profile(), tokens }).into_response())
}
