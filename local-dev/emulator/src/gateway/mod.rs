//! API Gateway's WebSocket API: connections, the events they cause, and what reaches them.
//!
//! An edge accepts sockets and turns them into calls of [`Gateway::connect`], [`Gateway::message`] and
//! [`Gateway::disconnect`]; [`management`] reaches them from the other side through their [`Wire`].

mod connection;
mod events;
pub(crate) mod management;
pub(crate) mod websocket;

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_lambda_events::event::apigw::ApiGatewayProxyResponse;
use axum::http::{HeaderValue, StatusCode, header::SEC_WEBSOCKET_PROTOCOL};
use jiff::Timestamp;
use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, timeout, timeout_at},
};

use self::connection::MESSAGES_AT_ONCE;
pub use self::{
    connection::{BufferFull, Wire},
    events::{Close, UpgradeRequest},
};
pub(crate) use self::{
    connection::{OpenConnection, Turn, Unfinished},
    events::Client,
};
use crate::{
    Limits,
    event::request_id,
    faults::Faults,
    functions::{FunctionError, Functions},
    template::WebSocketApi,
    throttle::{Buckets, StageThrottle},
};

/// Why a frame did not reach a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSent {
    /// The connection is closed or unknown, or its `$connect` has not been answered yet.
    Gone,
    /// See [`BufferFull`].
    Full,
}

/// The WebSocket API of the template.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    api: WebSocketApi,
    functions: Functions,
    faults: Arc<Faults>,
    limits: Limits,
    throttle: Buckets,
    connections: RwLock<HashMap<String, Arc<OpenConnection>>>,
    /// How many connections have been opened so far.
    opened: watch::Sender<usize>,
    /// How much there is that [`Gateway::stop`] waits for.
    unfinished: watch::Sender<usize>,
    /// Set once, when the gateway ends.
    stopping: AtomicBool,
    /// Connections there may be at the same time. Further ones are refused, before there are too few files left for
    /// everything else.
    most: usize,
    /// Whether a connection was refused because there were as many.
    was_full: AtomicBool,
}

impl Gateway {
    /// A gateway with at most so many connections at the same time.
    pub(crate) fn new(
        api: WebSocketApi,
        functions: Functions,
        faults: Arc<Faults>,
        limits: Limits,
        throttle: StageThrottle,
        most: usize,
    ) -> Self {
        let (connections, opened, unfinished) = (RwLock::default(), watch::Sender::new(0), watch::Sender::new(0));
        let (stopping, throttle) = (AtomicBool::new(false), Buckets::new(throttle));
        let was_full = AtomicBool::new(false);
        Self(Arc::new(Inner {
            api,
            functions,
            faults,
            limits,
            throttle,
            connections,
            opened,
            unfinished,
            stopping,
            most,
            was_full,
        }))
    }

    /// Whether there are as many connections as there may be; the first one too many is logged.
    fn is_full(&self) -> bool {
        let open = self.connections().len();
        let is_full = open >= self.0.most;
        if is_full && !self.0.was_full.swap(true, Ordering::Relaxed) {
            tracing::warn!("{open} sockets are connected; more are refused, as the limit of open files allows no more");
        }
        is_full
    }

    /// Whether the template has a WebSocket API.
    pub(crate) fn has_api(&self) -> bool {
        !self.0.api.stage.is_empty()
    }

    /// First part of the path of its URLs.
    pub(crate) fn stage(&self) -> &str {
        &self.0.api.stage
    }

    /// Counts the connections opened so far.
    pub(crate) fn opened(&self) -> watch::Receiver<usize> {
        self.0.opened.subscribe()
    }

    /// Ends every connection, and waits so long for that and for their `$disconnect`.
    pub(crate) async fn stop(&self, within: Duration) {
        let until = Instant::now() + within;
        self.0.stopping.store(true, Ordering::SeqCst);
        let all: Vec<_> = self.connections_mut().keys().cloned().collect();
        for id in all {
            // A connection that has ended meanwhile needs no end.
            let _ = self.end(&id, Close::going_away());
        }
        let mut unfinished = self.0.unfinished.subscribe();
        if timeout_at(until, unfinished.wait_for(|count| *count == 0)).await.is_err() {
            tracing::warn!("not every connection could be ended in time; the heartbeat forgets what is left of them");
        }
    }

    /// Whether [`Gateway::stop`] was called.
    pub(crate) fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::SeqCst)
    }

    /// Has [`Gateway::stop`] wait for what holds this.
    pub(crate) fn unfinished(&self) -> Unfinished {
        Unfinished::new(&self.0.unfinished)
    }

    /// Asks `$connect` whether a handshake may go on. The connection does not exist before [`Gateway::open`].
    ///
    /// # Errors
    /// The status to refuse it with.
    pub async fn connect(&self, handshake: UpgradeRequest) -> Result<Accepted, StatusCode> {
        let gateway = self.clone();
        // A task of its own: a client that goes away in the middle must not leave half a `$connect` behind.
        let task = tokio::spawn(async move { gateway.ask_connect(handshake).await });
        task.await.unwrap_or(Err(StatusCode::BAD_GATEWAY))
    }

    async fn ask_connect(&self, handshake: UpgradeRequest) -> Result<Accepted, StatusCode> {
        if self.is_stopping() {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        if self.is_full() {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        if !self.0.throttle.take("$connect") {
            return Err(StatusCode::TOO_MANY_REQUESTS);
        }
        let (id, connected_at) = (request_id(), Timestamp::now());
        let new = New { id, connected_at, client: handshake.client.clone(), unfinished: self.unfinished() };
        let accept = |new, protocol| Ok(Accepted { gateway: self.clone(), new: Some(new), protocol });
        let Some(function) = self.0.api.routes.get("$connect") else { return accept(new, None) };
        let event = events::connect(&self.0.api, &new, &handshake);
        match self.0.functions.invoke::<ApiGatewayProxyResponse>(function, event).await {
            Ok(answer) => match u16::try_from(answer.status_code).ok().and_then(|s| StatusCode::from_u16(s).ok()) {
                Some(status) if status.is_success() => accept(new, answer.headers.get(SEC_WEBSOCKET_PROTOCOL).cloned()),
                Some(status) if status.is_client_error() || status.is_server_error() => Err(status),
                _ => Err(StatusCode::BAD_GATEWAY),
            },
            Err(FunctionError::Failed { .. } | FunctionError::Throttled { .. }) => Err(StatusCode::BAD_GATEWAY),
            Err(FunctionError::TimedOut { .. }) => Err(StatusCode::GATEWAY_TIMEOUT),
        }
    }

    /// Opens a connection that was let through: from here on it can be posted to.
    pub fn open(&self, mut accepted: Accepted, wire: Arc<dyn Wire>) {
        let Some(New { id, connected_at, client, unfinished }) = accepted.new.take() else { return };
        let last_active_at = RwLock::new(connected_at);
        let turns = Arc::new(Semaphore::new(MESSAGES_AT_ONCE));
        let connection = OpenConnection { client, connected_at, last_active_at, wire, turns, _unfinished: unfinished };
        self.connections_mut().insert(id.clone(), connection.into());
        if self.is_stopping() {
            // This connection came while all were being closed.
            let _ = self.end(&id, Close::going_away());
        }
        self.0.opened.send_modify(|count| *count += 1);
    }

    /// Waits until another message of the connection may be handled.
    pub(crate) async fn turn(&self, id: &str) -> Result<Turn, NotSent> {
        let turns = Arc::clone(&self.connection(id).ok_or(NotSent::Gone)?.turns);
        // The semaphore is closed with the connection: a message that still waits then is told that the connection is
        // gone.
        turns.acquire_owned().await.map(|permit| Turn { _permit: permit }).map_err(|_closed| NotSent::Gone)
    }

    /// Hands a text message to its route in its turn, and returns the frame to answer with, if there is one.
    ///
    /// # Errors
    /// [`NotSent::Gone`] for a connection that is not open.
    pub async fn message(&self, id: &str, body: String) -> Result<Option<String>, NotSent> {
        let turn = self.turn(id).await?;
        self.message_in(turn, id, body).await
    }

    /// Hands a text message whose turn has come to its route, and returns the frame to answer with, if there is one.
    pub(crate) async fn message_in(&self, turn: Turn, id: &str, body: String) -> Result<Option<String>, NotSent> {
        let answer = self.handle(id, body).await;
        drop(turn);
        answer
    }

    async fn handle(&self, id: &str, body: String) -> Result<Option<String>, NotSent> {
        let connection = self.connection(id).ok_or(NotSent::Gone)?;
        connection.touch();
        let api = &self.0.api;
        let Some((route, function)) = api.route(&body) else {
            return Ok(Some(events::error_frame("Forbidden", id)));
        };
        if !self.0.throttle.take(route) {
            return Ok(Some(events::error_frame("Too Many Requests", id)));
        }
        let event = events::message(api, route, id, &connection, &body);
        let answer = self.0.functions.invoke::<ApiGatewayProxyResponse>(function, event);
        match timeout(self.0.limits.integration, answer).await {
            Ok(Ok(answer)) => {
                if !api.answering.contains(route) {
                    return Ok(None);
                }
                let body = answer.body.map(|body| String::from_utf8_lossy(body.as_ref()).into_owned());
                let body = body.unwrap_or_default();
                Ok(Some(body).filter(|body| !body.is_empty() || self.0.faults.sends_empty_answers()))
            }
            // AWS tells the client, and a Socket.IO client drops its connection on it.
            Ok(Err(_)) => Ok(Some(events::error_frame("Internal server error", id))),
            Err(_elapsed) => Ok(Some(events::error_frame("Endpoint request timed out", id))),
        }
    }

    /// Whether posts to this connection are not answered, on purpose.
    pub(super) fn stalls(&self, id: &str) -> bool {
        self.0.faults.stalls(id)
    }

    /// Posts one frame.
    pub(crate) fn post(&self, id: &str, frame: &str) -> Result<(), NotSent> {
        let connection = self.reachable(id)?;
        if self.0.faults.throttles() {
            return Err(NotSent::Full);
        }
        connection.wire.send(frame).map_err(|BufferFull| NotSent::Full)?;
        connection.touch();
        Ok(())
    }

    /// Closes a connection from this side; `$disconnect` follows, and nobody waits for it.
    pub(crate) fn delete(&self, id: &str) -> Result<(), NotSent> {
        self.reachable(id)?;
        self.end(id, Close::BY_SERVER)
    }

    fn end(&self, id: &str, close: Close) -> Result<(), NotSent> {
        let connection = self.connections_mut().remove(id).ok_or(NotSent::Gone)?;
        connection.turns.close();
        connection.wire.close();
        self.disconnected(id, connection, close);
        Ok(())
    }

    /// Removes a connection that ended; the first call for it has `$disconnect` follow.
    pub fn disconnect(&self, id: &str, close: Close) {
        let removed = self.connections_mut().remove(id);
        if let Some(connection) = removed {
            connection.turns.close();
            self.disconnected(id, connection, close);
        }
    }

    fn disconnected(&self, id: &str, connection: Arc<OpenConnection>, close: Close) {
        let (gateway, id) = (self.clone(), id.to_owned());
        tokio::spawn(async move {
            gateway.notify_disconnect(&id, &connection.client, connection.connected_at, &close).await;
        });
    }

    async fn notify_disconnect(&self, id: &str, client: &Client, connected_at: Timestamp, close: &Close) {
        let Some(function) = self.0.api.routes.get("$disconnect") else { return };
        if self.0.faults.drops_disconnect() {
            return;
        }
        let event = events::disconnect(&self.0.api, id, client, connected_at, close);
        // Nobody is left to be told how it went.
        let _ = self.0.functions.invoke::<serde_json::Value>(function, event).await;
    }

    /// A connection as the management API sees it.
    pub(crate) fn reachable(&self, id: &str) -> Result<Arc<OpenConnection>, NotSent> {
        let connection = self.connection(id).ok_or(NotSent::Gone)?;
        if self.0.faults.refuses() {
            return Err(NotSent::Full);
        }
        let hidden = self.0.faults.gone_for().is_some_and(|time| connection.is_younger_than(time));
        if hidden { Err(NotSent::Gone) } else { Ok(connection) }
    }

    /// A connection that is open.
    fn connection(&self, id: &str) -> Option<Arc<OpenConnection>> {
        self.connections().get(id).cloned()
    }

    fn connections(&self) -> std::sync::RwLockReadGuard<'_, HashMap<String, Arc<OpenConnection>>> {
        self.0.connections.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn connections_mut(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<String, Arc<OpenConnection>>> {
        self.0.connections.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that `$connect` knows.
struct New {
    id: String,
    connected_at: Timestamp,
    client: Client,
    unfinished: Unfinished,
}

/// A handshake that `$connect` let through. One that is dropped instead of opened is disconnected.
pub struct Accepted {
    gateway: Gateway,
    new: Option<New>,
    /// The subprotocol `$connect` chose.
    protocol: Option<HeaderValue>,
}

impl Accepted {
    /// The connection id: 16 characters that need encoding in a URL.
    #[must_use]
    pub fn id(&self) -> &str {
        self.new.as_ref().map_or("", |new| &new.id)
    }

    /// What the `Sec-WebSocket-Protocol` of the 101 has to say, if anything.
    #[must_use]
    pub fn protocol(&self) -> Option<HeaderValue> {
        self.protocol.clone()
    }
}

impl Drop for Accepted {
    fn drop(&mut self) {
        let (Some(new), Ok(runtime)) = (self.new.take(), tokio::runtime::Handle::try_current()) else { return };
        let gateway = self.gateway.clone();
        runtime.spawn(async move {
            let close = Close { code: 1006, reason: String::new() };
            gateway.notify_disconnect(&new.id, &new.client, new.connected_at, &close).await;
        });
    }
}

#[cfg(test)]
mod tests;
