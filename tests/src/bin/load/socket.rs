//! The sockets: Engine.IO and Socket.IO by hand, one task each, as little work per frame as can be.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures::{SinkExt as _, StreamExt as _, future::join_all, stream};
use shared::protocol::{Frame, Open, Packet, PacketData};
use tokio::{
    net::{TcpSocket, TcpStream, lookup_host},
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, client_async, connect_async_with_config,
    tungstenite::{
        Error as WebSocketError, Message, Utf8Bytes, client::IntoClientRequest as _, protocol::WebSocketConfig,
    },
};

use crate::{Failure, args::Edge, ledger::Ledger};

/// Handshakes at a time. More only queue up in the server.
const OPENING: usize = 32;

/// How long one socket may take from TCP to the answer of its CONNECT.
const OPEN_WITHIN: Duration = Duration::from_secs(30);

/// Frames are a few hundred bytes; the library's default of 128 KiB per socket is for other uses.
const READ_BUFFER: usize = 4096;

const NAMESPACE: &str = "/users";

/// What a rename looks like up to the payload.
const EVENT: &str = r#"2/users,["users.updated","#;

type Wire = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What the system keeps for a socket that does not read, in bytes; it makes it a little more.
const TINY: u32 = 2048;

/// How long a silent socket is read at the end of the run, before it counts as still open.
const READ_OUT: Duration = Duration::from_secs(5);

/// Opens sockets that join and then never read. Dropping them ends them.
pub(crate) struct Silent(Vec<Wire>);

impl Silent {
    /// Opens all, one after another.
    pub(crate) async fn open(count: usize, url: &str, edge: Edge) -> Result<Self, Failure> {
        let url = format!("{}{}?EIO=4&transport=websocket", url.replacen("http", "ws", 1), edge.path());
        let mut wires = Vec::with_capacity(count);
        for _ in 0..count {
            let request = url.as_str().into_client_request()?;
            let address = request.uri().authority().ok_or("the URL has no host")?.as_str().to_owned();
            let address =
                lookup_host(address).await?.find(SocketAddr::is_ipv4).ok_or("the host has no IPv4 address")?;
            let socket = TcpSocket::new_v4()?;
            socket.set_recv_buffer_size(TINY)?;
            let stream = MaybeTlsStream::Plain(socket.connect(address).await?);
            let (mut wire, _) = client_async(request, stream).await.map_err(explained)?;
            join(&mut wire).await?;
            wires.push(wire);
        }
        Ok(Self(wires))
    }

    /// How many of them the server has not closed: what is read now does not come to an end.
    pub(crate) async fn still_open(self) -> usize {
        let read_out = self.0.into_iter().map(|mut wire| async move {
            let end = async { while let Some(Ok(_)) = wire.next().await {} };
            timeout(READ_OUT, end).await.is_err()
        });
        join_all(read_out).await.into_iter().filter(|is_open| *is_open).count()
    }
}

/// Sockets that listen, each in a task. Dropping this ends them.
pub(crate) struct Sockets {
    _tasks: JoinSet<()>,
}

impl Sockets {
    /// Opens all, some at a time, and returns when the last has joined.
    pub(crate) async fn open(
        count: usize,
        url: &str,
        edge: Edge,
        marker: &str,
        ledger: &Arc<Ledger>,
    ) -> Result<Self, Failure> {
        let url = format!("{}{}?EIO=4&transport=websocket", url.replacen("http", "ws", 1), edge.path());
        let mut tasks = JoinSet::new();
        let opening = (0..count).map(|number| {
            let url = &url;
            async move { (number, open(url).await) }
        });
        let mut opening = stream::iter(opening).buffer_unordered(OPENING);
        let marker: Arc<str> = marker.into();
        while let Some((number, opened)) = opening.next().await {
            let wire = opened.map_err(|error| format!("{} of {count} sockets opened, then: {error}", tasks.len()))?;
            let (ledger, marker) = (Arc::clone(ledger), Arc::clone(&marker));
            // At once: the server pings, and the last socket may join long after the first.
            tasks.spawn(async move {
                let end = listen(number, wire, &marker, &ledger).await;
                ledger.lost(&end);
            });
        }
        Ok(Self { _tasks: tasks })
    }
}

async fn open(url: &str) -> Result<Wire, Failure> {
    let opened = timeout(OPEN_WITHIN, async {
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER).write_buffer_size(0);
        let (mut wire, _) = connect_async_with_config(url, Some(config), true).await.map_err(explained)?;
        join(&mut wire).await?;
        Ok(wire)
    });
    let late =
        || format!("a socket did not join within {OPEN_WITHIN:?}; is the server out of open files (`ulimit -n`)?");
    opened.await.map_err(|_| late())?
}

/// Handshake, CONNECT without a token, and its answer.
async fn join(wire: &mut Wire) -> Result<(), Failure> {
    loop {
        let text = next_text(wire).await.map_err(|end| format!("the server did not let a socket join: {end}"))?;
        match Frame::decode(&text)? {
            Frame::Open(handshake) => {
                Open::parse(&handshake)?;
                let connect = Packet::new(NAMESPACE, PacketData::Connect(None));
                wire.send(Message::text(connect.to_frame())).await?;
            }
            Frame::Ping(_) => pong(wire).await?,
            Frame::Message(packet) => match Packet::decode(&packet)?.data {
                PacketData::Connect(Some(answer)) if answer.contains_key("sid") => return Ok(()),
                PacketData::ConnectError(error) => return Err(format!("the server refused a socket: {error}").into()),
                // An event for the room, which the socket was in before it was told so.
                _ => {}
            },
            _ => {}
        }
    }
}

/// Notes every rename. Returns only if the connection ends, with the reason.
async fn listen(number: usize, mut wire: Wire, marker: &str, ledger: &Ledger) -> String {
    loop {
        let text = match next_text(&mut wire).await {
            Ok(text) => text,
            Err(end) => return end,
        };
        let at = Instant::now();
        match Frame::decode(&text) {
            Ok(Frame::Message(packet)) if packet.starts_with(EVENT) => {
                if let Some(mutation) = number_after(marker, &packet) {
                    ledger.heard(number, mutation, at);
                }
            }
            Ok(Frame::Message(packet)) if packet.starts_with("1/users") => return "thrown out".to_owned(),
            Ok(Frame::Ping(_)) => {
                if let Err(error) = pong(&mut wire).await {
                    return error.to_string();
                }
            }
            Ok(_) => {}
            Err(error) => return error.to_string(),
        }
    }
}

/// The next text message, or how the connection ended.
async fn next_text(wire: &mut Wire) -> Result<Utf8Bytes, String> {
    loop {
        match wire.next().await {
            Some(Ok(Message::Text(text))) => return Ok(text),
            Some(Ok(Message::Close(_))) | None => return Err("closed by the server".to_owned()),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.to_string()),
        }
    }
}

async fn pong(wire: &mut Wire) -> Result<(), WebSocketError> {
    wire.send(Message::text(Frame::Pong("".into()).encode())).await
}

/// The number right behind the marker. The payload is not parsed: a thousand sockets share a core with the server.
fn number_after(marker: &str, text: &str) -> Option<usize> {
    let rest = &text[text.find(marker)? + marker.len()..];
    let end = rest.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// Says what to do where that is known.
fn explained(error: WebSocketError) -> Failure {
    // EMFILE and ENFILE, the same numbers on every Unix.
    match &error {
        WebSocketError::Io(cause) if matches!(cause.raw_os_error(), Some(23 | 24)) => {
            format!("{cause}. Every socket is an open file, here and in the server: `ulimit -n 65536` raises the limit")
                .into()
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rename_is_recognised_by_its_number() {
        let packet = r#"2/users,["users.updated",{"id":"x","fullName":"Load 5f 12","countryCode":"DE"}]"#;
        assert!(packet.starts_with(EVENT));
        assert_eq!(number_after("Load 5f ", packet), Some(12));
        assert_eq!(number_after("Load 60 ", packet), None);
        assert_eq!(number_after("Load 5f ", r#"{"fullName":"Load 5f new"}"#), None);
    }
}
