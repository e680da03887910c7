//! `DELETE /users/:id`: removes an account, for administrators.

use std::sync::Arc;

use axum::extract::State;

use super::{Answer, Done, Nothing};
use crate::{App, caller::Caller, payload::UserId};

#[utoipa::path(
    delete,
    path = "/users/{id}",
    operation_id = "deleteUser",
    summary = "Removes an account, for administrators.",
    description = "The user's sockets hear `account.banned` of kind `deleted` and are closed; the feed hears `users.deleted`.",
    params(("id" = Uuid, Path, description = "The user's id")),
    security(("accessToken" = [])),
    responses((status = 200, description = "It is gone", body = Done<Nothing>)),
)]
pub(super) async fn delete(caller: Caller, State(app): State<Arc<App>>, UserId(id): UserId) -> Answer<Done<Nothing>> {
    caller.must_be_admin()?;
    app.users.delete(id).await?;
    Ok(Done::with(Nothing {}))
}
