//! `GET /auth/me`: who the token's bearer is, now.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use shared::{auth::AdminProfile, users::PublicUser};
use utoipa::ToSchema;

use super::{Done, OfUser};
use crate::{App, caller::Caller};

/// A user, or the administrator.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Bearer {
    User(Box<PublicUser>),
    Admin(AdminProfile),
}

#[utoipa::path(
    get,
    path = "/auth/me",
    operation_id = "me",
    summary = "Who the token's bearer is, now.",
    description = "A user, or the administrator.",
    security(("accessToken" = [])),
    responses((status = 200, description = "A user, or the administrator", body = Done<OfUser<Bearer>>)),
)]
pub(super) async fn get(caller: Caller, State(app): State<Arc<App>>) -> Json<Done<OfUser<Bearer>>> {
    let user = match caller {
        Caller::Admin => Bearer::Admin(app.admin.profile()),
        Caller::User(user) => Bearer::User(Box::new(PublicUser::from(user.as_ref()))),
    };
    Done::with(OfUser { user })
}
