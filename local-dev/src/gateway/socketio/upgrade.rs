//! A polling session that becomes a WebSocket: socketioxide hears of it only when the client's probe has come through.
//!
//! To socketioxide a session is being upgraded from the first byte of the WebSocket on. It answers each poll at once from
//! then on, and when the WebSocket stays silent or dies, the session ends with it. Behind a proxy that swallows frames a
//! client would poll thousands of times a second, and never connect. The Node server lets such a session go on polling; so
//! here the WebSocket is accepted first, and handed on as soon as the probe is there.

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
    sync::OwnedSemaphorePermit,
    time::timeout,
};
use tokio_tungstenite::{client_async, tungstenite};

/// How long the probe may take, as with the Node server.
const PROBED_WITHIN: Duration = Duration::from_secs(10);

/// Bytes that wait between the two ends.
const BUFFER: usize = 64 * 1024;

/// Closes a WebSocket at once.
pub(super) async fn refuse(mut client: WebSocket) {
    // A client that is gone by now is what is wanted.
    let _ = client.send(Message::Close(None)).await;
}

/// Waits for the probe, then joins both ends until one of them closes. `uri` is that of the client's request; the permit
/// comes back where the session goes on polling.
pub(super) async fn run(mut client: WebSocket, server: Router, uri: Uri, permit: OwnedSemaphorePermit) {
    let probe = match timeout(PROBED_WITHIN, client.recv()).await {
        Ok(Some(Ok(Message::Text(probe)))) if probe == "2probe" => probe,
        // The session goes on polling.
        _ => return,
    };
    // From here on socketioxide ends the session with its WebSocket.
    permit.forget();
    let (near, far) = duplex(BUFFER);
    let serving = tokio::spawn(async move { axum::serve(Once(Some(far)), server).await });
    if let Ok((server, _)) = client_async(format!("ws://localhost{uri}"), near).await {
        relay(client, server, probe.as_str().into()).await;
    }
    serving.abort();
}

async fn relay(
    client: WebSocket,
    server: tokio_tungstenite::WebSocketStream<DuplexStream>,
    probe: tungstenite::Utf8Bytes,
) {
    let ((mut to_client, mut from_client), (mut to_server, mut from_server)) = (client.split(), server.split());
    let inwards = async {
        let mut next = Some(tungstenite::Message::Text(probe));
        while let Some(message) = next {
            let is_last = matches!(message, tungstenite::Message::Close(_));
            if to_server.send(message).await.is_err() || is_last {
                return;
            }
            next = from_client.next().await.and_then(Result::ok).map(inward);
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
