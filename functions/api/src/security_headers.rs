//! Headers that every answer carries.

use axum::{
    extract::Request,
    http::{
        HeaderName, HeaderValue,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
            X_FRAME_OPTIONS,
        },
    },
    middleware::Next,
    response::Response,
};

/// Names the request in its answer; browsers may read it.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What an answer says unless its route said otherwise. An answer is data for a program: it is not guessed at, shown
/// in a frame, run, kept, or read by another site's page without CORS.
const DEFAULTS: [(HeaderName, HeaderValue); 7] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000; includeSubDomains")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    // Whatever is not public by declaration is one caller's own.
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Adds the headers.
pub(crate) async fn security_headers(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    for (name, value) in DEFAULTS {
        answer.headers_mut().entry(name).or_insert(value);
    }
    answer
}
