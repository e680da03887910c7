//! The middleware that answers for a handler that panicked, in the one shape of refusals.

use std::panic::AssertUnwindSafe;

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;
use shared::Error;

use crate::error_response::ErrorResponse;

/// Answers 500 for a handler that panicked. What it panicked about may be somebody's data and is not repeated here.
pub(crate) async fn catch_panic(request: Request, next: Next) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(answer) => answer,
        Err(_) => ErrorResponse::from(Error::internal("answering a request")("the handler panicked")).into_response(),
    }
}
