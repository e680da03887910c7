//! Ports: served until told to end, over accepted connections that can be cut, whoever owns them.
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
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tower::ServiceExt as _;
use transport::{BrokenBody, Service};

/// The other end of an accepted connection, for whoever handles its requests.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where the connection comes from.
    pub address: SocketAddr,
    /// Which of this machine's addresses the connection reached.
    pub local: SocketAddr,
    /// Ends the connection.
    pub close_handle: CloseHandle,
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
        Self { address, local, close_handle: CloseHandle::default() }
    }
}

/// How long a connection may wait for the head of a request, from its beginning and after each answer. Clients that keep
/// connections for later notice when one is closed; those who send nothing, or a head without end, would keep a file open
/// for ever.
const HEAD_WITHIN: Duration = Duration::from_secs(75);

/// API Gateway limits headers by their size alone, which `http_api` does.
const MAX_HEADERS: usize = 1000;

/// Serves a port until told to end, and then until what is being answered is.
pub(crate) async fn serve(mut port: Port, router: Router, told_to_end: impl Future<Output = ()>) {
    let (end, _) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut told_to_end = std::pin::pin!(told_to_end);
    loop {
        tokio::select! {
            (connection, peer) = port.accept() => {
                connections.spawn(converse(connection, peer, router.clone(), end.subscribe()));
            }
            Some(_over) = connections.join_next() => {}
            () = &mut told_to_end => break,
        }
    }
    drop(port);
    end.send_replace(true);
    while connections.join_next().await.is_some() {}
}

/// Answers the requests of one connection, until it ends or becomes a WebSocket.
async fn converse(connection: AcceptedConnection, peer: Peer, router: Router, mut end: watch::Receiver<bool>) {
    let answer = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer.clone()));
        router.clone().oneshot(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_headers(MAX_HEADERS);
    let mut serving = std::pin::pin!(http.serve_connection(TokioIo::new(connection), answer).with_upgrades());
    let told_to_end = async { _ = end.wait_for(|end| *end).await };
    let outcome = tokio::select! {
        outcome = serving.as_mut() => outcome,
        () = told_to_end => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    // That a client went away, was late or sent no HTTP is its own affair.
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection ended");
    }
}

/// The routes of a port as a service for requests of this process itself, which come without a connection and find all
/// that those who come over one find.
pub(crate) fn in_process(router: Router, local: SocketAddr) -> Service {
    let peer = Peer { address: local, local, close_handle: CloseHandle::default() };
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
pub struct CloseHandle(Arc<Cut>);

#[derive(Debug, Default)]
struct Cut {
    done: AtomicBool,
    reader: AtomicWaker,
}

impl CloseHandle {
    /// Cuts the connection: from now on nothing more is read from it.
    pub fn cut(&self) {
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

/// Listens at `[::1]` too. That a machine has no IPv6 is not worth a warning, but another program at that port is.
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
pub(crate) struct AcceptedConnection {
    stream: TcpStream,
    close_handle: CloseHandle,
}

impl Port {
    /// The next connection. Errors are repeated until there is one: without a free file there may be one soon.
    async fn accept(&mut self) -> (AcceptedConnection, Peer) {
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
        // A connection that is gone by now has no address; what comes of it nobody hears.
        let local = stream.local_addr().unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let close_handle = CloseHandle::default();
        (AcceptedConnection { stream, close_handle: close_handle.clone() }, Peer { address, local, close_handle })
    }

    /// Where the port listens.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.main.local_addr()
    }
}

impl AsyncRead for AcceptedConnection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Register before looking, or a cut between the two would be missed.
        self.close_handle.0.reader.register(cx.waker());
        if self.close_handle.0.done.load(Ordering::Acquire) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for AcceptedConnection {
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
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        sync::oneshot,
    };

    use super::*;

    /// A served port, and what ends it.
    async fn served() -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
        let port = Port::bind_one(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = port.local_addr().unwrap();
        let (end, ends) = oneshot::channel();
        let router = Router::new().route("/", get(async || "hello"));
        (address, end, tokio::spawn(serve(port, router, async { ends.await.unwrap_or_default() })))
    }

    async fn read_to_end(stream: &mut TcpStream) -> String {
        let mut text = Vec::new();
        stream.read_to_end(&mut text).await.unwrap();
        String::from_utf8(text).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_nothing_or_a_head_without_end_or_nothing_more_is_closed_after_a_while() {
        let (address, _end, _server) = served().await;
        for sent in ["", "GET / HTTP/1.1\r\nHost: localhost\r\nX-A", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
            let began = tokio::time::Instant::now();
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(sent.as_bytes()).await.unwrap();
            let answer = read_to_end(&mut stream).await;
            assert_eq!(answer.contains("hello"), sent.ends_with("\r\n\r\n"), "{sent:?}: {answer}");
            let took = began.elapsed();
            assert!(took >= HEAD_WITHIN && took < HEAD_WITHIN * 2, "{sent:?}: {took:?}");
        }
    }

    #[tokio::test]
    async fn a_request_may_have_more_than_a_hundred_headers() {
        let (address, _end, _server) = served().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let headers: String = (0..200).map(|n| format!("x-{n}: a\r\n")).collect();
        let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn told_to_end_it_closes_connections_that_wait_and_returns() {
        let (address, end, server) = served().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        end.send(()).unwrap();
        server.await.unwrap();
        assert!(read_to_end(&mut stream).await.ends_with("hello"));
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_cut_connection_reads_as_ended_though_its_peer_is_there() {
        let mut port = Port::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let peer = TcpStream::connect(port.local_addr().unwrap()).await.unwrap();
        let (mut connection, _) = port.accept().await;
        let close_handle = connection.close_handle.clone();
        let read = tokio::spawn(async move { connection.read(&mut [0; 8]).await.map_err(|error| error.kind()) });
        tokio::task::yield_now().await;
        close_handle.cut();
        assert_eq!(read.await.unwrap(), Ok(0));
        drop(peer);
    }
}
