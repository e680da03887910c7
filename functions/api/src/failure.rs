//! How a refusal leaves the API: always the one JSON shape.

use axum::{
    Json,
    http::header::RETRY_AFTER,
    response::{IntoResponse, Response},
};
use shared::Error;

/// A route's error; `?` makes one of any [`Error`].
pub(crate) struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.0.log();
        let retry_after = self.0.retry_after().map(|seconds| [(RETRY_AFTER, seconds.to_string())]);
        (self.0.status(), retry_after, Json(self.0.body())).into_response()
    }
}
