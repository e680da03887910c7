//! `DELETE /users/:id`: removes an account, for administrators.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;

use super::{Answer, Done};
use crate::{App, caller::Caller, payload::UserId};

#[derive(Serialize)]
pub(super) struct Nothing {}

pub(super) async fn delete(caller: Caller, State(app): State<Arc<App>>, UserId(id): UserId) -> Answer<Done<Nothing>> {
    caller.must_be_admin()?;
    app.users.delete(id).await?;
    Ok(Done::with(Nothing {}))
}
