//! The WebSocket edge at `/<stage>`: API Gateway as it is, frame for frame. Here the functions speak Engine.IO themselves.

use std::{pin::pin, sync::Arc};

use axum::{
    Router,
    extract::{
        ConnectInfo, State, WebSocketUpgrade,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code},
    },
    http::{StatusCode, header::SEC_WEBSOCKET_PROTOCOL, request::Parts},
    response::{IntoResponse, Response},
    routing::get,
};
use futures::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep_until, timeout},
};

use super::{BufferFull, Close, Gateway, Limits, Turn, UpgradeRequest, Wire};
use crate::server::Peer;

/// Largest frame and largest message a client may send, in bytes.
const MAX_FRAME: usize = 32 * 1024;
const MAX_MESSAGE: usize = 128 * 1024;

/// Frames that wait for a client which does not read; then the management API answers 429.
const BUFFER: usize = 128;

/// How much is read from a socket at once, at either edge. Each socket keeps so much memory while it is idle, and messages are small.
pub(super) const IO_BUFFER: usize = 1024;

/// How long a client that does not read may take to begin with it before the close frame.
const READ_WITHIN: std::time::Duration = std::time::Duration::from_secs(3);

/// How long a client may take to answer a close frame.
const CLOSE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);

#[derive(Clone)]
struct WebSocketState {
    gateway: Gateway,
    limits: Limits,
}

/// The edge's routes, with a slash at the end or without. A longer path under the stage is forbidden, as on AWS.
pub(crate) fn router(gateway: Gateway, limits: Limits) -> Router {
    let stage = format!("/{}", gateway.stage());
    let below = format!("{stage}/{{*path}}");
    let forbidden = get(async || (StatusCode::FORBIDDEN, axum::Json(serde_json::json!({ "message": "Forbidden" }))));
    Router::new()
        .route(&stage, get(upgrade))
        .route(&format!("{stage}/"), get(upgrade))
        .route(&below, forbidden)
        .with_state(WebSocketState { gateway, limits })
}

/// `$connect` decides before the 101.
async fn upgrade(
    State(edge): State<WebSocketState>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    parts: Parts,
    upgrade: Option<Upgrade>,
) -> Response {
    let Some(Upgrade(upgrade)) = upgrade else { return StatusCode::UPGRADE_REQUIRED.into_response() };
    let accepted = match edge.gateway.connect(UpgradeRequest::new(&parts, &peer)).await {
        Ok(accepted) => accepted,
        Err(status) => return status.into_response(),
    };
    let protocol = accepted.protocol();
    let upgrade = upgrade.max_frame_size(MAX_FRAME).max_message_size(MAX_MESSAGE);
    // A client that is gone by now drops `accepted`, and so is disconnected.
    let mut answer = upgrade.read_buffer_size(IO_BUFFER).write_buffer_size(0).on_upgrade(move |socket| async move {
        let (frames, outgoing) = mpsc::channel(BUFFER);
        let channel = Arc::new(Channel { frames, close: Notify::new() });
        let id = accepted.id().to_owned();
        edge.gateway.open(accepted, channel.clone());
        ConnectionTask { edge: &edge, id: &id, channel: &channel }.run(socket, outgoing).await;
    });
    answer.headers_mut().extend(protocol.map(|protocol| (SEC_WEBSOCKET_PROTOCOL, protocol)));
    answer
}

/// `WebSocketUpgrade` as an optional extractor.
struct Upgrade(WebSocketUpgrade);

impl<S: Send + Sync> axum::extract::OptionalFromRequestParts<S> for Upgrade {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Self::Rejection> {
        use axum::extract::FromRequestParts as _;
        Ok(WebSocketUpgrade::from_request_parts(parts, state).await.ok().map(Self))
    }
}

/// What leads from the gateway to the task that owns the socket.
struct Channel {
    frames: mpsc::Sender<Utf8Bytes>,
    close: Notify,
}

impl Wire for Channel {
    fn send(&self, frame: &str) -> Result<(), BufferFull> {
        match self.frames.try_send(frame.into()) {
            Err(mpsc::error::TrySendError::Full(_)) => Err(BufferFull),
            // A connection whose task has ended is about to be removed.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
        }
    }

    fn close(&self) {
        self.close.notify_one();
    }
}

/// What a socket did.
enum Step {
    GoOn,
    /// The client closed, or is gone.
    Ended(Close),
    /// The gateway closes, with this code.
    Close(u16),
}

struct ConnectionTask<'a> {
    edge: &'a WebSocketState,
    id: &'a str,
    channel: &'a Arc<Channel>,
}

impl ConnectionTask<'_> {
    /// Passes frames on in both directions, until either side ends the connection.
    async fn run(&self, socket: WebSocket, mut outgoing: mpsc::Receiver<Utf8Bytes>) {
        // The gateway does not end before the close frame is on its way.
        let unfinished = self.edge.gateway.unfinished();
        let (mut sink, mut stream) = socket.split();
        let limits = self.edge.limits;
        let end_of_life = Instant::now() + limits.lifetime;
        let mut idle_at = Instant::now() + limits.idle;
        let code = loop {
            let mut ends = pin!(self.ends(idle_at.min(end_of_life)));
            let step = tokio::select! {
                // What was posted before a close still goes out.
                biased;
                Some(frame) = outgoing.recv() => {
                    let mut writing = pin!(write(&mut sink, frame, &mut outgoing));
                    tokio::select! {
                        biased;
                        step = &mut writing => step,
                        // What was posted before still goes out, if the client reads it.
                        code = &mut ends => {
                            self.is_gone(code);
                            let _ = timeout(READ_WITHIN, writing).await;
                            Step::Close(code)
                        }
                    }
                }
                code = &mut ends => Step::Close(code),
                (turn, message) = self.next(&mut stream) => self.read(turn, message),
            };
            match step {
                Step::GoOn => idle_at = Instant::now() + limits.idle,
                Step::Ended(close) => {
                    self.edge.gateway.disconnect(self.id, close);
                    // A client that closed is answered with a close frame, which is written while this reads on.
                    let _ = timeout(CLOSE_TIMEOUT, async { while let Some(Ok(_)) = stream.next().await {} }).await;
                    return;
                }
                Step::Close(code) => break code,
            }
        };
        let frame = self.is_gone(code);
        // The client may not read any more, and so the goodbye has a limit of time.
        let goodbye = async {
            if let Ok(frame) = outgoing.try_recv() {
                write(&mut sink, frame, &mut outgoing).await;
            }
            let _ = sink.send(Message::Close(Some(frame))).await;
            drop(unfinished);
            while let Some(Ok(_)) = stream.next().await {}
        };
        let _ = timeout(CLOSE_TIMEOUT, goodbye).await;
    }

    /// Has the connection be gone for whoever posts, however long the goodbye takes; returns what the client is told.
    fn is_gone(&self, code: u16) -> CloseFrame {
        let reason = if code == close_code::AWAY { "Going away" } else { "" };
        self.edge.gateway.disconnect(self.id, Close { code, reason: reason.to_owned() });
        CloseFrame { code, reason: reason.into() }
    }

    /// Waits until this side ends the connection; returns the code to close it with.
    async fn ends(&self, at: Instant) -> u16 {
        tokio::select! {
            () = self.channel.close.notified() => {
                if self.edge.gateway.is_stopping() { close_code::AWAY } else { close_code::NORMAL }
            }
            () = sleep_until(at) => close_code::AWAY,
        }
    }

    /// Reads on, as soon as another message may be handled.
    async fn next(&self, stream: &mut SplitStream<WebSocket>) -> (Option<Turn>, Option<Result<Message, axum::Error>>) {
        let turn = self.edge.gateway.turn(self.id).await.ok();
        (turn, stream.next().await)
    }

    fn read(&self, turn: Option<Turn>, message: Option<Result<Message, axum::Error>>) -> Step {
        match message {
            Some(Ok(Message::Text(text))) => {
                // A connection that gets no turn is being closed.
                if let Some(turn) = turn {
                    self.hand_over(turn, text.to_string());
                }
                Step::GoOn
            }
            Some(Ok(Message::Binary(_))) => Step::Close(close_code::UNSUPPORTED),
            // Control frames are not surfaced, and it is not known whether they keep a connection from being idle.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Step::GoOn,
            Some(Ok(Message::Close(Some(frame)))) => {
                Step::Ended(Close { code: frame.code, reason: frame.reason.to_string() })
            }
            Some(Ok(Message::Close(None))) => Step::Ended(Close::without_status()),
            Some(Err(error)) if is_too_big(&error) => Step::Close(close_code::SIZE),
            Some(Err(_)) | None => Step::Ended(Close { code: close_code::ABNORMAL, reason: String::new() }),
        }
    }

    /// Hands a message over in an invocation of its own: AWS promises neither one at a time nor an order.
    fn hand_over(&self, turn: Turn, text: String) {
        let (gateway, id, channel) = (self.edge.gateway.clone(), self.id.to_owned(), Arc::clone(self.channel));
        tokio::spawn(async move {
            if let Ok(Some(frame)) = gateway.message_in(turn, &id, text).await {
                // A connection that ended meanwhile gets no answer.
                let _ = channel.frames.send(frame.into()).await;
            }
        });
    }
}

/// Writes a frame and all that wait behind it, then flushes once.
async fn write(
    sink: &mut SplitSink<WebSocket, Message>,
    first: Utf8Bytes,
    outgoing: &mut mpsc::Receiver<Utf8Bytes>,
) -> Step {
    let mut next = Some(first);
    while let Some(frame) = next {
        if sink.feed(Message::Text(frame)).await.is_err() {
            return Step::GoOn;
        }
        next = outgoing.try_recv().ok();
    }
    // A broken connection shows when it is read.
    let _ = sink.flush().await;
    Step::GoOn
}

fn is_too_big(error: &axum::Error) -> bool {
    use std::error::Error as _;
    use tokio_tungstenite::tungstenite::Error;
    matches!(error.source().and_then(|cause| cause.downcast_ref()), Some(Error::Capacity(_)))
}
