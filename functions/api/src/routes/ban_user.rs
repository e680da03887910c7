//! `POST /users/:id/ban`: disables an account, for administrators. Repeating it changes nothing.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use shared::users::{PublicUser, rules};

use super::{Answer, Done, OfUser};
use crate::{
    App,
    caller::Caller,
    payload::{Payload, UserId},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ban {
    reason: String,
}

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
