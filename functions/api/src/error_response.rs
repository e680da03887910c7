//! How a refusal leaves the API: always the one JSON shape.

use axum::{
    Json,
    http::{
        HeaderValue, StatusCode,
        header::{RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use shared::Error;

/// A route's error; `?` makes one of any [`Error`].
pub(crate) struct ErrorResponse {
    error: Error,
    /// What a 401 says of the way to authenticate (RFC 6750).
    challenge: HeaderValue,
}

impl From<Error> for ErrorResponse {
    fn from(error: Error) -> Self {
        Self { error, challenge: HeaderValue::from_static("Bearer") }
    }
}

impl ErrorResponse {
    /// The answer to a request with an access token that is not valid.
    pub(crate) fn bad_token() -> Self {
        let challenge = HeaderValue::from_static(r#"Bearer error="invalid_token""#);
        Self { challenge, ..Error::Unauthenticated.into() }
    }
}

impl IntoResponse for ErrorResponse {
    fn into_response(self) -> Response {
        self.error.log();
        let retry_after = self.error.retry_after().map(|seconds| [(RETRY_AFTER, seconds.to_string())]);
        let status = self.error.status();
        let challenge = (status == StatusCode::UNAUTHORIZED).then_some([(WWW_AUTHENTICATE, self.challenge)]);
        (status, retry_after, challenge, Json(self.error.body())).into_response()
    }
}
