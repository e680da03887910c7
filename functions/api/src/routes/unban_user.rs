//! `POST /users/:id/unban`: enables an account again, for administrators. Needs no body.

use std::sync::Arc;

use axum::extract::State;
use shared::users::PublicUser;

use super::{Answer, Done, OfUser};
use crate::{App, caller::Caller, payload::UserId};

#[utoipa::path(
    post,
    path = "/users/{id}/unban",
    operation_id = "unbanUser",
    summary = "Enables an account again, for administrators. Needs no body.",
    description = "Repeating it changes nothing. Sessions from before the ban stay over.",
    params(("id" = Uuid, Path, description = "The user's id")),
    security(("accessToken" = [])),
    responses((status = 200, description = "The user as of now", body = Done<OfUser>)),
)]
pub(super) async fn post(caller: Caller, State(app): State<Arc<App>>, UserId(id): UserId) -> Answer<Done<OfUser>> {
    caller.must_be_admin()?;
    let user = app.users.unban(id).await?;
    Ok(Done::with(OfUser { user: PublicUser::from(&user) }))
}
