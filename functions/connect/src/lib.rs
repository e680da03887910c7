//! `$connect`: judges the handshake, and remembers the connection. Nothing can be sent yet: the WebSocket opens after the answer.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod judge;

use aws_lambda_events::event::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use http::{
    HeaderValue, StatusCode,
    header::{ORIGIN, SEC_WEBSOCKET_PROTOCOL},
};
use lambda_runtime::LambdaEvent;
use shared::{
    Error,
    config::{ConfigError, Environment},
    connections::ConnectionStore,
    origins::Origins,
};

/// The function and what it needs.
pub struct Connect {
    connections: ConnectionStore,
    origins: Origins,
}

impl Connect {
    /// # Errors
    /// [`ConfigError`] names the variable that is missing or wrong.
    pub fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        Ok(Self { connections: ConnectionStore::from_env(env)?, origins: Origins::from_env(env)? })
    }

    /// Answers 200 to let the handshake go on, with the first of the subprotocols the client offered, or refuses it
    /// ([`judge`]).
    ///
    /// Tokens are not judged here: a refused handshake makes clients retry for ever (design 2.1).
    ///
    /// # Errors
    /// [`Error::Internal`]; the gateway then refuses the handshake with a 5xx, and the client tries again.
    pub async fn handle(
        &self,
        event: LambdaEvent<ApiGatewayWebsocketProxyRequest>,
    ) -> Result<ApiGatewayProxyResponse, Error> {
        if let Some(refusal) = judge::refusal(&self.origins, &event.payload) {
            tracing::info!(%refusal, origin = ?event.payload.headers.get(ORIGIN), "refused a handshake");
            return Ok(answer(refusal.status()));
        }
        let (origin, protocol) = (event.payload.headers.get(ORIGIN), judge::protocol(&event.payload.headers));
        let context = event.payload.request_context;
        let id = context.connection_id.ok_or("the event has no connectionId");
        let id = id.map_err(Error::internal("reading a $connect event"))?;
        let origin = origin.map(HeaderValue::as_bytes).map(|origin| String::from_utf8_lossy(origin).into_owned());
        self.connections.remember(&id, context.connected_at, origin).await?;
        let mut opened = answer(StatusCode::OK);
        opened.headers.extend(protocol.map(|protocol| (SEC_WEBSOCKET_PROTOCOL, protocol)));
        Ok(opened)
    }
}

fn answer(status: StatusCode) -> ApiGatewayProxyResponse {
    let mut answer = ApiGatewayProxyResponse::default();
    answer.status_code = status.as_u16().into();
    answer
}
