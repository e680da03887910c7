//! What comes in: bodies and path parameters, with errors that name the field.

use std::convert::Infallible;

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{
        HeaderMap, HeaderName,
        header::{CONTENT_ENCODING, CONTENT_TYPE},
        request::Parts,
    },
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;
use shared::Error;
use uuid::{Uuid, fmt::Hyphenated};

use crate::{body_limit, error_response::ErrorResponse};

/// A request body that is read only when the route asks for it, so that "who are you" is settled before "what is wrong
/// with your JSON".
pub(crate) struct Payload(Result<Bytes, Error>);

impl Payload {
    /// The body as `T`.
    ///
    /// # Errors
    /// [`Error::BodyTooLarge`], [`Error::UnsupportedMediaType`], [`Error::Validation`].
    pub(crate) fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        let bytes = self.0?;
        // RFC 8259, section 8.1: a byte order mark may be ignored. Windows' editors and its PowerShell write one.
        let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
        let value: Value = serde_json::from_slice(text).map_err(|error| Error::field("body", error.to_string()))?;
        // Serde would read an array as a struct.
        if !value.is_object() {
            return Err(Error::field("body", "must be a JSON object"));
        }
        serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            Error::field(if path == "." { field_in(error.inner()) } else { path }, error.inner().to_string())
        })
    }
}

/// A missing or unknown key has no path of its own; serde puts its name between backquotes.
fn field_in(error: &serde_json::Error) -> String {
    error.to_string().split('`').nth(1).unwrap_or("body").to_owned()
}

impl<S: Send + Sync> FromRequest<S> for Payload {
    type Rejection = Infallible;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Infallible> {
        let readable = is_json(request.headers()) && is_plain(request.headers());
        let bytes = body_limit::bytes(request.into_body()).await;
        Ok(Self(if readable { bytes } else { bytes.and(Err(Error::UnsupportedMediaType)) }))
    }
}

/// Whether the body is declared as JSON, in the one charset that JSON has, or in the part of it that ASCII is.
fn is_json(headers: &HeaderMap) -> bool {
    let mut parts = text(headers, &CONTENT_TYPE).split(';');
    let json = parts.next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    let charset = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            let value = value.trim().trim_matches('"').to_ascii_lowercase();
            ["utf-8", "utf8", "us-ascii"].contains(&value.as_str())
        }
        _ => true,
    };
    json && parts.all(charset)
}

/// Whether the body is as it is, and not compressed.
fn is_plain(headers: &HeaderMap) -> bool {
    let encoding = text(headers, &CONTENT_ENCODING).trim();
    !headers.contains_key(CONTENT_ENCODING) || encoding.is_empty() || encoding.eq_ignore_ascii_case("identity")
}

/// What no text can be read from is a text nobody reads.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap_or("?"))
}

/// The `{id}` of a path.
pub(crate) struct UserId(pub(crate) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for UserId {
    type Rejection = ErrorResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ErrorResponse> {
        let id = Path::<String>::from_request_parts(parts, state).await.ok();
        // In the one way ids are written; `Uuid` would also read braces, URNs and 32 bare digits.
        let id = id.and_then(|Path(id)| id.parse::<Hyphenated>().ok()).map(Hyphenated::into_uuid);
        Ok(Self(id.ok_or_else(|| Error::field("id", "must be a UUID"))?))
    }
}

/// Reads an optional key: absent is `None`, present must be a `T`. With `T = Option<_>`, null is a value of its own.
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Form {
        #[serde(default, deserialize_with = "present")]
        full_name: Option<String>,
        #[serde(default, deserialize_with = "present")]
        photo_url: Option<Option<String>>,
    }

    fn parse(json: &str) -> Result<Form, Error> {
        Payload(Ok(Bytes::copy_from_slice(json.as_bytes()))).json()
    }

    #[track_caller]
    fn faulty_field(json: &str) -> String {
        let Err(Error::Validation(details)) = parse(json) else { panic!("{json} should be refused") };
        details[0].field.clone()
    }

    #[test]
    fn errors_name_the_field() {
        assert_eq!(faulty_field(r#"{"fullName":5}"#), "fullName");
        assert_eq!(faulty_field(r#"{"fullName":null}"#), "fullName");
        assert_eq!(faulty_field(r#"{"photoUrl":{}}"#), "photoUrl");
        assert_eq!(faulty_field(r#"{"isBanned":true}"#), "isBanned");
        for json in ["", "{", "[]", r#"["a","b"]"#, "null", "5", "\"x\""] {
            assert_eq!(faulty_field(json), "body", "{json}");
        }
    }

    #[test]
    fn absent_and_null_are_different_things() {
        assert_eq!(parse("{}").unwrap().photo_url, None);
        assert_eq!(parse(r#"{"photoUrl":null}"#).unwrap().photo_url, Some(None));
        assert_eq!(parse(r#"{"fullName":"x"}"#).unwrap().full_name, Some("x".to_owned()));
    }
}
