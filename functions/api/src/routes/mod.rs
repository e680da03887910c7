//! The routes, one file each, and in `session` what those of sessions have in common.

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
mod session;
mod unban_user;

use std::sync::Arc;

use axum::{
    Json, Router,
    middleware::{from_fn, from_fn_with_state},
};
use serde::Serialize;
use shared::{Error, users::PublicUser};
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
