//! `$connect`: judges origin and protocol version, remembers the connection, and has `handshake` greet it. Nothing can be
//! sent from here: the WebSocket opens after the answer.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use aws_lambda_events::event::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use http::{HeaderValue, StatusCode, header::ORIGIN};
use lambda_runtime::LambdaEvent;
use shared::{
    Error,
    config::{ConfigError, Environment, Origins},
    connections::{ConnectionStore, NewConnection},
    invoke::AsynchronousFunction,
};

/// The function and what it needs.
pub struct Connect {
    connections: ConnectionStore,
    handshake: AsynchronousFunction,
    origins: Origins,
}

impl Connect {
    /// # Errors
    /// [`ConfigError`] names the variable that is missing or wrong.
    pub fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        Ok(Self {
            connections: ConnectionStore::from_env(env)?,
            handshake: AsynchronousFunction::from_env(env, "HANDSHAKE_FUNCTION")?,
            origins: Origins::from_env(env)?,
        })
    }

    /// Answers 200 to let the handshake go on, 403 to refuse a foreign origin, 400 to refuse a client of another Engine.IO
    /// than 4, which would not understand what follows; the Node server does the same (facts: Engine.IO 1.6).
    ///
    /// Tokens are not judged here: a refused handshake makes clients retry for ever (design 2.1).
    ///
    /// # Errors
    /// [`Error::Internal`]; the gateway then refuses the handshake with a 5xx, and the client tries again. A connection
    /// that was remembered but could not be greeted is forgotten by the heartbeat, like any that never sends CONNECT.
    pub async fn handle(
        &self,
        event: LambdaEvent<ApiGatewayWebsocketProxyRequest>,
    ) -> Result<ApiGatewayProxyResponse, Error> {
        let origin = event.payload.headers.get(ORIGIN);
        if !self.origins.allow(origin) {
            tracing::info!(origin = ?origin, "refused a foreign origin");
            return Ok(answer(StatusCode::FORBIDDEN));
        }
        if event.payload.query_string_parameters.first("EIO") != Some("4") {
            tracing::info!("refused a client that does not speak Engine.IO 4");
            return Ok(answer(StatusCode::BAD_REQUEST));
        }
        let context = event.payload.request_context;
        let id = context.connection_id.ok_or("the event has no connectionId");
        let id = id.map_err(Error::internal("reading a $connect event"))?;
        let origin = origin.map(HeaderValue::as_bytes).map(|origin| String::from_utf8_lossy(origin).into_owned());
        self.connections.remember(&id, context.connected_at, origin).await?;
        // In this order: a greeting that finds no connection takes it for one that has ended.
        self.handshake.invoke(&NewConnection { connection_id: id }).await?;
        Ok(answer(StatusCode::OK))
    }
}

fn answer(status: StatusCode) -> ApiGatewayProxyResponse {
    let mut answer = ApiGatewayProxyResponse::default();
    answer.status_code = status.as_u16().into();
    answer
}
