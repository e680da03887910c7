//! `POST /auth/admin/login`: a session for the administrator.

use std::sync::Arc;

use axum::{extract::State, response::IntoResponse};
use shared::{Error, auth::Role, sessions::Owner};

use super::{Credentials, Done, Session, TokenPair};
use crate::{App, failure::Failure, payload::Payload, source::CameFrom};

pub(super) async fn post(
    State(app): State<Arc<App>>,
    CameFrom(source): CameFrom,
    payload: Payload,
) -> Result<impl IntoResponse, Failure> {
    let Credentials { email, password } = payload.json()?;
    let attempt = app.limits.begin_login(Role::Admin, &email, &source).await?;
    let verified = app.admin.verify(&app.passwords, &email, password).await?;
    app.limits.settle(attempt, verified).await?;
    if !verified {
        return Err(Error::WrongCredentials.into());
    }
    let refresh_token = app.sessions.begin(Owner::Admin, app.admin.session_generation()).await?;
    let tokens = TokenPair::new(&app.tokens, &refresh_token)?;
    Ok(Done::with(Session { user: app.admin.profile(), tokens }).into_response())
}
