//! `POST /users/:id/delete`: the user's own way out, confirmed with the password. Administrators have `DELETE`.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use shared::{Error, auth::Role};

use super::{Answer, Done, Nothing};
use crate::{
    App,
    caller::Caller,
    payload::{Payload, UserId},
    source::CameFrom,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    password: String,
}

pub(super) async fn post(
    caller: Caller,
    State(app): State<Arc<App>>,
    UserId(id): UserId,
    CameFrom(source): CameFrom,
    payload: Payload,
) -> Answer<Done<Nothing>> {
    let user = match caller {
        Caller::User(user) if user.id == id => user,
        Caller::User(_) | Caller::Admin => return Err(Error::Forbidden.into()),
    };
    let Confirmation { password } = payload.json()?;
    // A stolen token must not be a way to guess the password.
    let attempt = app.limits.begin_login(Role::User, &user.email, &source).await?;
    let verified = app.passwords.verify(password, Some(user.password_hash)).await?;
    app.limits.settle(attempt, verified).await?;
    if !verified {
        return Err(Error::WrongPassword.into());
    }
    app.users.delete(id).await?;
    Ok(Done::with(Nothing {}))
}
