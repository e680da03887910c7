//! Every failure a client can meet, and the one place that maps it to a status and a code (CLIENTS.md, "REST").

use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// A refusal. The variants are the status table of the REST API; [`Error::code`] is also the message of a CONNECT_ERROR.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 400: the request breaks rules of its fields.
    #[error("invalid request: {0:?}")]
    Validation(Vec<FieldError>),
    /// 401: no token, or one that is forged, expired, or whose owner is gone.
    #[error("not authenticated")]
    Unauthenticated,
    /// 401: no such account, or the wrong password; which of the two is nobody's business.
    #[error("wrong credentials")]
    WrongCredentials,
    /// 401: the password that confirms a decision is not that of the account.
    #[error("wrong password")]
    WrongPassword,
    /// 403: authenticated, but not allowed.
    #[error("forbidden")]
    Forbidden,
    /// 403: the account is banned.
    #[error("account is banned")]
    AccountBanned,
    /// 404: there is nothing by that name.
    #[error("not found")]
    NotFound,
    /// 405: the path exists, the method does not.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// 409: another account has this e-mail address.
    #[error("e-mail address is taken")]
    EmailTaken,
    /// 409: the same request is being answered at this moment.
    #[error("the request is under way")]
    UnderWay,
    /// 422: the `Idempotency-Key` was that of another body.
    #[error("the key is that of another request")]
    KeyReused,
    /// 413: the body is over the limit.
    #[error("body too large")]
    BodyTooLarge,
    /// 415: the body is not declared as JSON in UTF-8 without an encoding.
    #[error("body is not application/json")]
    UnsupportedMediaType,
    /// 429: a limit is reached.
    #[error("too many attempts")]
    TooManyAttempts {
        /// Seconds until it is worth trying again.
        retry_after: u64,
    },
    /// 500: our fault. The cause goes to the log and nowhere else.
    #[error("{context}")]
    Internal {
        /// What was being done.
        context: &'static str,
        /// What went wrong underneath.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// One broken rule of one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The JSON key, path or query parameter.
    pub field: String,
    /// What the field must be.
    pub message: String,
}

/// The JSON every refusal is answered with.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody<'a> {
    /// The HTTP status, repeated for clients that only see the body.
    pub status_code: u16,
    /// The code, for programs.
    pub message: &'static str,
    /// The reason phrase of the status, for people.
    pub error: &'static str,
    /// Which fields, for a 400.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub details: &'a [FieldError],
}

impl Error {
    /// Wraps a failure of something we depend on; meant for `map_err`.
    pub fn internal<E>(context: &'static str) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        move |source| Self::Internal { context, source: source.into() }
    }

    /// A 400 about one field.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Validation(vec![FieldError { field: field.into(), message: message.into() }])
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Validation(_) => StatusCode::BAD_REQUEST,
            Self::Unauthenticated | Self::WrongCredentials | Self::WrongPassword => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::AccountBanned => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::EmailTaken | Self::UnderWay => StatusCode::CONFLICT,
            Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooManyAttempts { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The code clients switch on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Validation(_) => "VALIDATION_ERROR",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::WrongCredentials => "WRONG_CREDENTIALS",
            Self::WrongPassword => "WRONG_PASSWORD",
            Self::Forbidden => "FORBIDDEN",
            Self::AccountBanned => "ACCOUNT_BANNED",
            Self::NotFound => "NOT_FOUND",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::EmailTaken => "EMAIL_TAKEN",
            Self::UnderWay => "REQUEST_UNDER_WAY",
            Self::KeyReused => "IDEMPOTENCY_KEY_REUSED",
            Self::BodyTooLarge => "BODY_TOO_LARGE",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Self::TooManyAttempts { .. } => "TOO_MANY_ATTEMPTS",
            Self::Internal { .. } => "INTERNAL_ERROR",
        }
    }

    /// Seconds for the `Retry-After` header.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyAttempts { retry_after } => Some(*retry_after),
            Self::UnderWay => Some(1),
            _ => None,
        }
    }

    /// What the client gets to read: the code and broken rules, never a cause.
    #[must_use]
    pub fn body(&self) -> ErrorBody<'_> {
        let status = self.status();
        ErrorBody {
            status_code: status.as_u16(),
            message: self.code(),
            error: status.canonical_reason().unwrap_or_default(),
            details: if let Self::Validation(details) = self { details } else { &[] },
        }
    }

    /// Writes the cause of an internal error to the log, once, where the error ends its way up.
    pub fn log(&self) {
        if let Self::Internal { context, source } = self {
            tracing::error!(error = %Chain(source.as_ref()), "{context}");
        }
    }
}

/// An error with its causes on one line. AWS SDK errors say nothing useful without them.
pub struct Chain<'a>(pub &'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_one_shape() {
        let json = serde_json::to_value(Error::AccountBanned.body()).unwrap();
        assert_eq!(json, serde_json::json!({"statusCode": 403, "message": "ACCOUNT_BANNED", "error": "Forbidden"}));
    }

    #[test]
    fn a_validation_error_names_the_field() {
        let json = serde_json::to_value(Error::field("email", "must be an e-mail address").body()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "statusCode": 400, "message": "VALIDATION_ERROR", "error": "Bad Request",
                "details": [{"field": "email", "message": "must be an e-mail address"}],
            })
        );
    }

    #[test]
    fn the_cause_of_an_internal_error_stays_inside() {
        let error = Error::internal("reading the user")("connection refused by 10.0.0.7");
        let text = serde_json::to_string(&error.body()).unwrap();
        assert!(!text.contains("10.0.0.7") && text.contains("INTERNAL_ERROR"), "{text}");
    }
}
