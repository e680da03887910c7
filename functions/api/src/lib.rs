//! The REST API under `/api/v1`: users, and who may read and change them (the contract is CLIENTS.md, "REST").
//!
//! Answers requests and writes rows; it tells nobody. Events are made of the committed rows, by `broadcast`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod body_limit;
mod caller;
mod catch_panic;
mod client_ip;
mod error_response;
mod event;
mod openapi;
mod payload;
mod repeat;
mod request_id;
mod routes;
mod security_headers;

use std::{convert::Infallible, sync::Arc, time::Instant};

use axum::Router;
use lambda_runtime::LambdaEvent;
use shared::{
    auth::{Admin, Tokens},
    aws::Clients,
    config::{ConfigError, Environment},
    lambda::Function,
    limits::LimitStore,
    passwords::Passwords,
    repeats::AnswerStore,
    sessions::SessionStore,
    users::UserStore,
    verification::CodeStore,
};
use tower::ServiceExt as _;

pub use event::{ApiAnswer, ApiRequest};

/// The OpenAPI document, as it is served at `/api/openapi.json`.
#[must_use]
pub fn openapi() -> serde_json::Value {
    serde_json::json!(routes::described().1)
}

/// What the routes work with.
pub(crate) struct App {
    users: UserStore,
    sessions: SessionStore,
    limits: LimitStore,
    codes: CodeStore,
    repeats: AnswerStore,
    tokens: Tokens,
    passwords: Passwords,
    admin: Admin,
    started: Instant,
}

/// The function: a router behind API Gateway's payload format 2.0.
pub struct Api(Router);

impl Function for Api {
    type Event = ApiRequest;
    type Answer = ApiAnswer;
    type Error = Infallible;

    fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        let users = UserStore::new(&Clients::from_env(env)?, env)?;
        let app = App {
            sessions: SessionStore::beside(&users),
            limits: LimitStore::beside(&users, env)?,
            codes: CodeStore::beside(&users, env)?,
            repeats: AnswerStore::beside(&users, env)?,
            users,
            tokens: Tokens::from_env(env)?,
            passwords: Passwords::default(),
            admin: Admin::from_env(env)?,
            started: Instant::now(),
        };
        Ok(Self(routes::router(Arc::new(app))))
    }

    /// Answers one request.
    ///
    /// # Errors
    /// Never: every failure is an answer.
    async fn handle(&self, event: LambdaEvent<ApiRequest>) -> Result<ApiAnswer, Infallible> {
        let request = event.payload.into_request(&event.context.request_id);
        Ok(ApiAnswer::of(self.0.clone().oneshot(request).await?).await)
    }
}
