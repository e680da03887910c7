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
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, Request, connect_info::Connected},
    response::Response,
    serve::{IncomingStream, Listener},
};
use futures::task::AtomicWaker;
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use shared::transport::{BrokenBody, Service};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
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

impl Connected<IncomingStream<'_, Port>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Port>) -> Self {
        let (address, connection) = (*stream.remote_addr(), stream.io());
        // A connection that is gone by now has no address; what comes of it nobody hears.
        let local = connection.stream.local_addr().unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        Self { address, local, scissors: connection.scissors.clone() }
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
    use tokio::io::AsyncReadExt as _;

    use super::*;

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
