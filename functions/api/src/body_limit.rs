//! The middleware that refuses a body that is too large, whatever the route.

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use shared::Error;

use crate::error_response::ErrorResponse;

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
pub(crate) async fn body_limit(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match bytes(body).await {
        Ok(bytes) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Err(error) => ErrorResponse::from(error).into_response(),
    }
}
