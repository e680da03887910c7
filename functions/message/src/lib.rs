//! `$default`: what a client sends. Reads Engine.IO and Socket.IO, joins and leaves namespaces, answers in the route response.
//!
//! This function never fails, panics or times out (design rule 1): the gateway would push a JSON error frame, and a
//! Socket.IO client drops its connection on that.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod flood;
mod packets;

use std::{panic::AssertUnwindSafe, time::Duration};

use aws_lambda_events::event::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use futures::FutureExt as _;
use lambda_runtime::LambdaEvent;
use shared::{
    Error,
    auth::Tokens,
    config::{Anonymous, ConfigError, Environment, FeedShards},
    connections::ConnectionStore,
    gateway::Gateway,
    protocol::{Frame, Packet},
    users::UserStore,
};

use flood::Flood;

/// With [`CLOSE_LIMIT`] below the function's timeout in the template.
const TIME_LIMIT: Duration = Duration::from_secs(7);

/// For closing the connection.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// The function and what it needs.
pub struct Message {
    connections: ConnectionStore,
    users: UserStore,
    gateway: Gateway,
    tokens: Tokens,
    anonymous: Anonymous,
    shards: FeedShards,
    flood: Flood,
}

/// The connection a message came over.
struct Sender {
    id: String,
    /// Epoch milliseconds.
    connected_at: i64,
}

/// What the client gets for a frame.
#[derive(Debug, PartialEq)]
enum Reaction {
    /// This packet, in the route response.
    Answer(Packet),
    /// Nothing; the connection stays open.
    Nothing,
    /// The connection is closed without a word, as the Node server does for every protocol error.
    Close,
}

impl Message {
    /// # Errors
    /// [`ConfigError`] names the variable that is missing or wrong.
    pub fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        Ok(Self {
            connections: ConnectionStore::from_env(env)?,
            users: UserStore::from_env(env)?,
            gateway: Gateway::from_env(env)?,
            tokens: Tokens::from_env(env)?,
            anonymous: Anonymous::from_env(env)?,
            shards: FeedShards::from_env(env)?,
            flood: Flood::default(),
        })
    }

    /// Handles one text message of one connection. Always answers 200.
    ///
    /// # Errors
    /// Never.
    pub async fn handle(
        &self,
        event: LambdaEvent<ApiGatewayWebsocketProxyRequest>,
    ) -> Result<ApiGatewayProxyResponse, std::convert::Infallible> {
        let mut answer = ApiGatewayProxyResponse::default();
        answer.status_code = 200;
        let context = event.payload.request_context;
        let Some(id) = context.connection_id else {
            tracing::error!("a message without a connectionId");
            return Ok(answer);
        };
        let from = Sender { id, connected_at: context.connected_at };
        let text = event.payload.body.unwrap_or_default();
        match self.react(&from, &text).await {
            Reaction::Answer(packet) => answer.body = Some(packet.to_frame().into()),
            Reaction::Nothing => {}
            Reaction::Close => self.close(&from.id).await,
        }
        Ok(answer)
    }

    /// Nothing below gets past this: an error, a panic or a call that hangs ends here, and a CONNECT is still answered.
    async fn react(&self, from: &Sender, text: &str) -> Reaction {
        let reaction = AssertUnwindSafe(packets::react(self, from, text)).catch_unwind();
        let error = match tokio::time::timeout(TIME_LIMIT, reaction).await {
            Ok(Ok(Ok(reaction))) => return reaction,
            Ok(Ok(Err(error))) => error,
            Ok(Err(_panic)) => Error::internal("handling a message")("panicked"),
            Err(elapsed) => Error::internal("handling a message")(elapsed),
        };
        error.log();
        let last_resort = AssertUnwindSafe(|| packets::when_it_failed(text, &error));
        std::panic::catch_unwind(last_resort).unwrap_or(Reaction::Close)
    }

    /// A connection that cannot be closed now stays; the next frame that deserves it tries again.
    async fn close(&self, connection_id: &str) {
        match tokio::time::timeout(CLOSE_LIMIT, self.gateway.close(connection_id)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, connection_id, "could not close a connection"),
            Err(elapsed) => tracing::warn!(error = %elapsed, connection_id, "could not close a connection"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::protocol::PacketData;
    use tokio::net::TcpListener;

    use super::*;

    /// What a client gets for this frame if this is where the database should be.
    async fn answer(database: &str, frame: &str) -> Option<String> {
        let env = [
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"),
            ("AWS_ENDPOINT_URL_DYNAMODB", database),
            ("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", database),
            ("CONNECTIONS_TABLE", "connections"),
            ("USERS_TABLE", "users"),
            ("TOKEN_SECRET", "a secret of more than 32 characters"),
            ("ANONYMOUS", "allow"),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
        let mut event: Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/events/message.json")).unwrap();
        event["body"] = json!(frame);
        let event = LambdaEvent::new(serde_json::from_value(event).unwrap(), lambda_runtime::Context::default());
        let answer = Message::from_env(&env).unwrap().handle(event).await.unwrap();
        assert_eq!(answer.status_code, 200);
        let body = serde_json::to_value(answer).unwrap()["body"].as_str().map(str::to_owned);
        body.filter(|body| !body.is_empty())
    }

    /// Design rules 1 and 2, for a database that is away and for one that hangs.
    #[tokio::test(start_paused = true)]
    async fn without_a_database_a_connect_is_refused_in_words_and_nothing_else_is_answered() {
        let hanging = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let away = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
        for database in [hanging.local_addr().unwrap(), away].map(|address| format!("http://{address}")) {
            let refusal = answer(&database, "40/users,").await.unwrap();
            let packet = Packet::decode(refusal.strip_prefix('4').unwrap()).unwrap();
            assert_eq!(packet.namespace, "/users");
            let PacketData::ConnectError(error) = packet.data else { panic!("{refusal}") };
            assert_eq!(error["message"], "INTERNAL_ERROR");
            for frame in ["3", "41/users,", "42/users,[\"an event\"]", "no frame"] {
                assert_eq!(answer(&database, frame).await, None, "{frame}");
            }
        }
    }
}
