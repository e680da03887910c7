//! API Gateway's WebSocket API: connections, the events they cause, and what reaches them.
//!
//! An edge accepts sockets and turns them into calls of [`Gateway::connect`], [`Gateway::message`] and
//! [`Gateway::disconnect`]; [`management`] reaches them from the other side through their [`Wire`].

mod events;
pub(crate) mod management;
mod socketio;
pub(crate) mod websocket;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use aws_lambda_events::event::apigw::ApiGatewayProxyResponse;
use axum::http::StatusCode;
use jiff::Timestamp;
use tokio::{sync::watch, time::timeout};

pub(crate) use self::{
    events::{Close, Handshake},
    socketio::SocketIoEdge,
};
use crate::{
    event::request_id,
    faults::{Faults, duration},
    functions::{FunctionError, Functions},
    template::WebSocketApi,
};

/// The limits of API Gateway that end or cut something short. Shorter ones show what a client makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Limits of the gateway")]
pub struct Limits {
    /// Without a message in either direction a connection at /dev ends after this time.
    #[arg(long = "idle-timeout", env = "LOCAL_DEV_IDLE_TIMEOUT", value_name = "TIME", default_value = "600s", value_parser = duration)]
    pub idle: Duration,
    /// Any connection at /dev ends after this time.
    #[arg(long = "lifetime", env = "LOCAL_DEV_LIFETIME", value_name = "TIME", default_value = "7200s", value_parser = duration)]
    pub lifetime: Duration,
    /// A function that has not answered a message by then is not waited for.
    #[arg(long = "integration-timeout", env = "LOCAL_DEV_INTEGRATION_TIMEOUT", value_name = "TIME", default_value = "29s", value_parser = duration)]
    pub integration: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(10 * 60),
            lifetime: Duration::from_secs(2 * 60 * 60),
            integration: Duration::from_secs(29),
        }
    }
}

/// How frames get from the gateway to one client. Each edge has its own.
pub(crate) trait Wire: Send + Sync {
    /// Hands over one text frame without waiting.
    fn send(&self, frame: &str) -> Result<(), BufferFull>;

    /// Closes the connection.
    fn close(&self);
}

/// The client does not read as fast as frames come: 429 on the management API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BufferFull;

/// A connection between its `$connect` and its end.
pub(crate) struct Connection {
    handshake: Arc<Handshake>,
    connected_at: Timestamp,
    last_active_at: RwLock<Timestamp>,
    wire: Arc<dyn Wire>,
}

/// Why a frame did not reach a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotSent {
    /// Closed, unknown, or its `$connect` has not been answered yet.
    Gone,
    /// See [`BufferFull`].
    Full,
}

/// The WebSocket API of the template.
#[derive(Clone)]
pub(crate) struct Gateway(Arc<Inner>);

struct Inner {
    api: WebSocketApi,
    functions: Functions,
    faults: Arc<Faults>,
    limits: Limits,
    connections: RwLock<HashMap<String, Arc<Connection>>>,
    /// How many connections have been opened so far.
    opened: watch::Sender<usize>,
}

impl Gateway {
    pub(crate) fn new(api: WebSocketApi, functions: Functions, faults: Arc<Faults>, limits: Limits) -> Self {
        let (connections, opened) = (RwLock::default(), watch::Sender::new(0));
        Self(Arc::new(Inner { api, functions, faults, limits, connections, opened }))
    }

    /// First part of the path of its URLs.
    pub(crate) fn stage(&self) -> &str {
        &self.0.api.stage
    }

    /// Counts the connections opened so far.
    pub(crate) fn opened(&self) -> watch::Receiver<usize> {
        self.0.opened.subscribe()
    }

    /// Asks `$connect` whether a handshake may go on. The connection does not exist before [`Gateway::open`].
    pub(crate) async fn connect(&self, handshake: Handshake) -> Result<Accepted, StatusCode> {
        let gateway = self.clone();
        // A task of its own: a client that goes away in the middle must not leave half a `$connect` behind.
        let task = tokio::spawn(async move { gateway.ask_connect(handshake).await });
        task.await.unwrap_or(Err(StatusCode::BAD_GATEWAY))
    }

    async fn ask_connect(&self, handshake: Handshake) -> Result<Accepted, StatusCode> {
        let (id, connected_at) = (request_id(), Timestamp::now());
        let new = New { id, connected_at, handshake: handshake.into() };
        let accept = |new| Ok(Accepted { gateway: self.clone(), new: Some(new) });
        let Some(function) = self.0.api.routes.get("$connect") else { return accept(new) };
        let event = events::connect(&self.0.api, &new);
        match self.0.functions.invoke::<ApiGatewayProxyResponse>(function, event).await {
            Ok(answer) => match u16::try_from(answer.status_code).ok().and_then(|s| StatusCode::from_u16(s).ok()) {
                Some(status) if status.is_success() => accept(new),
                Some(status) if status.is_client_error() || status.is_server_error() => Err(status),
                _ => Err(StatusCode::BAD_GATEWAY),
            },
            Err(FunctionError::Failed { .. }) => Err(StatusCode::BAD_GATEWAY),
            Err(FunctionError::TimedOut { .. }) => Err(StatusCode::GATEWAY_TIMEOUT),
        }
    }

    /// From here on the connection can be posted to.
    pub(crate) fn open(&self, mut accepted: Accepted, wire: Arc<dyn Wire>) {
        let Some(New { id, connected_at, handshake }) = accepted.new.take() else { return };
        let connection = Connection { handshake, connected_at, last_active_at: RwLock::new(connected_at), wire };
        self.connections_mut().insert(id, connection.into());
        self.0.opened.send_modify(|count| *count += 1);
    }

    /// Hands a text message to `$default`, and returns the frame to answer with, if there is one.
    pub(crate) async fn message(&self, id: &str, body: String) -> Result<Option<String>, NotSent> {
        let connection = self.connection(id).ok_or(NotSent::Gone)?;
        connection.touch();
        let Some(function) = self.0.api.routes.get("$default") else {
            return Ok(Some(events::error_frame("Forbidden", id)));
        };
        let event = events::message(&self.0.api, id, &connection, body);
        let answer = self.0.functions.invoke::<ApiGatewayProxyResponse>(function, event);
        match timeout(self.0.limits.integration, answer).await {
            Ok(Ok(answer)) => {
                let body = answer.body.map(|body| String::from_utf8_lossy(body.as_ref()).into_owned());
                let answers = self.0.api.answering.contains("$default");
                Ok(body.filter(|body| answers && !body.is_empty()))
            }
            // AWS tells the client, and a Socket.IO client drops its connection on it.
            Ok(Err(error)) => {
                tracing::error!(%error, connection_id = id, "$default failed");
                Ok(Some(events::error_frame("Internal server error", id)))
            }
            Err(_elapsed) => Ok(Some(events::error_frame("Endpoint request timed out", id))),
        }
    }

    /// Posts one frame.
    pub(crate) fn post(&self, id: &str, frame: &str) -> Result<(), NotSent> {
        let connection = self.connection(id).ok_or(NotSent::Gone)?;
        if self.0.faults.gone_for().is_some_and(|time| connection.is_younger_than(time)) {
            return Err(NotSent::Gone);
        }
        if self.0.faults.throttles() {
            return Err(NotSent::Full);
        }
        connection.wire.send(frame).map_err(|BufferFull| NotSent::Full)?;
        connection.touch();
        Ok(())
    }

    /// Closes a connection from this side; `$disconnect` follows.
    pub(crate) async fn delete(&self, id: &str) -> Result<(), NotSent> {
        let connection = self.connections_mut().remove(id).ok_or(NotSent::Gone)?;
        connection.wire.close();
        self.notify_disconnect(id, &connection.handshake, connection.connected_at, &Close::BY_SERVER).await;
        Ok(())
    }

    /// A connection ended; the first call for it invokes `$disconnect`.
    pub(crate) async fn disconnect(&self, id: &str, close: Close) {
        let removed = self.connections_mut().remove(id);
        if let Some(connection) = removed {
            self.notify_disconnect(id, &connection.handshake, connection.connected_at, &close).await;
        }
    }

    async fn notify_disconnect(&self, id: &str, handshake: &Handshake, connected_at: Timestamp, close: &Close) {
        let Some(function) = self.0.api.routes.get("$disconnect") else { return };
        if self.0.faults.drops_disconnect() {
            return;
        }
        let event = events::disconnect(&self.0.api, id, handshake, connected_at, close);
        // Nobody is left to be told.
        if let Err(error) = self.0.functions.invoke::<serde_json::Value>(function, event).await {
            tracing::error!(%error, connection_id = id, "$disconnect failed");
        }
    }

    /// A connection that is open.
    pub(crate) fn connection(&self, id: &str) -> Option<Arc<Connection>> {
        self.0.connections.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn connections_mut(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<String, Arc<Connection>>> {
        self.0.connections.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    fn touch(&self) {
        *self.last_active_at.write().unwrap_or_else(PoisonError::into_inner) = Timestamp::now();
    }

    fn is_younger_than(&self, time: Duration) -> bool {
        Timestamp::now().duration_since(self.connected_at).unsigned_abs() < time
    }

    fn last_active_at(&self) -> Timestamp {
        *self.last_active_at.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that `$connect` knows.
struct New {
    id: String,
    connected_at: Timestamp,
    handshake: Arc<Handshake>,
}

/// A handshake that `$connect` let through. One that is dropped instead of opened is disconnected.
pub(crate) struct Accepted {
    gateway: Gateway,
    new: Option<New>,
}

impl Accepted {
    /// The connection id: 16 characters that need encoding in a URL.
    pub(crate) fn id(&self) -> &str {
        self.new.as_ref().map_or("", |new| &new.id)
    }
}

impl Drop for Accepted {
    fn drop(&mut self) {
        let (Some(new), Ok(runtime)) = (self.new.take(), tokio::runtime::Handle::try_current()) else { return };
        let gateway = self.gateway.clone();
        runtime.spawn(async move {
            let close = Close { code: 1006, reason: String::new() };
            gateway.notify_disconnect(&new.id, &new.handshake, new.connected_at, &close).await;
        });
    }
}
