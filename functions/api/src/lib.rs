//! The REST API under `/api/v1`: users and who may change them (design 2.2).
//!
//! Answers requests and writes rows; it tells nobody. Events are made of the committed rows, by `broadcast`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod caller;
mod contain;
mod document;
mod failure;
mod headers;
mod payload;
mod routes;
mod source;
mod trace;

use std::{convert::Infallible, sync::Arc, time::Instant};

use axum::Router;
use lambda_http::{Adapter, LambdaEvent, request::LambdaRequest};
use serde::Serialize;
use shared::{
    auth::{Admin, Passwords, Tokens},
    config::{ConfigError, Environment},
    limits::LimitStore,
    sessions::SessionStore,
    users::UserStore,
    verification::CodeStore,
};
use tower::Service as _;

/// What the routes work with.
pub(crate) struct App {
    users: UserStore,
    sessions: SessionStore,
    limits: LimitStore,
    codes: CodeStore,
    tokens: Tokens,
    passwords: Passwords,
    admin: Admin,
    started: Instant,
}

/// The function: a router behind API Gateway's payload format 2.0.
pub struct Api(Router);

impl Api {
    /// # Errors
    /// [`ConfigError`] names the variable that is missing or wrong.
    pub fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        let users = UserStore::from_env(env)?;
        let app = App {
            sessions: SessionStore::beside(&users),
            limits: LimitStore::beside(&users, env)?,
            codes: CodeStore::beside(&users, env)?,
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
    pub async fn handle(&self, event: LambdaEvent<LambdaRequest>) -> Result<impl Serialize + use<>, Infallible> {
        // Two statements, because the adapter itself may not be held across an await.
        let answer = Adapter::from(self.0.clone()).call(event);
        answer.await
    }
}
