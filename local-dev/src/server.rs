//! The one port: accepted connections that can be cut, whoever owns them.
//!
//! Closing a WebSocket from the server's side is half of what a gateway does, and socketioxide cannot close a single
//! one. So every accepted connection can be told to end: its reader sees the end of the stream, and whoever reads it
//! cleans up as if the peer had gone, sending a close frame on the way.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, Request},
    response::Response,
    serve::Listener,
};
use futures::task::AtomicWaker;
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use shared::transport::{BrokenBody, Service};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tower::ServiceExt as _;

/// The other end of an accepted connection, for whoever handles its requests.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Where it comes from.
    pub(crate) address: SocketAddr,
    /// Which of this machine's addresses it reached.
    pub(crate) local: SocketAddr,
    /// Ends the connection.
    pub(crate) scissors: Scissors,
}

impl Peer {
    /// The name of this service for whoever comes this way, as `requestContext.domainName`: never what the client calls it.
    pub(crate) fn domain_name(&self) -> String {
        let (address, port) = (self.local.ip().to_canonical(), self.local.port());
        if address.is_loopback() { format!("localhost:{port}") } else { SocketAddr::new(address, port).to_string() }
    }

    #[cfg(test)]
    pub(crate) fn example() -> Self {
        let (address, local) = (([203, 0, 113, 7], 4711).into(), ([127, 0, 0, 1], 3000).into());
        Self { address, local, scissors: Scissors::default() }
    }
}

/// The routes of a port as a service for requests of this process itself, which come without a connection and find all
/// that those who come over one find.
pub(crate) fn within(router: Router, local: SocketAddr) -> Service {
    let peer = Peer { address: local, local, scissors: Scissors::default() };
    let routed = router
        .map_request(move |mut request: Request<Full<Bytes>>| {
            request.extensions_mut().insert(ConnectInfo(peer.clone()));
            request.map(Body::new)
        })
        .map_response(|answer: Response| {
            answer.map(|body| UnsyncBoxBody::new(body.map_err(|error| BrokenBody(error.into()))))
        });
    Service::new(routed)
}

/// Ends one accepted connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scissors(Arc<Cut>);

#[derive(Debug, Default)]
struct Cut {
    done: AtomicBool,
    reader: AtomicWaker,
}

impl Scissors {
    /// From now on nothing more is read from the connection.
    pub(crate) fn cut(&self) {
        self.0.done.store(true, Ordering::Release);
        self.0.reader.wake();
    }
}

/// A TCP listener whose connections can be cut.
pub(crate) struct Port {
    main: TcpListener,
    /// `localhost` may mean either loopback address, and not every client tries both.
    other_loopback: Option<TcpListener>,
}

impl Port {
    /// Listens on an address; on `127.0.0.1` also on `[::1]`, if that is there and free.
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let main = TcpListener::bind(address).await?;
        let port = main.local_addr()?.port();
        let other_loopback = if address.ip() == Ipv4Addr::LOCALHOST { other_loopback(port).await } else { None };
        Ok(Self { main, other_loopback })
    }

    /// Listens on this address alone.
    pub(crate) async fn bind_one(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { main: TcpListener::bind(address).await?, other_loopback: None })
    }
}

/// That a machine has no IPv6 is nothing to speak of, but that somebody else is there is.
async fn other_loopback(port: u16) -> Option<TcpListener> {
    let bound = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await;
    if bound.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse) {
        tracing::warn!(
            "another program has port {port} at [::1]; a client that takes `localhost` for that reaches it instead, \
             so write 127.0.0.1"
        );
    }
    bound.ok()
}

/// An accepted connection that can be cut.
pub(crate) struct Connection {
    stream: TcpStream,
    scissors: Scissors,
}

impl Listener for Port {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = match &mut self.other_loopback {
            None => Listener::accept(&mut self.main).await,
            Some(other) => tokio::select! {
                accepted = Listener::accept(&mut self.main) => accepted,
                accepted = Listener::accept(other) => accepted,
            },
        };
        // Frames are small and wait for nobody.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "set_nodelay");
        }
        (Connection { stream, scissors: Scissors::default() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.main.local_addr()
    }
}

/// How long a connection may take from being accepted, or from its last answer, to the end of the headers of a request.
/// Longer than clients keep a connection that they do not use, so that it is they who close it.
pub(crate) const HEADERS_WITHIN: Duration = Duration::from_secs(60);

/// Serves the routes at a port until told to end; then requests that are being answered are answered, and no others are
/// taken. A connection whose next request takes longer than this to begin is closed: each one is an open file, and a
/// process has few.
pub(crate) async fn serve(mut port: Port, router: Router, headers_within: Duration, stop: impl Future<Output = ()>) {
    // Connections hear of the end by one side of this, and it is known by the other when the last one has ended.
    let (ending, ends) = watch::channel(());
    let mut stop = std::pin::pin!(stop);
    loop {
        let (connection, address) = tokio::select! {
            accepted = port.accept() => accepted,
            () = &mut stop => break,
        };
        tokio::spawn(serve_one(connection, address, router.clone(), headers_within, ends.clone()));
    }
    drop((port, ends));
    ending.send_replace(());
    ending.closed().await;
}

/// One connection, until it ends or becomes a WebSocket.
async fn serve_one(
    connection: Connection,
    address: SocketAddr,
    router: Router,
    headers_within: Duration,
    mut ends: watch::Receiver<()>,
) {
    // A connection that is gone by now has no address; what comes of it nobody hears.
    let local = connection.stream.local_addr().unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let peer = Peer { address, local, scissors: connection.scissors.clone() };
    let routed = router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer.clone()));
        request.map(Body::new)
    });
    let mut builder = http1::Builder::new();
    let builder = builder.timer(TokioTimer::new()).header_read_timeout(headers_within);
    let served = builder.serve_connection(TokioIo::new(connection), TowerToHyperService::new(routed));
    let mut served = std::pin::pin!(served.with_upgrades());
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        _ = ends.changed() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection");
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Register before looking, or a cut between the two would be missed.
        self.scissors.0.reader.register(cx.waker());
        if self.scissors.0.done.load(Ordering::Acquire) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A port that answers, with a short patience, and a connection to it.
    async fn connected(headers_within: Duration) -> TcpStream {
        let port = Port::bind_one(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = port.local_addr().unwrap();
        let router = Router::new().route("/", axum::routing::get(async || "here"));
        tokio::spawn(serve(port, router, headers_within, std::future::pending()));
        TcpStream::connect(address).await.unwrap()
    }

    const SHORT: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn a_connection_that_sends_nothing_is_closed_after_a_while() {
        let mut silent = connected(SHORT).await;
        assert_eq!(silent.read(&mut [0; 8]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_connection_that_sends_headers_without_end_is_closed_after_a_while() {
        let mut endless = connected(SHORT).await;
        endless.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n").await.unwrap();
        let (mut reads, mut writes) = endless.split();
        let go_on = async {
            let mut pace = tokio::time::interval(SHORT / 10);
            while writes.write_all(b"a: b\r\n").await.is_ok() {
                pace.tick().await;
            }
            std::future::pending::<()>().await;
        };
        let mut answer = Vec::new();
        tokio::select! {
            // What is written to a closed connection may reset it.
            _ended = reads.read_to_end(&mut answer) => {}
            () = go_on => {}
        }
        assert!(!String::from_utf8_lossy(&answer).contains("here"));
    }

    #[tokio::test]
    async fn a_request_is_answered_and_then_an_idle_connection_is_closed() {
        let mut client = connected(SHORT).await;
        client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("here"), "{answer}");
    }

    #[tokio::test]
    async fn an_ending_server_waits_for_the_request_it_answers() {
        let port = Port::bind_one(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = port.local_addr().unwrap();
        let (asked, is_asked) = tokio::sync::oneshot::channel();
        let (go_on, goes_on) = tokio::sync::oneshot::channel();
        let once = Arc::new(std::sync::Mutex::new(Some((asked, goes_on))));
        let route = axum::routing::get(move || {
            let (asked, goes_on) = once.lock().unwrap().take().unwrap();
            async move {
                asked.send(()).unwrap();
                goes_on.await.unwrap();
                "at last"
            }
        });
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let stopped = async { _ = stopped.await };
        let server = tokio::spawn(serve(port, Router::new().route("/", route), HEADERS_WITHIN, stopped));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        is_asked.await.unwrap();
        stop.send(()).unwrap();
        go_on.send(()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("at last"), "{answer}");
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_cut_connection_reads_as_ended_though_its_peer_is_there() {
        let mut port = Port::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let peer = TcpStream::connect(port.local_addr().unwrap()).await.unwrap();
        let (mut connection, _) = Listener::accept(&mut port).await;
        let scissors = connection.scissors.clone();
        let read = tokio::spawn(async move { connection.read(&mut [0; 8]).await.map_err(|error| error.kind()) });
        tokio::task::yield_now().await;
        scissors.cut();
        assert_eq!(read.await.unwrap(), Ok(0));
        drop(peer);
    }
}
