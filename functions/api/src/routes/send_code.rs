//! `POST /users/:id/email/verify/send` and `…/phone/verify/send`: a code, for administrators and the user. Needs no body.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use shared::{Error, error::ErrorBody, users::Channel, verification::CODE_SECONDS};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Answer, Done};
use crate::{App, caller::Caller, payload::UserId};

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sent {
    /// False if there is nothing to verify any more.
    sent: bool,
    /// Life of the code, seconds; 0 if none was sent.
    expires_in: i64,
}

#[utoipa::path(
    post,
    path = "/users/{id}/email/verify/send",
    operation_id = "sendEmailCode",
    summary = "Sends a code to the e-mail address, for administrators and the user.",
    description = "The code is good for ten minutes. An address or number gets one a minute and ten a day.",
    params(("id" = Uuid, Path, description = "The user's id")),
    security(("accessToken" = [])),
    responses(
        (status = 200, description = "Whether one was sent, and for how long it is good", body = Done<Sent>),
        (status = 429, description = "`TOO_MANY_ATTEMPTS`: one a minute, ten a day", body = ErrorBody<'static>),
    ),
)]
pub(super) async fn post_email(caller: Caller, State(app): State<Arc<App>>, UserId(id): UserId) -> Answer<Done<Sent>> {
    send(&app, &caller, id, Channel::Email).await
}

#[utoipa::path(
    post,
    path = "/users/{id}/phone/verify/send",
    operation_id = "sendPhoneCode",
    summary = "Sends a code to the phone number, for administrators and the user.",
    description = "The code is good for ten minutes. An address or number gets one a minute and ten a day.",
    params(("id" = Uuid, Path, description = "The user's id")),
    security(("accessToken" = [])),
    responses(
        (status = 200, description = "Whether one was sent, and for how long it is good", body = Done<Sent>),
        (status = 429, description = "`TOO_MANY_ATTEMPTS`: one a minute, ten a day", body = ErrorBody<'static>),
    ),
)]
pub(super) async fn post_phone(caller: Caller, State(app): State<Arc<App>>, UserId(id): UserId) -> Answer<Done<Sent>> {
    send(&app, &caller, id, Channel::Phone).await
}

async fn send(app: &App, caller: &Caller, id: Uuid, channel: Channel) -> Answer<Done<Sent>> {
    caller.must_be_admin_or(id)?;
    let user = app.users.get(id).await?.ok_or(Error::NotFound)?;
    if channel.is_verified(&user) {
        return Ok(Done::with(Sent { sent: false, expires_in: 0 }));
    }
    app.limits.code(channel.address(&user)).await?;
    app.codes.send(&user, channel).await?;
    Ok(Done::with(Sent { sent: true, expires_in: CODE_SECONDS }))
}
