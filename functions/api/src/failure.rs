//! How a refusal leaves the API: always the one JSON shape.

use axum::{
    Json,
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
        (self.0.status(), Json(self.0.body())).into_response()
    }
}
