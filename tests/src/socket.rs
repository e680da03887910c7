//! A Socket.IO client that shows every frame.

use std::{collections::VecDeque, time::Duration};

use futures::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use shared::protocol::{Frame, Packet, PacketData};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, client_async, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _},
};

use crate::contract;

/// Far beyond what anything here takes; reaching it means the thing does not happen.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A way into the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// socketioxide at `/socket.io/`.
    SocketIo,
    /// The API Gateway emulation at `/dev`.
    Gateway,
}

impl Edge {
    /// Every edge; behaviour suites run over all of them.
    pub const ALL: [Self; 2] = [Self::SocketIo, Self::Gateway];

    /// Where a client of it connects to.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::SocketIo => "/socket.io/?EIO=4&transport=websocket",
            Self::Gateway => "/dev?EIO=4&transport=websocket",
        }
    }
}

/// A WebSocket that answers pings and hands out everything else.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Whether the open packet is behind it.
    opened: bool,
    /// Whether a CONNECT of [`Socket::send_connect`] waits for its answer.
    connecting: bool,
    /// Events that came before that answer. A socket is in its rooms before it is told so, and what is committed in
    /// between may overtake the answer; `socket.io-client` keeps it in its `receiveBuffer` until it is connected.
    early: VecDeque<String>,
}

impl Socket {
    fn new(stream: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Self {
        Self { stream, opened: false, connecting: false, early: VecDeque::new() }
    }

    /// Opens a WebSocket, with an `Origin` or without, and reads the open packet. A refusal is its HTTP status.
    pub async fn open(server: &impl AsRef<str>, edge: Edge, origin: Option<&str>) -> Result<Self, u16> {
        let mut socket = Self::dial(server, edge, origin).await?;
        let open = socket.frame().await.unwrap_or_else(|| panic!("{edge:?}: closed before the open packet"));
        assert!(open.starts_with('0'), "{edge:?}: {open}");
        Ok(socket)
    }

    /// Opens a WebSocket and reads nothing yet.
    pub async fn dial(server: &impl AsRef<str>, edge: Edge, origin: Option<&str>) -> Result<Self, u16> {
        let headers: Vec<_> = origin.map(|origin| ("origin", origin)).into_iter().collect();
        Self::dial_with(server, edge.path(), &headers).await.map(|(socket, _)| socket)
    }

    /// Opens a WebSocket at this path with these headers, and says which subprotocol the server chose.
    pub async fn dial_with(
        server: &impl AsRef<str>,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<(Self, Option<String>), u16> {
        let mut request = (server.as_ref().replacen("http", "ws", 1) + path).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (stream, answer) = match connect_async(request).await {
            Ok(opened) => opened,
            Err(Error::Http(response)) => return Err(response.status().as_u16()),
            Err(error) => panic!("{path}: {error}"),
        };
        let protocol = answer.headers().get("sec-websocket-protocol").map(|name| name.to_str().unwrap().to_owned());
        Ok((Self::new(stream), protocol))
    }

    /// A socket on `/users` at the gateway's edge whose system holds as little as possible of what it does not read.
    pub async fn connected_with_a_tiny_buffer(server: &impl AsRef<str>, token: Option<&str>) -> Self {
        let url = server.as_ref().replacen("http", "ws", 1) + Edge::Gateway.path();
        let request = url.into_client_request().unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(2048).unwrap();
        let address = request.uri().authority().unwrap().as_str().parse().unwrap();
        let stream = MaybeTlsStream::Plain(socket.connect(address).await.unwrap());
        let (stream, _) = client_async(request, stream).await.unwrap();
        let mut socket = Self::new(stream);
        assert!(socket.frame().await.is_some_and(|open| open.starts_with('0')));
        socket.send_connect(token.map(|token| serde_json::json!({ "token": token }))).await;
        let answer = socket.frame().await;
        assert!(answer.as_deref().is_some_and(|frame| frame.starts_with("40/users,")), "{answer:?}");
        socket
    }

    /// Opens a WebSocket and sends CONNECT with these `auth` data; the answer is the next frame.
    pub async fn connecting(server: &impl AsRef<str>, edge: Edge, auth: Option<Value>) -> Self {
        let mut socket = Self::open(server, edge, None).await.unwrap();
        socket.send_connect(auth).await;
        socket
    }

    /// Sends CONNECT for `/users`.
    pub async fn send_connect(&mut self, auth: Option<Value>) {
        let auth = auth.map(|auth| auth.as_object().unwrap().clone());
        self.connecting = true;
        self.send(&Packet::new("/users", PacketData::Connect(auth)).to_frame()).await;
    }

    /// A socket on `/users`, connected with this token or with none.
    pub async fn connected(server: &impl AsRef<str>, edge: Edge, token: Option<&str>) -> Self {
        let auth = token.map(|token| serde_json::json!({ "token": token }));
        let mut socket = Self::connecting(server, edge, auth).await;
        let answer = socket.frame().await;
        assert!(answer.as_deref().is_some_and(|frame| frame.starts_with("40/users,")), "{edge:?}: {answer:?}");
        socket
    }

    /// Sends a text frame.
    pub async fn send(&mut self, frame: &str) {
        // A server that closes meanwhile is seen by the next read.
        let _ = self.stream.send(Message::text(frame)).await;
    }

    /// The next text frame that is no ping and no second open packet, or `None` when the connection has ended. After a
    /// CONNECT its answer comes first, and the events that overtook it follow. Whatever it says is in the contract.
    pub async fn frame(&mut self) -> Option<String> {
        let frame = self.next_frame().await;
        frame.as_deref().into_iter().for_each(contract::must_know);
        frame
    }

    async fn next_frame(&mut self) -> Option<String> {
        if !self.connecting
            && let Some(event) = self.early.pop_front()
        {
            return Some(event);
        }
        loop {
            match timeout(TIMEOUT, self.stream.next()).await.expect("a frame in time") {
                Some(Ok(Message::Text(text))) if text.as_str() == "2" => self.send("3").await,
                // A post that took too long is sent again; clients ignore a second open packet.
                Some(Ok(Message::Text(text))) if text.starts_with('0') && self.opened => {}
                // socketioxide announces its close like this; clients ignore it on a WebSocket.
                Some(Ok(Message::Text(text))) if text.as_str() == "1" => {}
                Some(Ok(Message::Text(text))) if text.starts_with("42") && self.connecting => {
                    self.early.push_back(text.to_string());
                }
                Some(Ok(Message::Text(text))) => {
                    self.opened = true;
                    self.connecting &= !(text.starts_with("40") || text.starts_with("44"));
                    return Some(text.to_string());
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// Reads until the connection ends, and returns the close code.
    pub async fn close_code(&mut self) -> u16 {
        loop {
            if let Err(code) = self.raw_frame().await {
                return code;
            }
        }
    }

    /// Sends any WebSocket message.
    pub async fn send_raw(&mut self, message: Message) {
        let _ = self.stream.send(message).await;
    }

    /// The next text frame as it comes, pings included, or the close code: 1005 if the server gave none, 1006 if it
    /// went without a word.
    pub async fn raw_frame(&mut self) -> Result<String, u16> {
        loop {
            match timeout(TIMEOUT, self.stream.next()).await.expect("a frame in time") {
                Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
                Some(Ok(Message::Close(frame))) => return Err(frame.map_or(1005, |frame| frame.code.into())),
                Some(Err(_)) | None => return Err(1006),
                Some(Ok(_)) => {}
            }
        }
    }

    /// Every event until the connection ends.
    pub async fn drain(&mut self) -> Vec<String> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame().await {
            frames.push(frame);
        }
        frames
    }

    /// The next event: its name and its one argument.
    #[track_caller]
    pub fn event(&mut self) -> impl Future<Output = (String, Value)> {
        let caller = std::panic::Location::caller();
        async move {
            let frame = self.frame().await.unwrap_or_else(|| panic!("{caller}: closed instead of an event"));
            let packet = match Frame::decode(&frame) {
                Ok(Frame::Message(packet)) => Packet::decode(&packet).unwrap(),
                other => panic!("{caller}: {other:?}"),
            };
            let PacketData::Event { id: None, args } = packet.data else { panic!("{caller}: {frame}") };
            let [name, argument] = args.as_slice() else { panic!("{caller}: not exactly one argument: {frame}") };
            assert_eq!(packet.namespace, "/users", "{caller}");
            (name.as_str().unwrap().to_owned(), argument.clone())
        }
    }
}
