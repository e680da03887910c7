//! `$connect`: judges the handshake, remembers the connection, and has `handshake` greet it. Nothing can be sent from here:
//! the WebSocket opens after the answer.
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
    aws::Clients,
    config::{ConfigError, Environment},
    connections::{ConnectionStore, NewConnection},
    invoke::AsynchronousFunction,
    lambda::Function,
    origins::Origins,
};

/// The function and what it needs.
pub struct Connect {
    connections: ConnectionStore,
    handshake: AsynchronousFunction,
    origins: Origins,
}

impl Function for Connect {
    type Event = ApiGatewayWebsocketProxyRequest;
    type Answer = ApiGatewayProxyResponse;
    type Error = Error;

    fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        let clients = Clients::from_env(env)?;
        Ok(Self {
            connections: ConnectionStore::new(&clients, env)?,
            handshake: AsynchronousFunction::new(&clients, env, "HANDSHAKE_FUNCTION")?,
            origins: Origins::from_env(env)?,
        })
    }

    /// Answers 200 to let the handshake go on, with the first of the subprotocols the client offered, or refuses it
    /// ([`judge`]).
    ///
    /// Tokens are not judged here: a refused handshake makes clients retry for ever (ARCHITECTURE.md, "A CONNECT is
    /// always answered").
    ///
    /// # Errors
    /// [`Error::Internal`]; the gateway then refuses the handshake with a 5xx, and the client tries again. A connection
    /// that was remembered but could not be greeted is forgotten by the heartbeat, like any that never sends CONNECT.
    async fn handle(
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
        // In this order: a greeting that finds no connection takes it for one that has ended.
        self.handshake.invoke(&NewConnection { connection_id: id }).await?;
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

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        net::SocketAddr,
        sync::{Arc, Mutex},
    };

    use axum::{
        Router,
        extract::{ConnectInfo, Request, State},
    };
    use tokio::net::TcpListener;

    use super::*;

    /// DynamoDB and Lambda in one, which take everything or nothing: what came, in order, and over which connections.
    type Calls = Arc<Mutex<Vec<(String, SocketAddr)>>>;

    async fn aws(lambda: StatusCode) -> (Connect, Calls) {
        let calls = Calls::default();
        let answer =
            async move |State(calls): State<Calls>, ConnectInfo(from): ConnectInfo<SocketAddr>, request: Request| {
                let what = request.headers().get("x-amz-target").map_or(request.uri().path(), |v| v.to_str().unwrap());
                calls.lock().unwrap().push((what.to_owned(), from));
                if what.starts_with('/') { (lambda, "") } else { (StatusCode::OK, "{}") }
            };
        let router = Router::new().fallback(answer).with_state(Arc::clone(&calls));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        let env = [
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"),
            ("AWS_ENDPOINT_URL", &endpoint),
            ("CONNECTIONS_TABLE", "connections"),
            ("HANDSHAKE_FUNCTION", "handshake"),
            ("ORIGINS", "http://localhost:4200"),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
        (Connect::from_env(&env).unwrap(), calls)
    }

    async fn answer(connect: &Connect) -> Result<i64, Error> {
        let event = serde_json::from_str(include_str!("../../../tests/fixtures/events/connect.json")).unwrap();
        let event = LambdaEvent::new(event, lambda_runtime::Context::default());
        connect.handle(event).await.map(|answer| answer.status_code)
    }

    #[tokio::test]
    async fn a_connection_is_remembered_before_it_is_greeted() {
        let (connect, calls) = aws(StatusCode::ACCEPTED).await;
        assert_eq!(answer(&connect).await.unwrap(), 200);
        let calls: Vec<_> = calls.lock().unwrap().iter().map(|(call, _)| call.clone()).collect();
        let (greeting, writes) = calls.split_last().unwrap();
        assert_eq!(greeting, "/2015-03-31/functions/handshake/invocations");
        assert!(!writes.is_empty() && writes.iter().all(|call| call == "DynamoDB_20120810.PutItem"), "{writes:?}");
    }

    #[tokio::test]
    async fn lambda_is_called_over_the_connections_of_dynamodb() {
        let (connect, calls) = aws(StatusCode::ACCEPTED).await;
        assert_eq!(answer(&connect).await.unwrap(), 200);
        assert_eq!(answer(&connect).await.unwrap(), 200);
        let calls = calls.lock().unwrap();
        let over = |lambda: bool| -> BTreeSet<_> {
            calls.iter().filter(|(call, _)| call.starts_with('/') == lambda).map(|(_, from)| *from).collect()
        };
        assert!(!over(true).is_empty() && over(true).is_subset(&over(false)), "two HTTP clients: {calls:?}");
    }

    #[tokio::test]
    async fn a_connection_that_cannot_be_greeted_is_refused() {
        let (connect, _) = aws(StatusCode::FORBIDDEN).await;
        assert!(matches!(answer(&connect).await, Err(Error::Internal { .. })));
    }
}
