//! The Socket.IO edge at `/socket.io/`: socketioxide in front of the gateway, with polling and WebSocket.
//!
//! socketioxide speaks the protocol to the client; what it says means what the functions say. An Engine.IO session
//! becomes a gateway connection, its packets become messages, and frames that functions post come out of socketioxide:
//! events, the answer of a CONNECT, acknowledgements. Opening and heartbeats are socketioxide's own, so such frames stop
//! here.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    time::Duration,
};

use axum::{
    Router,
    extract::{ConnectInfo, FromRequestParts as _, Query, Request, State, WebSocketUpgrade},
    http::{Method, StatusCode, header::SEC_WEBSOCKET_PROTOCOL},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{SeqAccess, Visitor},
    ser::SerializeTuple as _,
};
use serde_json::Value;
use shared::{
    events::NAMESPACE,
    protocol::{Frame, Packet, PacketData},
};
use socketioxide::{
    SendError, SocketError, SocketIo,
    extract::{AckSender, Event, SocketRef, TryData},
    handler::ConnectHandler as _,
    socket::Sid,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use tower_http::cors::CorsLayer;

use super::{BufferFull, Close, Gateway, Handshake, Wire, upgrade};
use crate::server::{Peer, Scissors};

/// Frames that wait for a client which is still joining, or does not read.
const BUFFER: usize = 1024;

/// How long a closed session may still take to hear its last words.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long socketioxide may take to write what it has been given.
const WRITTEN_WITHIN: Duration = Duration::from_millis(50);

/// The edge. Ends all its sessions when told to.
pub(crate) struct SocketIoEdge {
    io: SocketIo,
}

#[derive(Clone)]
struct Edge {
    gateway: Gateway,
    io: Arc<OnceLock<SocketIo>>,
    /// Sessions by Engine.IO session id, for the later requests of a polling client.
    sessions: Arc<Mutex<HashMap<String, Weak<Session>>>>,
    /// socketioxide itself, for WebSockets of polling sessions.
    server: Router,
}

impl SocketIoEdge {
    /// The edge and its routes. `cors` is that of the HTTP API: polling is ordinary HTTP.
    pub(crate) fn new(gateway: Gateway, cors: Option<CorsLayer>) -> (Self, Router) {
        let (service, io) = SocketIo::builder().max_buffer_size(BUFFER).build_svc();
        let server = Router::new().route_service("/socket.io/", service);
        let edge = Edge { gateway, io: Arc::default(), sessions: Arc::default(), server: server.clone() };
        let _ = edge.io.set(io.clone());
        io.ns(NAMESPACE, joined.with(join));
        let router = server.layer(from_fn_with_state(edge, gate));
        (Self { io }, if let Some(cors) = cors { router.layer(cors) } else { router })
    }

    /// Ends every session; clients will try to come back.
    pub(crate) async fn stop(&self) {
        self.io.close().await;
    }
}

/// One Engine.IO session and the gateway connection it stands for. It ends when socketioxide lets go of the handshake
/// request it travels in.
struct Session {
    id: OnceLock<String>,
    edge: Edge,
    state: Mutex<Joining>,
    /// Told when the namespace is joined and what was waiting is on its way.
    settled: Notify,
    /// Every TCP connection a WebSocket of this session runs over.
    scissors: Mutex<Vec<Scissors>>,
    /// That of the request by which a polling client waits for frames.
    poll: Mutex<Option<Scissors>>,
}

/// Where the client is with its namespace.
#[derive(Default)]
struct Joining {
    /// Set once socketioxide knows the socket.
    sid: Option<Sid>,
    /// The namespace is joined; what functions post goes straight through.
    joined: bool,
    /// When the management API closed it.
    closed: Option<Instant>,
    /// What functions posted before; clients hear it right after CONNECT was answered.
    waiting: Vec<String>,
    /// What functions said about the CONNECT that is under way.
    verdict: Option<Verdict>,
    /// The client's events that functions are handling, by the acknowledgement id they know.
    unacknowledged: HashMap<u64, AckSender>,
    /// The acknowledgement id of the last one.
    last_event: u64,
}

/// The answer of a CONNECT.
enum Verdict {
    Accepted,
    /// In these words.
    Refused(String),
}

impl Verdict {
    fn read(frame: &str) -> Option<Self> {
        match frame.strip_prefix('4').map(Packet::decode)?.ok()? {
            Packet { namespace, data } if namespace == NAMESPACE => match data {
                PacketData::Connect(_) => Some(Self::Accepted),
                PacketData::ConnectError(error) => {
                    Some(Self::Refused(error["message"].as_str().unwrap_or_default().to_owned()))
                }
                _ => None,
            },
            _ => None,
        }
    }
}

/// The handle in the request's extensions.
#[derive(Clone)]
struct Lease(Arc<Session>);

/// The wire must not keep the session alive.
struct SessionWire(Weak<Session>);

impl Wire for SessionWire {
    fn send(&self, frame: &str) -> Result<(), BufferFull> {
        self.0.upgrade().map_or(Ok(()), |session| session.send(frame))
    }

    fn close(&self) {
        if let Some(session) = self.0.upgrade() {
            session.close();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let (Some(id), edge) = (self.id.get().cloned(), self.edge.clone()) else { return };
        if let Some(sid) = self.state().sid {
            edge.sessions().remove(&sid.to_string());
        }
        // Without a runtime the process is ending, and the functions with it.
        if tokio::runtime::Handle::try_current().is_ok() {
            edge.gateway.disconnect(&id, Close::without_status());
        }
    }
}

impl Edge {
    fn sessions(&self) -> std::sync::MutexGuard<'_, HashMap<String, Weak<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn state(&self) -> std::sync::MutexGuard<'_, Joining> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn id(&self) -> &str {
        self.id.get().map_or("", String::as_str)
    }

    /// Runs over this TCP connection as well.
    fn runs_over(&self, scissors: Scissors) {
        self.scissors.lock().unwrap_or_else(PoisonError::into_inner).push(scissors);
    }

    fn send(&self, frame: &str) -> Result<(), BufferFull> {
        let mut state = self.state();
        if state.joined {
            return self.deliver(&mut state, frame);
        }
        if let Some(verdict) = Verdict::read(frame) {
            // `join` has it sent.
            state.verdict = Some(verdict);
            return Ok(());
        }
        if state.waiting.len() == BUFFER {
            return Err(BufferFull);
        }
        state.waiting.push(frame.to_owned());
        Ok(())
    }

    fn deliver(&self, state: &mut Joining, frame: &str) -> Result<(), BufferFull> {
        let socket = state.sid.and_then(|sid| self.edge.io.get()?.of(NAMESPACE)?.get_socket(sid));
        let Some(socket) = socket else {
            self.leave(state);
            return Ok(());
        };
        let packet = match Frame::decode(frame) {
            Ok(Frame::Message(packet)) => Packet::decode(&packet),
            // socketioxide has a heartbeat of its own; a client that is here is alive.
            Ok(Frame::Ping(_)) => {
                self.answer_ping();
                return Ok(());
            }
            // The other frames of Engine.IO are socketioxide's business.
            _ => return Ok(()),
        };
        let outcome = match packet.map(|packet| packet.data) {
            Ok(PacketData::Event { args, .. }) => {
                let name = args.first().and_then(Value::as_str).unwrap_or_default();
                socket.emit(name, &Arguments(&args[1..])).map_err(|error| match error {
                    SendError::Socket(error) => error,
                    SendError::Serialize(_) => SocketError::Closed,
                })
            }
            Ok(PacketData::Disconnect) => socket.disconnect(),
            Ok(PacketData::Ack { id, args }) => {
                let acknowledge = id.and_then(|id| state.unacknowledged.remove(&id));
                match acknowledge.map(|acknowledge| acknowledge.send(&Arguments(&args))) {
                    Some(Err(SendError::Socket(error))) => Err(error),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        };
        // A socket that is closing is not slow.
        if let Err(SocketError::InternalChannelFull) = outcome { Err(BufferFull) } else { Ok(()) }
    }

    /// Hands over what the client sent. What its route answers counts as posted, if it is a packet; on an error frame or
    /// an empty one, which API Gateway may send, a client would drop its connection.
    async fn hand_over(self: &Arc<Self>, packet: Packet) {
        match self.edge.gateway.message(self.id(), packet.to_frame()).await {
            Ok(Some(frame)) if frame.starts_with('4') => {
                // An answer that finds the buffer full is lost, as what is posted then.
                let _ = self.send(&frame);
            }
            Ok(Some(_)) => self.close(),
            Ok(None) | Err(_) => {}
        }
    }

    /// The client left the namespace. socketioxide would tell at once, but a handler for that makes it ignore a CONNECT
    /// that follows closely; so it is noticed with the next frame, or with that CONNECT.
    fn leave(&self, state: &mut Joining) {
        state.joined = false;
        let (gateway, id) = (self.edge.gateway.clone(), self.id().to_owned());
        tokio::spawn(async move { gateway.message(&id, disconnect_packet().to_frame()).await });
    }

    fn answer_ping(&self) {
        let (gateway, id) = (self.edge.gateway.clone(), self.id().to_owned());
        tokio::spawn(async move { gateway.message(&id, Frame::Pong("".into()).encode()).await });
    }

    /// Closes the connection, but not over the head of a client that is still to hear why: what was posted while it
    /// joined goes out first, and what was posted before this is given the time to be written. A writer that comes
    /// after the end of the stream was read cannot write any more.
    fn close(self: &Arc<Self>) {
        let joining = {
            let mut state = self.state();
            state.closed = Some(Instant::now());
            !state.joined && !state.waiting.is_empty()
        };
        let session = Arc::clone(self);
        tokio::spawn(async move {
            if joining {
                let _ = timeout(FAREWELL, session.settled.notified()).await;
            }
            sleep(WRITTEN_WITHIN).await;
            session.cut();
        });
    }

    fn cut(&self) {
        let poll = self.poll().take();
        for scissors in self.scissors.lock().unwrap_or_else(PoisonError::into_inner).drain(..).chain(poll) {
            scissors.cut();
        }
    }

    fn poll(&self) -> std::sync::MutexGuard<'_, Option<Scissors>> {
        self.poll.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a polling client has had the time to fetch what was sent before the close.
    fn is_over(&self) -> bool {
        self.state().closed.is_some_and(|at| at.elapsed() > FAREWELL)
    }
}

/// Arguments of an event; socketioxide spreads what serializes as a tuple.
struct Arguments<'a>(&'a [Value]);

impl Serialize for Arguments<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for argument in self.0 {
            tuple.serialize_element(argument)?;
        }
        tuple.end()
    }
}

/// The arguments of a client's event, however many; what deserializes as a tuple is given all of them.
struct Heard(Vec<Value>);

impl<'de> Deserialize<'de> for Heard {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Heard;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the arguments of an event")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut arguments: A) -> Result<Heard, A::Error> {
                let mut all = Vec::new();
                while let Some(argument) = arguments.next_element()? {
                    all.push(argument);
                }
                Ok(Heard(all))
            }
        }
        deserializer.deserialize_tuple(1, All)
    }
}

/// What Engine.IO asks in the URL.
#[derive(Deserialize)]
struct EngineQuery {
    sid: Option<String>,
    transport: Option<String>,
}

/// `$connect` for a handshake; for a later request of a session, whether that session still exists.
async fn gate(
    State(edge): State<Edge>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    query: Query<EngineQuery>,
    request: Request,
    next: Next,
) -> Response {
    let websocket = query.transport.as_deref() == Some("websocket");
    let (mut parts, body) = request.into_parts();
    let mut polling = None;
    if let Some(sid) = &query.sid {
        let session = edge.sessions().get(sid).and_then(Weak::upgrade);
        if let Some(session) = session {
            if session.is_over() {
                return unknown_session();
            }
            if websocket {
                session.runs_over(peer.scissors);
            } else if parts.method == Method::GET {
                // Whoever waits for frames when the session is closed is not left waiting.
                *session.poll() = Some(peer.scissors);
                polling = Some(session);
            }
        }
        if websocket && let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
            let (server, uri) = (edge.server.clone(), parts.uri);
            return upgrade.on_upgrade(move |client| upgrade::run(client, server, uri));
        }
    } else if parts.method == Method::GET {
        let accepted = match edge.gateway.connect(Handshake::new(&parts, &peer).into_websocket()).await {
            Ok(accepted) => accepted,
            Err(status) => return status.into_response(),
        };
        let protocol = accepted.protocol();
        let session = Arc::new(Session {
            id: accepted.id().to_owned().into(),
            edge: edge.clone(),
            state: Mutex::default(),
            settled: Notify::new(),
            scissors: Mutex::default(),
            poll: Mutex::default(),
        });
        if websocket {
            session.runs_over(peer.scissors);
        }
        edge.gateway.open(accepted, Arc::new(SessionWire(Arc::downgrade(&session))));
        parts.extensions.insert(Lease(session));
        // socketioxide knows of no subprotocols, and a client that offered some gives up when it gets none back.
        let mut answer = next.run(Request::from_parts(parts, body)).await;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            answer.headers_mut().extend(protocol.map(|protocol| (SEC_WEBSOCKET_PROTOCOL, protocol)));
        }
        return answer;
    }
    let response = next.run(Request::from_parts(parts, body)).await;
    if let Some(session) = polling {
        session.poll().take();
    }
    response
}

/// What Engine.IO answers for a session it does not know.
fn unknown_session() -> Response {
    let body = serde_json::json!({ "code": 1, "message": "Session ID unknown" });
    (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
}

/// The words of a CONNECT_ERROR.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refusal(String);

fn session_of(socket: &SocketRef) -> Result<Arc<Session>, Refusal> {
    let lease = socket.req_parts().extensions.get::<Lease>();
    lease.map(|lease| Arc::clone(&lease.0)).ok_or_else(|| Refusal("INTERNAL_ERROR".to_owned()))
}

fn disconnect_packet() -> Packet {
    Packet::new(NAMESPACE, PacketData::Disconnect)
}

/// CONNECT: `message` decides.
async fn join(socket: SocketRef, TryData(auth): TryData<Value>) -> Result<(), Refusal> {
    let session = session_of(&socket)?;
    // Before the answer: the first event may follow it at once.
    socket.on_fallback(heard);
    let auth = match auth {
        Ok(Value::Object(auth)) => Some(auth),
        Ok(Value::Null) => None,
        // Node closes on this; what is certain is that it is no CONNECT without a token.
        _ => {
            session.close();
            return Err(Refusal("UNAUTHENTICATED".to_owned()));
        }
    };
    session.edge.sessions().insert(socket.id.to_string(), Arc::downgrade(&session));
    let again = {
        let mut state = session.state();
        state.sid = Some(socket.id);
        state.verdict = None;
        std::mem::take(&mut state.joined)
    };
    if again {
        session.hand_over(disconnect_packet()).await;
    }
    session.hand_over(Packet::new(NAMESPACE, PacketData::Connect(auth))).await;
    let verdict = session.state().verdict.take();
    match verdict {
        Some(Verdict::Accepted) => Ok(()),
        Some(Verdict::Refused(message)) => Err(Refusal(message)),
        // On AWS the client loses its connection, and comes back. socketioxide would refuse it, after which it does not;
        // so that is done when the connection is cut, and nobody hears it.
        None => {
            session.close();
            sleep(FAREWELL).await;
            Err(Refusal("unanswered".to_owned()))
        }
    }
}

/// The client has its `40`; what was posted meanwhile follows it.
async fn joined(socket: SocketRef) {
    let Ok(session) = session_of(&socket) else { return };
    let mut state = session.state();
    state.joined = true;
    for frame in std::mem::take(&mut state.waiting) {
        if session.deliver(&mut state, &frame).is_err() {
            tracing::warn!(connection_id = session.id(), "more frames were waiting for a socket than it takes");
        }
    }
    session.settled.notify_one();
}

/// EVENT: to `message`, with an acknowledgement id, by which its answer finds the way back.
async fn heard(socket: SocketRef, Event(name): Event, TryData(data): TryData<Heard>, acknowledge: AckSender) {
    let Ok(session) = session_of(&socket) else { return };
    let args = std::iter::once(Value::from(name)).chain(data.map(|Heard(data)| data).unwrap_or_default()).collect();
    let id = {
        let mut state = session.state();
        state.last_event += 1;
        let id = state.last_event;
        state.unacknowledged.insert(id, acknowledge);
        id
    };
    session.hand_over(Packet::new(NAMESPACE, PacketData::Event { id: Some(id), args })).await;
    // What was not acknowledged by now never is: functions answer before they return.
    session.state().unacknowledged.remove(&id);
}
