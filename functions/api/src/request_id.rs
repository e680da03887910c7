//! The request id: API Gateway's own, in the answer and in every line of the log.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request},
    http::HeaderValue,
    middleware::Next,
    response::Response,
};
use shared::request;
use tracing::Instrument as _;

use crate::{event::Gateway, security_headers::REQUEST_ID};

/// Around everything: gives what follows the request's name, and the answer too.
pub(crate) async fn request_id(request: Request, next: Next) -> Response {
    let id = id(&request);
    // The pattern and not the path: people put the strangest things into paths. Of level `error`, so that it is around
    // lines of every level, however little is logged.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let span = tracing::error_span!("request", request_id = &*id, method = %request.method(), route);
    let answer = async {
        let answer = next.run(request).await;
        tracing::info!(status = answer.status().as_u16(), "answered");
        answer
    };
    let mut answer = request::as_part_of(Arc::clone(&id), answer.instrument(span)).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert(REQUEST_ID, id);
    }
    answer
}

/// What API Gateway calls the request; without it, what Lambda calls the invocation.
fn id(request: &Request) -> Arc<str> {
    request.extensions().get::<Gateway>().map(|gateway| gateway.request_id.as_str()).unwrap_or_default().into()
}
