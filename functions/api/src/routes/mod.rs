//! The routes, one file each.

mod ban_user;
mod change_user;
mod confirm_code;
mod delete_self;
mod delete_user;
mod get_user;
mod health;
mod list_users;
mod login_admin;
mod login_user;
mod logout_admin;
mod logout_user;
mod me;
mod refresh_admin;
mod refresh_user;
mod register;
mod send_code;
mod unban_user;

use std::sync::Arc;

use axum::{
    Json, Router,
    routing::{get, post},
};
use serde::Serialize;
use shared::{
    Error,
    auth::{ACCESS_TOKEN_SECONDS, Tokens},
    sessions::RefreshToken,
    users::PublicUser,
};

use crate::{App, failure::Failure};

/// The table.
pub(crate) fn router(app: Arc<App>) -> Router {
    let v1 = Router::new()
        .route("/health", get(health::get))
        .route("/users", get(list_users::get))
        .route("/users/register", post(register::post))
        .route("/users/{id}", get(get_user::get).patch(change_user::patch).delete(delete_user::delete))
        .route("/users/{id}/ban", post(ban_user::post))
        .route("/users/{id}/unban", post(unban_user::post))
        .route("/users/{id}/delete", post(delete_self::post))
        .route("/users/{id}/email/verify/send", post(send_code::post_email))
        .route("/users/{id}/email/verify/confirm", post(confirm_code::post_email))
        .route("/users/{id}/phone/verify/send", post(send_code::post_phone))
        .route("/users/{id}/phone/verify/confirm", post(confirm_code::post_phone))
        .route("/auth/user/login", post(login_user::post))
        .route("/auth/user/refresh", post(refresh_user::post))
        .route("/auth/user/logout", post(logout_user::post))
        .route("/auth/admin/login", post(login_admin::post))
        .route("/auth/admin/refresh", post(refresh_admin::post))
        .route("/auth/admin/logout", post(logout_admin::post))
        .route("/auth/me", get(me::get));
    Router::new()
        .nest("/api/v1", v1)
        .fallback(async || Failure::from(Error::NotFound))
        .method_not_allowed_fallback(async || Failure::from(Error::MethodNotAllowed))
        .with_state(app)
}

/// What a route answers, or why not.
type Answer<T> = Result<Json<T>, Failure>;

/// `{"ok":true}` with what was asked for, if anything.
#[derive(Serialize)]
struct Done<T> {
    ok: bool,
    #[serde(flatten)]
    result: T,
}

impl<T> Done<T> {
    fn with(result: T) -> Json<Self> {
        Json(Self { ok: true, result })
    }
}

/// `"user":…`; of the administrator's own kind where the administrator is meant.
#[derive(Serialize)]
struct OfUser<U = PublicUser> {
    user: U,
}

/// Nothing beside `"ok":true`.
#[derive(Serialize)]
struct Nothing {}

/// `"user":…,"tokens":…`.
#[derive(Serialize)]
struct Session<U> {
    user: U,
    tokens: TokenPair,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TokenPair {
    access_token: String,
    refresh_token: String,
    /// Life of the access token, seconds.
    expires_in: i64,
}

impl TokenPair {
    /// A fresh access token beside this refresh token.
    fn new(tokens: &Tokens, refresh_token: &RefreshToken) -> Result<Self, Error> {
        let owner = refresh_token.owner();
        let access_token = tokens.issue(owner.subject(), owner.role())?;
        Ok(Self { access_token, refresh_token: refresh_token.text(), expires_in: ACCESS_TOKEN_SECONDS })
    }
}

/// What both logins are sent.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    email: String,
    password: String,
}

/// What refreshing and logging out are sent.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Bearer {
    refresh_token: String,
}
