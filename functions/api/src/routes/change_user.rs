//! `PATCH /users/:id`: name and photo, for administrators and the user.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use shared::users::{ProfileChange, PublicUser, rules};
use utoipa::ToSchema;

use super::{Answer, Done, OfUser};
use crate::{
    App,
    caller::Caller,
    openapi::fields,
    payload::{Payload, UserId, present},
};

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Change {
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = fields::full_name, required = false)]
    full_name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = fields::photo_url, required = false)]
    photo_url: Option<Option<String>>,
}

#[utoipa::path(
    patch,
    path = "/users/{id}",
    operation_id = "changeUser",
    summary = "Changes name or photo, for administrators and the user.",
    description = "What is left out stays as it is. The feed hears `users.updated` if something changed.",
    params(("id" = Uuid, Path, description = "The user's id")),
    security(("accessToken" = [])),
    request_body = Change,
    responses((status = 200, description = "The user as of now", body = Done<OfUser>)),
)]
pub(super) async fn patch(
    caller: Caller,
    State(app): State<Arc<App>>,
    UserId(id): UserId,
    payload: Payload,
) -> Answer<Done<OfUser>> {
    let editor = caller.must_be_admin_or(id)?;
    let Change { full_name, photo_url } = payload.json()?;
    let photo_url = photo_url.map(|url| url.as_deref().map(rules::photo_url).transpose());
    rules::Check::default()
        .field("fullName", full_name.as_deref().map_or(Ok(()), rules::full_name))
        .field("photoUrl", photo_url.clone().map_or(Ok(()), |url| url.map(drop)))
        .finish()?;
    let photo_url = photo_url.and_then(Result::ok);
    let user = app.users.change_profile(id, ProfileChange { full_name, photo_url }, editor).await?;
    Ok(Done::with(OfUser { user: PublicUser::from(&user) }))
}
