//! `POST /users/:id/ban`: disables an account, for administrators. Repeating it changes nothing.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use shared::users::{PublicUser, rules};
use utoipa::ToSchema;

use super::{Answer, Done, OfUser};
use crate::{
    App,
    caller::Caller,
    openapi::fields,
    payload::{Payload, UserId},
};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Ban {
    #[schema(schema_with = fields::ban_reason)]
    reason: String,
}

#[utoipa::path(
    post,
    path = "/users/{id}/ban",
    operation_id = "banUser",
    summary = "Disables an account, for administrators.",
    description = "Repeating it changes nothing. The user's sockets hear `account.banned` and are closed.",
    params(("id" = Uuid, Path, description = "The user's id")),
    security(("accessToken" = [])),
    request_body = Ban,
    responses((status = 200, description = "The user as of now", body = Done<OfUser>)),
)]
pub(super) async fn post(
    caller: Caller,
    State(app): State<Arc<App>>,
    UserId(id): UserId,
    payload: Payload,
) -> Answer<Done<OfUser>> {
    caller.must_be_admin()?;
    let Ban { reason } = payload.json()?;
    rules::Check::default().field("reason", rules::ban_reason(&reason)).finish()?;
    let user = app.users.ban(id, &reason).await?;
    Ok(Done::with(OfUser { user: PublicUser::from(&user) }))
}
