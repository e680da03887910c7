//! `GET /users/:id`: one user, for administrators and the user.

use std::sync::Arc;

use axum::{Json, extract::State};
use shared::{Error, users::PublicUser};

use super::Answer;
use crate::{App, caller::Caller, payload::UserId};

pub(super) async fn get(caller: Caller, State(app): State<Arc<App>>, UserId(id): UserId) -> Answer<PublicUser> {
    caller.must_be_admin_or(id)?;
    let user = app.users.get(id).await?.ok_or(Error::NotFound)?;
    Ok(Json(PublicUser::from(&user)))
}
