//! `POST /users/:id/email/verify/confirm` and `…/phone/verify/confirm`: the code that was sent, back from the user.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use shared::{
    Error,
    users::{Channel, PublicUser},
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Answer, Done, OfUser};
use crate::{
    App,
    caller::Caller,
    payload::{Payload, UserId},
};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CodeConfirmation {
    /// The code as it was sent; the case of its letters and spaces do not matter.
    code: String,
}

#[utoipa::path(
    post,
    path = "/users/{id}/email/verify/confirm",
    operation_id = "confirmEmail",
    summary = "Verifies the e-mail address with the code that was sent.",
    description = "A wrong or expired code is a 400 that names `code`.",
    params(("id" = Uuid, Path, description = "The user's id")),
    security(("accessToken" = [])),
    request_body = CodeConfirmation,
    responses(
        (status = 200, description = "The user as of now", body = Done<OfUser>),
    ),
)]
pub(super) async fn post_email(
    caller: Caller,
    State(app): State<Arc<App>>,
    UserId(id): UserId,
    payload: Payload,
) -> Answer<Done<OfUser>> {
    confirm(&app, &caller, id, Channel::Email, payload).await
}

#[utoipa::path(
    post,
    path = "/users/{id}/phone/verify/confirm",
    operation_id = "confirmPhone",
    summary = "Verifies the phone number with the code that was sent.",
    description = "A wrong or expired code is a 400 that names `code`.",
    params(("id" = Uuid, Path, description = "The user's id")),
    security(("accessToken" = [])),
    request_body = CodeConfirmation,
    responses(
        (status = 200, description = "The user as of now", body = Done<OfUser>),
    ),
)]
pub(super) async fn post_phone(
    caller: Caller,
    State(app): State<Arc<App>>,
    UserId(id): UserId,
    payload: Payload,
) -> Answer<Done<OfUser>> {
    confirm(&app, &caller, id, Channel::Phone, payload).await
}

/// What is verified stays verified, whatever the code: a form that is sent twice succeeds twice.
async fn confirm(app: &App, caller: &Caller, id: Uuid, channel: Channel, payload: Payload) -> Answer<Done<OfUser>> {
    let editor = caller.must_be_admin_or(id)?;
    let CodeConfirmation { code } = payload.json()?;
    let mut user = app.users.get(id).await?.ok_or(Error::NotFound)?;
    if !channel.is_verified(&user) {
        app.codes.check(id, channel, &code).await?;
        user = app.users.verify(id, channel, editor).await?;
        // It is verified, and the code is good for nothing any more: no reason to answer otherwise.
        if let Err(error) = app.codes.forget(id, channel).await {
            error.log();
        }
    }
    Ok(Done::with(OfUser { user: PublicUser::from(&user) }))
}
