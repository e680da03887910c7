//! The connections that posts go over: kept warm, and opened a few at a time.
//!
//! What a cold broadcast costs is TLS handshakes: each takes about a millisecond of a processor, of which a small function
//! has a fraction, and two round trips. A pool that opens a connection for every post that finds none free, as those of
//! hyper-util and the SDK do, begins a broadcast with as many handshakes as it has posts under way, all at once. Here
//! posts wait in line; at most [`OPENING`] connections are being opened for those who wait, and a post goes over whichever
//! connection is free first. So a small room is told over the first few, and a large one gets more for as long as there is
//! a line. How many posts are under way is not limited by this: one that hangs keeps a connection from the others, and they
//! get another one.
//!
//! Where the server offers HTTP/2, one connection carries [`STREAMS`] posts at the same time.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures::future::Either;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::connect::{Connection as _, HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};
use tower::ServiceExt as _;

type Body = Full<Bytes>;
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Connections being opened at the same time. Eight handshakes keep the processor of a small function busy for some tens of
/// milliseconds, as long as it takes the first ones to carry their first posts.
const OPENING: usize = 8;

/// Connections being opened at the same time where the server may speak HTTP/2, and so one is enough. The second is
/// there in case the first is lost on its way.
const OPENING_HTTP2: usize = 2;

/// Most connections. A delivery makes 128 posts at a time; the rest is for those that hang.
const MOST: usize = 256;

/// Posts over one connection with HTTP/2: what servers usually allow at least.
const STREAMS: usize = 100;

/// A connection that was not used for so long is not used again. Sixty seconds is the smallest of the usual limits of
/// servers and balancers (API Gateway does not tell its own), and one that is just being closed takes no post. By the clock
/// on the wall, because the other one stands still while a function is frozen.
const IDLE: Duration = Duration::from_secs(50);

/// How long opening a connection may take: name, TCP, TLS and the protocol's greeting.
const OPEN_TIMEOUT: Duration = Duration::from_secs(3);

/// Connections to one server.
pub(super) struct Connections(Arc<Pool>);

struct Pool {
    origin: Uri,
    connector: HttpsConnector<HttpConnector>,
    idle: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// HTTP/1.1 connections nobody uses; the last one was used last.
    free: Vec<Free>,
    /// HTTP/2 connections.
    shared: Vec<Shared>,
    waiting: VecDeque<oneshot::Sender<Result<Lease, BoxError>>>,
    opening: usize,
    open: usize,
    /// What HTTP/2 connections are told apart by.
    opened: u64,
    /// Whether the server is known to speak nothing newer.
    is_http1: bool,
    is_tended: bool,
}

struct Free {
    sender: http1::SendRequest<Body>,
    since: SystemTime,
    is_used: bool,
}

struct Shared {
    id: u64,
    sender: http2::SendRequest<Body>,
    streams: usize,
    since: SystemTime,
    is_used: bool,
}

/// A connection, or part of one, for one request. It goes back when it is dropped, unless something was wrong with it.
pub(super) struct Lease {
    pool: Arc<Pool>,
    /// Taken out only when it is dropped.
    held: Option<Held>,
    /// When the connection was used last, if it was.
    used: Option<SystemTime>,
    is_sound: bool,
}

enum Held {
    Whole(http1::SendRequest<Body>),
    Stream(u64, http2::SendRequest<Body>),
}

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// Nothing of the request was sent: the connection was closed before.
    Unsent,
    /// The server may have seen it.
    Broken(hyper::Error),
}

impl Connections {
    /// Connections to this origin, none of which is opened before it is needed.
    pub(super) fn new(origin: Uri, tls: rustls::ClientConfig) -> Self {
        Self::with_idle(origin, tls, IDLE)
    }

    pub(super) fn with_idle(origin: Uri, mut tls: rustls::ClientConfig, idle: Duration) -> Self {
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        // What is not encrypted cannot be asked whether it speaks HTTP/2.
        let is_http1 = origin.scheme() == Some(&http::uri::Scheme::HTTP);
        let state = Mutex::new(State { is_http1, ..State::default() });
        Self(Arc::new(Pool { origin, connector: HttpsConnector::from((http, tls)), idle, state }))
    }

    /// A connection that is free, as soon as there is one.
    ///
    /// # Errors
    /// If one had to be opened and could not be.
    pub(super) async fn lease(&self) -> Result<Lease, BoxError> {
        loop {
            let mut lease = match self.0.take() {
                Either::Left(lease) => lease,
                Either::Right(turn) => turn.await??,
            };
            // It may have been closed while nobody looked.
            if lease.is_ready().await {
                return Ok(lease);
            }
        }
    }

    /// Forgets the connections that nobody has used since then: one of them turned out to be closed by the server, and so
    /// those are that were used before it.
    pub(super) fn forget_unused_since(&self, since: SystemTime) {
        let mut state = self.0.state();
        let before = state.free.len();
        state.free.retain(|free| free.since > since);
        state.open -= before - state.free.len();
    }
}

impl Pool {
    /// A free connection, or a place in the line.
    fn take(self: &Arc<Self>) -> Either<Lease, oneshot::Receiver<Result<Lease, BoxError>>> {
        let mut state = self.state();
        if state.waiting.is_empty()
            && let Some((held, used)) = state.take(self.idle)
        {
            return Either::Left(self.lease(held, used));
        }
        let (waits, turn) = oneshot::channel();
        state.waiting.push_back(waits);
        drop(state);
        self.settle();
        Either::Right(turn)
    }

    fn lease(self: &Arc<Self>, held: Held, used: Option<SystemTime>) -> Lease {
        Lease { pool: Arc::clone(self), held: Some(held), used, is_sound: true }
    }

    /// Gives what is free to those who wait, and has more opened if they go on waiting.
    fn settle(self: &Arc<Self>) {
        loop {
            let mut state = self.state();
            // Whoever was given up meanwhile.
            while state.waiting.front().is_some_and(oneshot::Sender::is_closed) {
                state.waiting.pop_front();
            }
            if state.waiting.is_empty() {
                return;
            }
            let Some((held, used)) = state.take(self.idle) else {
                return self.open_more(&mut state);
            };
            let Some(waits) = state.waiting.pop_front() else { return };
            drop(state);
            // If nobody is there any more it comes back at once, and is given to the next.
            let _returned = waits.send(Ok(self.lease(held, used)));
        }
    }

    fn open_more(self: &Arc<Self>, state: &mut State) {
        state.waiting.retain(|waits| !waits.is_closed());
        let at_once = if state.is_http1 { OPENING } else { OPENING_HTTP2 };
        while state.opening < at_once.min(state.waiting.len()) && state.open + state.opening < MOST {
            state.opening += 1;
            tokio::spawn(Arc::clone(self).open());
        }
    }

    async fn open(self: Arc<Self>) {
        let opened = timeout(OPEN_TIMEOUT, self.connect()).await;
        let opened = opened.unwrap_or_else(|_| Err(format!("no connection within {OPEN_TIMEOUT:?}").into()));
        let mut state = self.state();
        state.opening -= 1;
        match opened {
            Ok(held) => {
                state.add(held);
                self.tend(&mut state);
                drop(state);
            }
            // Others are open, and carry who waits; whatever comes next tries again.
            Err(error) if state.open > 0 => {
                tracing::debug!(%error, "could not open one more connection to the management API");
                return;
            }
            Err(error) => {
                let waits = state.waiting.pop_front();
                drop(state);
                // Each hears of an attempt of its own; the next one may be luckier.
                let _given_up = waits.map(|waits| waits.send(Err(error)));
            }
        }
        self.settle();
    }

    async fn connect(&self) -> Result<Held, BoxError> {
        let stream = self.connector.clone().oneshot(self.origin.clone()).await?;
        if stream.connected().is_negotiated_h2() {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
            tokio::spawn(async move { connection.await.unwrap_or_else(|error| ended(&error)) });
            Ok(Held::Stream(0, sender))
        } else {
            let (sender, connection) = http1::handshake(stream).await?;
            tokio::spawn(async move { connection.await.unwrap_or_else(|error| ended(&error)) });
            Ok(Held::Whole(sender))
        }
    }

    /// Has connections closed that nobody uses any more, until there are none.
    fn tend(self: &Arc<Self>, state: &mut State) {
        if std::mem::replace(&mut state.is_tended, true) {
            return;
        }
        let (pool, idle) = (Arc::downgrade(self), self.idle);
        tokio::spawn(async move {
            loop {
                sleep(idle).await;
                let Some(pool) = Weak::upgrade(&pool) else { return };
                let mut state = pool.state();
                state.expire(idle);
                if state.open + state.opening == 0 {
                    state.is_tended = false;
                    return;
                }
            }
        });
    }

    /// What somebody panicked over is still right enough.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Something to send a request over, and when it was used last.
    fn take(&mut self, idle: Duration) -> Option<(Held, Option<SystemTime>)> {
        self.expire(idle);
        if let Some(shared) = self.shared.iter_mut().find(|shared| shared.streams < STREAMS) {
            shared.streams += 1;
            let used = std::mem::replace(&mut shared.is_used, true).then_some(shared.since);
            return Some((Held::Stream(shared.id, shared.sender.clone()), used));
        }
        let free = self.free.pop()?;
        Some((Held::Whole(free.sender), free.is_used.then_some(free.since)))
    }

    fn add(&mut self, held: Held) {
        self.open += 1;
        self.opened += 1;
        self.is_http1 = matches!(held, Held::Whole(_));
        let since = SystemTime::now();
        match held {
            Held::Whole(sender) => self.free.push(Free { sender, since, is_used: false }),
            Held::Stream(_, sender) => {
                self.shared.push(Shared { id: self.opened, sender, streams: 0, since, is_used: false });
            }
        }
    }

    /// Forgets what is closed, or was not used for so long.
    fn expire(&mut self, idle: Duration) {
        let now = SystemTime::now();
        let is_old = |since: SystemTime| now.duration_since(since).is_ok_and(|age| age >= idle);
        // The one that was used last goes last, so usually there is nothing to do but to look at both ends.
        let is_over = |free: &Free| free.sender.is_closed() || is_old(free.since);
        if self.free.first().is_some_and(is_over) || self.free.last().is_some_and(is_over) {
            let before = self.free.len();
            self.free.retain(|free| !is_over(free));
            self.open -= before - self.free.len();
        }
        let before = self.shared.len();
        self.shared.retain(|shared| !shared.sender.is_closed() && (shared.streams > 0 || !is_old(shared.since)));
        self.open -= before - self.shared.len();
    }
}

impl Lease {
    /// When the connection was used last; none if this is its first time. A server may have closed what was used
    /// before.
    pub(super) fn used(&self) -> Option<SystemTime> {
        self.used
    }

    /// Whether addresses have scheme and host, as HTTP/2 wants them.
    pub(super) fn is_http2(&self) -> bool {
        matches!(self.held, Some(Held::Stream(..)))
    }

    async fn is_ready(&mut self) -> bool {
        let ready = match &mut self.held {
            Some(Held::Whole(sender)) => sender.ready().await,
            Some(Held::Stream(_, sender)) => sender.ready().await,
            None => return false,
        };
        self.is_sound = ready.is_ok();
        self.is_sound
    }

    /// Sends a request. Until [`Lease::is_over`] was called nobody else gets the connection.
    pub(super) async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>, Unanswered> {
        self.is_sound = false;
        let sent = match &mut self.held {
            Some(Held::Whole(sender)) => Either::Left(sender.try_send_request(request)),
            Some(Held::Stream(_, sender)) => Either::Right(sender.try_send_request(request)),
            None => return Err(Unanswered::Unsent),
        };
        sent.await.map_err(|mut error| match error.take_message() {
            Some(_) => Unanswered::Unsent,
            None => Unanswered::Broken(error.into_error()),
        })
    }

    /// The answer was read to its end.
    pub(super) fn is_over(&mut self) {
        self.is_sound = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        match self.held.take() {
            Some(Held::Whole(sender)) if self.is_sound => {
                state.free.push(Free { sender, since: SystemTime::now(), is_used: true });
            }
            Some(Held::Whole(_)) => state.open -= 1,
            Some(Held::Stream(id, _)) => {
                let now = SystemTime::now();
                let place = state.shared.iter().position(|shared| shared.id == id);
                match place {
                    Some(place) if self.is_sound => {
                        state.shared[place].streams -= 1;
                        state.shared[place].since = now;
                    }
                    // Whoever is on it may stay, but a post that has no answer may be the connection's fault.
                    Some(place) => {
                        state.shared.swap_remove(place);
                        state.open -= 1;
                    }
                    None => {}
                }
            }
            None => {}
        }
        let waits = !state.waiting.is_empty();
        drop(state);
        if waits {
            self.pool.settle();
        }
    }
}

fn ended(error: &hyper::Error) {
    tracing::debug!(%error, "a connection to the management API ended");
}
