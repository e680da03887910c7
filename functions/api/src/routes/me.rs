//! `GET /auth/me`: who the token's bearer is, now.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use shared::users::PublicUser;

use super::{Done, OfUser};
use crate::{App, caller::Caller};

pub(super) async fn get(caller: Caller, State(app): State<Arc<App>>) -> Response {
    match caller {
        Caller::Admin => Done::with(OfUser { user: app.admin.profile() }).into_response(),
        Caller::User(user) => Done::with(OfUser { user: PublicUser::from(user.as_ref()) }).into_response(),
    }
}
