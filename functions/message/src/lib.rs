//! `$default`: what a client sends. Reads Engine.IO and Socket.IO, joins and leaves namespaces, and answers over the
//! management API.
//!
//! The route is one-way, so that what this function returns says nothing to the client: on a two-way route an answer
//! without a body may reach the client as an empty frame, on which a Socket.IO client drops its connection.
//!
//! This function never fails, panics or times out (ARCHITECTURE.md, "The message function never fails"): the gateway
//! would push a JSON error frame, and a Socket.IO client drops its connection on that, too.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod answer;
mod events;
mod flood;
mod packets;
mod recovery;

use std::{panic::AssertUnwindSafe, time::Duration};

use aws_lambda_events::event::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use futures::FutureExt as _;
use lambda_runtime::LambdaEvent;
use shared::{
    Error,
    auth::Tokens,
    aws::Clients,
    config::{Anonymous, ConfigError, Environment, FeedShards},
    connections::ConnectionStore,
    gateway::Gateway,
    lambda::Function,
    protocol::{Frame, Packet},
    recovery::Pids,
    users::UserStore,
};
use tokio::sync::OnceCell;

use flood::Flood;

/// How long it may take to find out what to do about a message. With the limits of [`answer`] this is below the
/// function's timeout in the template.
const TIME_LIMIT: Duration = Duration::from_secs(7);

/// The function and what it needs.
pub struct Message {
    connections: ConnectionStore,
    users: UserStore,
    gateway: Gateway,
    tokens: Tokens,
    pids: Pids,
    anonymous: Anonymous,
    shards: FeedShards,
    flood: Flood,
    /// Done when the log of the feed is known to have its beginning.
    log_begun: OnceCell<()>,
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
    /// A packet.
    Answer(Packet),
    /// Nothing; the connection stays open.
    Nothing,
    /// The connection is closed without a word, as the Node server does for every protocol error. Its client comes back
    /// by itself.
    Close,
}

impl Function for Message {
    type Event = ApiGatewayWebsocketProxyRequest;
    type Answer = ApiGatewayProxyResponse;
    type Error = std::convert::Infallible;

    fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        let clients = Clients::from_env(env)?;
        Ok(Self {
            connections: ConnectionStore::new(&clients, env)?,
            users: UserStore::new(&clients, env)?,
            gateway: Gateway::without_retries(&clients, env, answer::CALL_LIMIT)?,
            tokens: Tokens::from_env(env)?,
            pids: Pids::from_env(env)?,
            anonymous: Anonymous::from_env(env)?,
            shards: FeedShards::from_env(env)?,
            flood: Flood::default(),
            log_begun: OnceCell::new(),
        })
    }

    /// Handles one text message of one connection. Returns 200 and no body, whatever became of it.
    ///
    /// # Errors
    /// Never.
    async fn handle(
        &self,
        event: LambdaEvent<ApiGatewayWebsocketProxyRequest>,
    ) -> Result<ApiGatewayProxyResponse, std::convert::Infallible> {
        let context = event.payload.request_context;
        if let Some(id) = context.connection_id {
            let from = Sender { id, connected_at: context.connected_at };
            let text = event.payload.body.unwrap_or_default();
            match self.react(&from, &text).await {
                Reaction::Answer(packet) => self.answer(&from, &packet).await,
                Reaction::Nothing => {}
                Reaction::Close => self.end(&from).await,
            }
        } else {
            tracing::error!("a message without a connectionId");
        }
        let mut answer = ApiGatewayProxyResponse::default();
        answer.status_code = 200;
        Ok(answer)
    }
}

impl Message {
    /// Nothing below gets past this: an error, a panic or a call that hangs ends here, and the connection with it. A
    /// client that waits for the answer of its CONNECT has no timer for it, and after a refusal it would not come back;
    /// one whose connection is closed returns by itself, with its own back-off, in a clean state (ARCHITECTURE.md, "A
    /// CONNECT is always answered").
    async fn react(&self, from: &Sender, text: &str) -> Reaction {
        let reaction = AssertUnwindSafe(packets::react(self, from, text)).catch_unwind();
        let error = match tokio::time::timeout(TIME_LIMIT, reaction).await {
            Ok(Ok(Ok(reaction))) => return reaction,
            Ok(Ok(Err(error))) => error,
            Ok(Err(_panic)) => Error::internal("handling a message")("panicked"),
            Err(elapsed) => Error::internal("handling a message")(elapsed),
        };
        error.log();
        Reaction::Close
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};

    use axum::{
        Router,
        http::{Method, StatusCode, Uri},
    };
    use futures::future::join_all;
    use serde_json::{Value, json};
    use tokio::{net::TcpListener, time::Instant};

    use super::*;

    /// What the gateway is asked to do, as `<method> <path>: <body>`.
    pub(crate) type Asked = Arc<Mutex<Vec<String>>>;

    /// A gateway that answers posts with one status and closes with another, and what it was asked.
    pub(crate) async fn gateway(posts: StatusCode, closes: StatusCode) -> (String, Asked) {
        slow_gateway(posts, closes, Duration::ZERO).await
    }

    /// A gateway like that of [`gateway`], where each answer takes so long.
    pub(crate) async fn slow_gateway(posts: StatusCode, closes: StatusCode, takes: Duration) -> (String, Asked) {
        let asked = Asked::default();
        let note = Arc::clone(&asked);
        let answer = async move |method: Method, uri: Uri, body: String| {
            tokio::time::sleep(takes).await;
            note.lock().unwrap().push(format!("{method} {}: {body}", uri.path()));
            if method == Method::DELETE { closes } else { posts }
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        (endpoint, asked)
    }

    pub(crate) const TOKEN_SECRET: &str = "a secret of more than 32 characters";

    /// Hands over a frame, where this is the database and that the gateway.
    pub(crate) async fn hand_over(database: &str, gateway: &str, frame: &str) {
        hand_over_all(database, gateway, &[frame]).await;
    }

    /// Hands over frames of one connection to one instance, one after another.
    pub(crate) async fn hand_over_all(database: &str, gateway: &str, frames: &[&str]) {
        let env = [
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"),
            ("AWS_ENDPOINT_URL_DYNAMODB", database),
            ("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", gateway),
            ("CONNECTIONS_TABLE", "connections"),
            ("USERS_TABLE", "users"),
            ("TOKEN_SECRET", TOKEN_SECRET),
            ("ANONYMOUS", "allow"),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
        let mut event: Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/events/message.json")).unwrap();
        let message = Message::from_env(&env).unwrap();
        for frame in frames {
            event["body"] = json!(frame);
            let event = serde_json::from_value(event.clone()).unwrap();
            let answer = message.handle(LambdaEvent::new(event, lambda_runtime::Context::default())).await.unwrap();
            let answer = serde_json::to_value(answer).unwrap();
            assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(200), &Value::Null), "{frame}");
        }
    }

    const CONNECTION: &str = "/@connections/QQFxqeZfIAMCKRA%3D";

    async fn away() -> String {
        let nobody = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
        format!("http://{nobody}")
    }

    /// Design rules 1 and 2, for a database that is away and for one that hangs.
    #[tokio::test]
    async fn without_a_database_the_connection_is_closed_and_only_a_pong_does_not_need_one() {
        let hanging = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let databases = [format!("http://{}", hanging.local_addr().unwrap()), away().await];
        let frames = [
            ("40/users,", true),
            ("41/users,", true),
            ("42/users,[\"an event\"]", true),
            ("42/users,1[\"auth.renew\",{}]", true),
            ("no frame", true),
            ("3", false),
        ];
        let cases = databases.iter().flat_map(|database| frames.map(|(frame, closes)| (database, frame, closes)));
        join_all(cases.map(async |(database, frame, closes)| {
            let (gateway, asked) = gateway(StatusCode::OK, StatusCode::NO_CONTENT).await;
            hand_over(database, &gateway, frame).await;
            let expected = if closes { vec![format!("DELETE {CONNECTION}: ")] } else { vec![] };
            assert_eq!(*asked.lock().unwrap(), expected, "{frame}");
        }))
        .await;
    }

    #[tokio::test]
    async fn an_answer_is_posted() {
        let (gateway, asked) = gateway(StatusCode::OK, StatusCode::NO_CONTENT).await;
        hand_over(&away().await, &gateway, "40/nope,").await;
        let expected = format!(r#"POST {CONNECTION}: 44/nope,{{"message":"Invalid namespace"}}"#);
        assert_eq!(*asked.lock().unwrap(), [expected]);
    }

    #[tokio::test]
    async fn an_answer_the_gateway_refuses_is_tried_again_for_seconds_and_then_the_connection_is_closed() {
        for refusal in [StatusCode::TOO_MANY_REQUESTS, StatusCode::INTERNAL_SERVER_ERROR] {
            let (gateway, asked) = gateway(refusal, StatusCode::NO_CONTENT).await;
            let started = Instant::now();
            hand_over(&away().await, &gateway, "40/nope,").await;
            let asked = asked.lock().unwrap();
            let (closes, posts): (Vec<_>, Vec<_>) = asked.iter().partition(|call| call.starts_with("DELETE"));
            assert!(posts.len() > 5 && started.elapsed() > Duration::from_secs(2), "{refusal}: {asked:?}");
            assert_eq!((closes.len(), asked.last()), (1, closes.last().copied()), "{refusal}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_has_long_been_open_and_is_gone_is_not_waited_for() {
        let (gateway, asked) = gateway(StatusCode::GONE, StatusCode::GONE).await;
        hand_over(&away().await, &gateway, "40/nope,").await;
        assert_eq!(asked.lock().unwrap().len(), 2, "one post, one close");
    }

    /// Even if nothing works, the message is done with before the function's time is over, which is 20 seconds in the
    /// template.
    #[tokio::test(start_paused = true)]
    async fn with_nothing_to_rely_on_it_still_ends_in_time() {
        let hanging = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let hanging = format!("http://{}", hanging.local_addr().unwrap());
        for frame in ["40/users,", "40/nope,"] {
            let started = Instant::now();
            hand_over(&hanging, &hanging, frame).await;
            assert!(started.elapsed() < Duration::from_secs(16), "{frame}: {:?}", started.elapsed());
        }
    }
}
