//! `GET /users/:id`: one user, for administrators and the user.

use std::sync::Arc;

use axum::{Json, extract::State};
use shared::{Error, users::PublicUser};

use super::Answer;
use crate::{App, caller::Caller, payload::UserId};

#[utoipa::path(
    get,
    path = "/users/{id}",
    operation_id = "getUser",
    summary = "One user, for administrators and the user.",
    description = "As of now.",
    params(("id" = Uuid, Path, description = "The user's id")),
    security(("accessToken" = [])),
    responses((status = 200, description = "The user", body = PublicUser)),
)]
pub(super) async fn get(caller: Caller, State(app): State<Arc<App>>, UserId(id): UserId) -> Answer<PublicUser> {
    caller.must_be_admin_or(id)?;
    let user = app.users.get(id).await?.ok_or(Error::NotFound)?;
    Ok(Json(PublicUser::from(&user)))
}
