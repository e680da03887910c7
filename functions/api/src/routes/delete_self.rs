//! `POST /users/:id/delete`: the user's own way out, confirmed with the password. Administrators have `DELETE`.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use shared::{Error, auth::Role, error::ErrorBody};
use utoipa::ToSchema;

use super::{Answer, Done, Nothing};
use crate::{
    App,
    caller::Caller,
    client_ip::ClientIp,
    payload::{Payload, UserId},
};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordConfirmation {
    /// The password of the account.
    password: String,
}

#[utoipa::path(
    post,
    path = "/users/{id}/delete",
    operation_id = "deleteSelf",
    summary = "A user's own way out, confirmed with the password.",
    description = "The user's sockets hear `account.banned` of kind `deleted` and are closed. Administrators have `DELETE`.",
    params(("id" = Uuid, Path, description = "The user's id")),
    security(("accessToken" = [])),
    request_body = PasswordConfirmation,
    responses(
        (status = 200, description = "It is gone", body = Done<Nothing>),
        (status = 401, description = "`WRONG_PASSWORD`, or `UNAUTHENTICATED` as everywhere", body = ErrorBody<'static>),
        (status = 429, description = "`TOO_MANY_ATTEMPTS`: too many wrong passwords from this address", body = ErrorBody<'static>),
    ),
)]
pub(super) async fn post(
    caller: Caller,
    State(app): State<Arc<App>>,
    UserId(id): UserId,
    ClientIp(source): ClientIp,
    payload: Payload,
) -> Answer<Done<Nothing>> {
    let user = match caller {
        Caller::User(user) if user.id == id => user,
        Caller::User(_) | Caller::Admin => return Err(Error::Forbidden.into()),
    };
    let PasswordConfirmation { password } = payload.json()?;
    // A stolen token must not be a way to guess the password.
    let (email, hash) = (user.email, user.password_hash);
    let check = async { Ok(app.passwords.verify(password, Some(hash)).await?.then_some(())) };
    app.limits.login(Role::User, &email, &source, check).await?.ok_or(Error::WrongPassword)?;
    app.users.delete(id).await?;
    Ok(Done::with(Nothing {}))
}
