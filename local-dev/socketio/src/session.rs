//! One Engine.IO session: what functions post on its way to socketioxide, and what ends it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    time::Duration,
};

use emulator::{BufferFull, Close, CloseHandle, Wire};
use serde_json::Value;
use shared::{
    connections::NAMESPACE,
    protocol::{Frame, Packet, PacketData},
};
use socketioxide::{SendError, SocketError, extract::AckSender, socket::Sid};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep, timeout},
};

use super::{BUFFER, SocketIoState, arguments::Arguments, disconnect_packet};

/// How long a closed session may still take to hear its last words.
pub(super) const FAREWELL: Duration = Duration::from_secs(2);

/// How long socketioxide may take to write what it has been given.
const WRITTEN_WITHIN: Duration = Duration::from_millis(50);

/// How long a poll still waits when the client is to let go of it, as with the Node server.
const LETS_GO_AFTER: Duration = Duration::from_millis(100);

/// One Engine.IO session and the gateway connection it stands for. It ends when socketioxide lets go of the handshake
/// request it travels in.
pub(super) struct EngineSession {
    /// The connection id.
    id: String,
    /// The Engine.IO session id, of a session that began by polling.
    polling: OnceLock<String>,
    pub(super) edge: SocketIoState,
    state: Mutex<Joining>,
    /// Told when the namespace is joined and what was waiting is on its way.
    pub(super) settled: Notify,
    /// The TCP connection that the session's WebSocket runs over.
    websocket: Mutex<Option<CloseHandle>>,
    /// The TCP connection of the request by which a polling client waits for frames.
    poll: Mutex<Option<CloseHandle>>,
    /// One permit, for the WebSocket a polling session may become.
    upgrades: Arc<Semaphore>,
    /// Whether that WebSocket was probed, and waits for the client to let go of its poll.
    pub(super) probed: watch::Sender<bool>,
}

/// Where the client is with its namespace.
#[derive(Default)]
pub(super) struct Joining {
    /// Set once socketioxide knows the socket.
    pub(super) sid: Option<Sid>,
    /// The namespace is joined; what functions post goes straight through.
    pub(super) joined: bool,
    /// When the management API closed the session.
    closed: Option<Instant>,
    /// What functions posted before; clients hear it right after CONNECT was answered.
    pub(super) waiting: Vec<String>,
    /// What functions said about the CONNECT that is under way.
    pub(super) verdict: Option<Verdict>,
    /// The client's events that functions are handling, by the acknowledgement id they know.
    pub(super) unacknowledged: HashMap<u64, AckSender>,
    /// The acknowledgement id of the last one.
    pub(super) last_event: u64,
}

/// The answer of a CONNECT.
pub(super) enum Verdict {
    Accepted,
    /// The CONNECT is refused, in these words.
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
pub(super) struct Lease(pub(super) Arc<EngineSession>);

/// The wire must not keep the session alive.
pub(super) struct SessionWire(pub(super) Weak<EngineSession>);

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

impl Drop for EngineSession {
    fn drop(&mut self) {
        if let Some(sid) = self.polling.get() {
            self.edge.sessions().remove(sid);
        }
        // Without a runtime the process is ending, and the functions with it.
        if tokio::runtime::Handle::try_current().is_ok() {
            self.edge.gateway.disconnect(&self.id, Close::without_status());
        }
    }
}

impl EngineSession {
    pub(super) fn new(id: &str, edge: SocketIoState) -> Self {
        Self {
            id: id.to_owned(),
            polling: OnceLock::new(),
            edge,
            state: Mutex::default(),
            settled: Notify::new(),
            websocket: Mutex::default(),
            poll: Mutex::default(),
            upgrades: Arc::new(Semaphore::new(1)),
            probed: watch::Sender::new(false),
        }
    }

    /// Notes that the handshake was answered, and that polling goes on with this session id.
    pub(super) fn polls_as(self: &Arc<Self>, sid: String) {
        self.edge.sessions().insert(sid.clone(), Arc::downgrade(self));
        let _ = self.polling.set(sid);
    }

    /// The right to become a WebSocket, unless another one has it. It comes back with the permit.
    pub(super) fn may_upgrade(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.upgrades).try_acquire_owned().ok()
    }

    pub(super) fn state(&self) -> std::sync::MutexGuard<'_, Joining> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Notes that the session's WebSocket runs over this TCP connection.
    pub(super) fn runs_over(&self, close_handle: CloseHandle) {
        *self.websocket() = Some(close_handle);
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

    pub(super) fn deliver(&self, state: &mut Joining, frame: &str) -> Result<(), BufferFull> {
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
    pub(super) async fn hand_over(self: &Arc<Self>, packet: Packet) {
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
    pub(super) fn close(self: &Arc<Self>) {
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
        let websocket = self.websocket().take();
        for close_handle in websocket.into_iter().chain(self.poll().take()) {
            close_handle.cut();
        }
    }

    fn websocket(&self) -> std::sync::MutexGuard<'_, Option<CloseHandle>> {
        self.websocket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn poll(&self) -> std::sync::MutexGuard<'_, Option<CloseHandle>> {
        self.poll.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a poll has to be answered because the client is to go over to a WebSocket. Not at once: a client
    /// that never hears of its WebSocket polls again right away.
    pub(super) async fn is_to_let_go(&self) {
        // The sender lives as long as this session.
        let _ = self.probed.subscribe().wait_for(|probed| *probed).await;
        sleep(LETS_GO_AFTER).await;
    }

    /// Whether a polling client has had the time to fetch what was sent before the close.
    pub(super) fn is_over(&self) -> bool {
        self.state().closed.is_some_and(|at| at.elapsed() > FAREWELL)
    }
}
