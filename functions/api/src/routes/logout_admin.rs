//! `POST /auth/admin/logout`: ends the administrator's session. Its access token lives on for its remaining minutes.

use std::sync::Arc;

use axum::extract::State;
use shared::{
    Error,
    sessions::{Owner, RefreshToken},
};

use super::{Answer, Bearer, Done, Nothing};
use crate::{App, payload::Payload};

/// Logging out twice is as good as once.
pub(super) async fn post(State(app): State<Arc<App>>, payload: Payload) -> Answer<Done<Nothing>> {
    let Bearer { refresh_token } = payload.json()?;
    let token = RefreshToken::parse(&refresh_token)?;
    if token.owner() != Owner::Admin {
        return Err(Error::Unauthenticated.into());
    }
    app.sessions.end(&token).await?;
    Ok(Done::with(Nothing {}))
}
