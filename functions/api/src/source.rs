//! Where a request comes from.

use std::convert::Infallible;

use axum::{extract::FromRequestParts, http::request::Parts};
use lambda_http::request::RequestContext;
use shared::limits::Source;

/// The source the gateway saw, for limits.
pub(crate) struct CameFrom(pub(crate) Source);

impl<S: Send + Sync> FromRequestParts<S> for CameFrom {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let address = match parts.extensions.get::<RequestContext>() {
            Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref(),
            _ => None,
        };
        Ok(Self(Source::of(address)))
    }
}
