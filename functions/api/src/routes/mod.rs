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
    middleware::{from_fn, from_fn_with_state},
};
use serde::Serialize;
use shared::{
    Error,
    auth::{ACCESS_TOKEN_SECONDS, Tokens},
    sessions::RefreshToken,
    users::PublicUser,
};
use utoipa::{ToSchema, openapi::OpenApi};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App, body_limit, catch_panic, error_response::ErrorResponse, openapi, repeat, request_id, security_headers,
};

/// The table: of the router and of the document. Who adds a line here describes it with `utoipa::path` at its handler.
pub(crate) fn router(app: Arc<App>) -> Router {
    let (router, document) = described();
    let router = router
        .nest("/api", openapi::router(document))
        .fallback(async || ErrorResponse::from(Error::NotFound))
        .method_not_allowed_fallback(async || ErrorResponse::from(Error::MethodNotAllowed))
        .layer(from_fn_with_state(Arc::clone(&app), repeat::once));
    around_every_route(router).with_state(app)
}

/// The routes and their document.
pub(crate) fn described() -> (Router<Arc<App>>, OpenApi) {
    let v1 = OpenApiRouter::new()
        .routes(routes!(health::get))
        .routes(routes!(list_users::get))
        .routes(routes!(register::post))
        .routes(routes!(get_user::get, change_user::patch, delete_user::delete))
        .routes(routes!(ban_user::post))
        .routes(routes!(unban_user::post))
        .routes(routes!(login_user::post))
        .routes(routes!(login_admin::post))
        .routes(routes!(delete_self::post))
        .routes(routes!(send_code::post_email))
        .routes(routes!(confirm_code::post_email))
        .routes(routes!(send_code::post_phone))
        .routes(routes!(confirm_code::post_phone))
        .routes(routes!(refresh_user::post))
        .routes(routes!(logout_user::post))
        .routes(routes!(refresh_admin::post))
        .routes(routes!(logout_admin::post))
        .routes(routes!(me::get));
    let (router, mut document) = OpenApiRouter::with_openapi(openapi::empty()).nest("/api/v1", v1).split_for_parts();
    openapi::complete(&mut document);
    (router, document)
}

/// What is done for every request, the innermost first.
fn around_every_route<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router
        .layer(from_fn(body_limit::body_limit))
        .layer(from_fn(catch_panic::catch_panic))
        .layer(from_fn(security_headers::security_headers))
        .layer(from_fn(request_id::request_id))
}

/// What a route answers, or why not.
type Answer<T> = Result<Json<T>, ErrorResponse>;

/// `{"ok":true}` with what was asked for, if anything.
#[derive(Serialize, ToSchema)]
struct Done<T> {
    /// Always true.
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
#[derive(Serialize, ToSchema)]
struct OfUser<U = PublicUser> {
    /// The user the request was about.
    user: U,
}

/// Nothing beside `"ok":true`.
#[derive(Serialize, ToSchema)]
struct Nothing {}

/// `"user":…,"tokens":…`.
#[derive(Serialize, ToSchema)]
struct Session<U> {
    /// Who logged in.
    user: U,
    /// The tokens that prove the login from now on.
    tokens: TokenPair,
}

/// What a login brings.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TokenPair {
    /// JWT, for `Authorization: Bearer` and the sockets' `auth: { token }`.
    access_token: String,
    /// For the next pair of tokens, within 30 days. Once it has brought that it is good for half a minute more, for the
    /// same pair: an answer may get lost, and two tabs may refresh at once.
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
#[derive(serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    /// The address, however it is spelt: in any case of its letters, its domain in Unicode or in Punycode.
    email: String,
    /// The password as chosen at registration.
    password: String,
}

/// What refreshing and logging out are sent.
#[derive(serde::Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SessionToken {
    /// The newest of the session.
    refresh_token: String,
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        extract::Request,
        routing::get,
    };
    use serde_json::{Value, json};
    use tower::ServiceExt as _;

    use super::*;

    fn panicking() -> Router {
        async fn handler() {
            panic!("over sara@example.com");
        }
        around_every_route(Router::new().route("/", get(handler)))
    }

    #[tokio::test]
    async fn a_handler_that_panics_is_an_internal_error_like_any_other() {
        let answer = panicking().oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(answer.status(), 500);
        assert!(answer.headers().contains_key("x-request-id") && answer.headers()["cache-control"] == "no-store");
        let body: Value = serde_json::from_slice(&to_bytes(answer.into_body(), 1000).await.unwrap()).unwrap();
        let refusal = json!({"statusCode": 500, "message": "INTERNAL_ERROR", "error": "Internal Server Error"});
        assert_eq!(body, refusal);
    }

    #[tokio::test]
    async fn a_body_over_64_kb_reaches_no_handler() {
        for (length, status) in [(64 * 1024, 500), (64 * 1024 + 1, 413)] {
            let answer = panicking().oneshot(Request::new(Body::from(vec![b'x'; length]))).await.unwrap();
            assert_eq!(answer.status(), status, "{length}");
        }
    }
}
