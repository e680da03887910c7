//! What no route has to think of: a body that is too large, a handler that panics. Both end in the one shape of refusals.

use std::panic::AssertUnwindSafe;

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;
use shared::Error;

use crate::failure::Failure;

/// Largest body, in bytes, of any request: also where nobody would read it.
const LIMIT: usize = 64 * 1024;

/// A body as it came in.
///
/// # Errors
/// [`Error::BodyTooLarge`]: the only way reading from memory can fail.
pub(crate) async fn bytes(body: Body) -> Result<Bytes, Error> {
    to_bytes(body, LIMIT).await.map_err(|_| Error::BodyTooLarge)
}

/// Refuses bodies that are too large.
pub(crate) async fn large_bodies(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match bytes(body).await {
        Ok(bytes) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Err(error) => Failure::from(error).into_response(),
    }
}

/// Answers for a handler that panicked. What it panicked about may be somebody's data and is not repeated here.
pub(crate) async fn panics(request: Request, next: Next) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(answer) => answer,
        Err(_) => Failure::from(Error::internal("answering a request")("the handler panicked")).into_response(),
    }
}
