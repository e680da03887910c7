//! `POST /auth/admin/refresh`: the next pair of tokens for the administrator's refresh token, which works once.

use std::sync::Arc;

use axum::{extract::State, response::IntoResponse};
use shared::{
    Error,
    sessions::{Owner, RefreshToken},
};

use super::{Bearer, Done, Session, TokenPair};
use crate::{App, failure::Failure, payload::Payload};

pub(super) async fn post(State(app): State<Arc<App>>, payload: Payload) -> Result<impl IntoResponse, Failure> {
    let Bearer { refresh_token } = payload.json()?;
    let token = RefreshToken::parse(&refresh_token)?;
    if token.owner() != Owner::Admin || app.sessions.generation(&token).await? != app.admin.session_generation() {
        return Err(Error::Unauthenticated.into());
    }
    let tokens = TokenPair::new(&app.tokens, &app.sessions.rotate(&token).await?)?;
    Ok(Done::with(Session { user: app.admin.profile(), tokens }).into_response())
}
