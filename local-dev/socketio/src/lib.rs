//! The Socket.IO edge at `/socket.io/`: socketioxide in front of the emulator's gateway, with polling and WebSocket.
//!
//! socketioxide speaks the protocol to the client; what it says means what the functions say. An Engine.IO session
//! becomes a gateway connection, its packets become messages, and frames that functions post come out of socketioxide:
//! events, the answer of a CONNECT, acknowledgements. Opening and heartbeats are socketioxide's own, so such frames stop
//! here.

mod arguments;
mod gate;
mod session;
mod upgrade;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
};

use axum::{Router, middleware::from_fn_with_state};
use emulator::{Entrance, Gateway};
use futures::FutureExt as _;
use serde_json::{Map, Value};
use shared::{
    connections::NAMESPACE,
    protocol::{Packet, PacketData},
};
use socketioxide::{
    SocketIo,
    extract::{AckSender, Event, SocketRef, TryData},
    handler::ConnectHandler as _,
};
use tokio::time::sleep;
use tower_http::cors::CorsLayer;

use self::{
    arguments::Heard,
    gate::gate,
    session::{EngineSession, FAREWELL, Lease, Verdict},
};

/// Frames that wait for a client which is still joining, or does not read.
const BUFFER: usize = 1024;

/// How much is read from a socket at once. Each keeps so much memory while it is idle, and messages are small.
const IO_BUFFER: usize = 1024;

#[derive(Clone)]
struct SocketIoState {
    gateway: Gateway,
    io: Arc<OnceLock<SocketIo>>,
    /// Sessions that began by polling, by Engine.IO session id, from the answer of their handshake to their end.
    sessions: Arc<Mutex<HashMap<String, Weak<EngineSession>>>>,
    /// socketioxide itself, for WebSockets of polling sessions.
    server: Router,
}

/// The way in. `cors` is that of the HTTP API: polling is ordinary HTTP.
pub fn entrance(gateway: Gateway, cors: Option<CorsLayer>) -> Entrance {
    let (service, io) = SocketIo::builder().max_buffer_size(BUFFER).ws_read_buffer_size(IO_BUFFER).build_svc();
    let server = Router::new().route_service("/socket.io/", service);
    let state = SocketIoState { gateway, io: Arc::default(), sessions: Arc::default(), server: server.clone() };
    let _ = state.io.set(io.clone());
    io.ns(NAMESPACE, joined.with(join));
    let router = server.layer(from_fn_with_state(state, gate));
    let routes = if let Some(cors) = cors { router.layer(cors) } else { router };
    // Clients will try to come back.
    Entrance { routes, stop: async move { io.close().await }.boxed() }
}

impl SocketIoState {
    fn sessions(&self) -> std::sync::MutexGuard<'_, HashMap<String, Weak<EngineSession>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The words of a CONNECT_ERROR.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refusal(String);

fn session_of(socket: &SocketRef) -> Result<Arc<EngineSession>, Refusal> {
    let lease = socket.req_parts().extensions.get::<Lease>();
    lease.map(|lease| Arc::clone(&lease.0)).ok_or_else(|| Refusal("INTERNAL_ERROR".to_owned()))
}

fn disconnect_packet() -> Packet {
    Packet::new(NAMESPACE, PacketData::Disconnect)
}

/// socketioxide has no connection state recovery, and would not pass on the `pid` that `message` answers with.
fn without_recovery(mut auth: Map<String, Value>) -> Map<String, Value> {
    auth.remove("recovery");
    auth
}

/// CONNECT: `message` decides.
async fn join(socket: SocketRef, TryData(auth): TryData<Value>) -> Result<(), Refusal> {
    let session = session_of(&socket)?;
    // Before the answer: the first event may follow it at once.
    socket.on_fallback(heard);
    let auth = match auth {
        Ok(Value::Object(auth)) => Some(without_recovery(auth)),
        Ok(Value::Null) => None,
        // Node closes on this; what is certain is that it is no CONNECT without a token.
        _ => {
            session.close();
            return Err(Refusal("UNAUTHENTICATED".to_owned()));
        }
    };
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
