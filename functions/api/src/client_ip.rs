//! Where a request comes from.

use std::convert::Infallible;

use axum::{extract::FromRequestParts, http::request::Parts};
use shared::limits::ClientNetwork;

use crate::event::Gateway;

/// The source the gateway saw, for limits.
pub(crate) struct ClientIp(pub(crate) ClientNetwork);

impl<S: Send + Sync> FromRequestParts<S> for ClientIp {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let address = parts.extensions.get::<Gateway>().and_then(|gateway| gateway.source_ip.as_deref());
        Ok(Self(ClientNetwork::of(address)))
    }
}
