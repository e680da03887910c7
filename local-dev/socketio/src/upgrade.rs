//! A polling session that becomes a WebSocket: socketioxide hears of it only when the client goes over to it.
//!
//! To socketioxide a session is being upgraded from the first byte of the WebSocket on. It answers each poll at once from
//! then on, and when the WebSocket stays silent or dies, the session ends with it. Behind a proxy that swallows frames, in
//! one direction or in both, a client would poll hundreds of times a second, and never connect. The Node server lets such
//! a session go on polling; so here the probe is answered first, and the WebSocket handed on when the client goes over.

use std::{future, io, net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::ws::{CloseFrame, Message, WebSocket},
    http::Uri,
    serve::Listener,
};
use futures::{SinkExt as _, StreamExt as _};
use tokio::{
    io::{DuplexStream, duplex},
    sync::{OwnedSemaphorePermit, watch},
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite};

/// How long a WebSocket may take from its opening until the client goes over to it, as with the Node server.
const UPGRADED_WITHIN: Duration = Duration::from_secs(10);

/// What the client asks on a new WebSocket.
const PROBE: &str = "2probe";

/// The answer to the probe.
const PROBE_ANSWER: &str = "3probe";

/// The message with which the client goes over to the WebSocket; it has no poll waiting any more.
const UPGRADE: &str = "5";

/// Bytes that wait between the two ends.
const BUFFER: usize = 64 * 1024;

/// Closes a WebSocket at once.
pub(super) async fn refuse(mut client: WebSocket) {
    // A client that is gone by now is what is wanted.
    let _ = client.send(Message::Close(None)).await;
}

/// Waits until the client goes over, then joins both ends until one of them closes. `uri` is that of the client's request;
/// `probed` is true while the client is to let go of its poll; the permit comes back where the session goes on polling.
pub(super) async fn run(
    mut client: WebSocket,
    server: Router,
    uri: Uri,
    probed: watch::Sender<bool>,
    permit: OwnedSemaphorePermit,
) {
    let goes_over = timeout(UPGRADED_WITHIN, goes_over(&mut client, &probed)).await.unwrap_or(false);
    probed.send_replace(false);
    if !goes_over {
        // The session goes on polling.
        return refuse(client).await;
    }
    // From here on socketioxide ends the session with its WebSocket.
    permit.forget();
    let (near, far) = duplex(BUFFER);
    let serving = tokio::spawn(async move { axum::serve(Once(Some(far)), server).await });
    if let Ok((mut server, _)) = client_async(format!("ws://localhost{uri}"), near).await
        && hand_on(&mut server).await
    {
        relay(client, server).await;
    }
    serving.abort();
}

/// Whether the client probes, and goes over when that is answered.
async fn goes_over(client: &mut WebSocket, probed: &watch::Sender<bool>) -> bool {
    if !says(client, PROBE).await || client.send(Message::Text(PROBE_ANSWER.into())).await.is_err() {
        return false;
    }
    probed.send_replace(true);
    says(client, UPGRADE).await
}

/// Whether this is what the client says next. The pings of WebSocket are not for Engine.IO.
async fn says(client: &mut WebSocket, expected: &str) -> bool {
    loop {
        match client.recv().await {
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Text(text))) => return text == expected,
            _ => return false,
        }
    }
}

/// Says to socketioxide what the client has said.
async fn hand_on(server: &mut WebSocketStream<DuplexStream>) -> bool {
    server.send(tungstenite::Message::text(PROBE)).await.is_ok()
        && matches!(server.next().await, Some(Ok(tungstenite::Message::Text(answer))) if answer == PROBE_ANSWER)
        && server.send(tungstenite::Message::text(UPGRADE)).await.is_ok()
}

async fn relay(client: WebSocket, server: WebSocketStream<DuplexStream>) {
    let ((mut to_client, mut from_client), (mut to_server, mut from_server)) = (client.split(), server.split());
    let inwards = async {
        while let Some(Ok(message)) = from_client.next().await {
            let message = inward(message);
            let is_last = matches!(message, tungstenite::Message::Close(_));
            if to_server.send(message).await.is_err() || is_last {
                return;
            }
        }
        // A client that is gone says nothing; whoever reads sees the end.
        let _ = to_server.close().await;
    };
    let outwards = async {
        while let Some(Ok(message)) = from_server.next().await {
            let Some(message) = outward(message) else { continue };
            let is_last = matches!(message, Message::Close(_));
            if to_client.send(message).await.is_err() || is_last {
                return;
            }
        }
    };
    tokio::select! { () = inwards => {}, () = outwards => {} }
}

fn inward(message: Message) -> tungstenite::Message {
    match message {
        Message::Text(text) => tungstenite::Message::Text(text.as_str().into()),
        Message::Binary(bytes) => tungstenite::Message::Binary(bytes),
        Message::Ping(bytes) => tungstenite::Message::Ping(bytes),
        Message::Pong(bytes) => tungstenite::Message::Pong(bytes),
        Message::Close(frame) => tungstenite::Message::Close(frame.map(|CloseFrame { code, reason }| {
            tungstenite::protocol::CloseFrame { code: code.into(), reason: reason.as_str().into() }
        })),
    }
}

fn outward(message: tungstenite::Message) -> Option<Message> {
    Some(match message {
        tungstenite::Message::Text(text) => Message::Text(text.as_str().into()),
        tungstenite::Message::Binary(bytes) => Message::Binary(bytes),
        tungstenite::Message::Ping(bytes) => Message::Ping(bytes),
        tungstenite::Message::Pong(bytes) => Message::Pong(bytes),
        tungstenite::Message::Close(frame) => Message::Close(
            frame.map(|frame| CloseFrame { code: frame.code.into(), reason: frame.reason.as_str().into() }),
        ),
        tungstenite::Message::Frame(_) => return None,
    })
}

/// A listener with one connection.
struct Once(Option<DuplexStream>);

impl Listener for Once {
    type Io = DuplexStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (DuplexStream, SocketAddr) {
        match self.0.take() {
            Some(stream) => (stream, SocketAddr::from(([127, 0, 0, 1], 0))),
            None => future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from(([127, 0, 0, 1], 0)))
    }
}
