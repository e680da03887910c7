//! One socket of the fuzzer: sends a case, waits for every answer it is owed, and looks at every frame it gets.

use std::collections::VecDeque;

use shared::protocol::{Frame, Packet, PacketData};
use tokio::time::timeout;

use super::messages::TIMEOUT;
use crate::{Cloud, Edge, Socket};

/// Texts a finding shows; what came before them hardly matters.
const SHOWN: usize = 24;

/// A connection and what was sent on it.
pub(super) struct FuzzedSocket {
    socket: Socket,
    sent: VecDeque<String>,
    /// Namespaces of CONNECTs that have not been answered.
    owed: Vec<String>,
}

impl FuzzedSocket {
    /// Opens a connection and reads its open packet.
    pub(super) async fn open(cloud: &Cloud) -> Result<Self, String> {
        let open = async {
            let dialled = Socket::dial(cloud, Edge::Gateway, None).await;
            let mut socket = dialled.map_err(|status| format!("a new socket is refused with {status}"))?;
            match socket.raw_frame().await {
                Ok(frame) if frame.starts_with('0') => Ok(Self { socket, sent: VecDeque::new(), owed: Vec::new() }),
                other => Err(format!("instead of the open packet: {other:?}")),
            }
        };
        timeout(TIMEOUT, open).await.unwrap_or_else(|_| Err("a new socket gets no open packet".to_owned()))
    }

    /// The last texts that were sent.
    pub(super) fn texts(&self) -> Vec<String> {
        self.sent.iter().cloned().collect()
    }

    /// Sends the texts and then a CONNECT for a namespace nobody has, so that there is always something to wait for.
    /// Returns whether the connection is still open.
    pub(super) async fn play(&mut self, texts: Vec<String>, number: u64) -> Result<bool, String> {
        for text in texts {
            self.send(text).await;
        }
        let marker = format!("/marker-{number}");
        self.socket.send(&format!("40{marker},")).await;
        self.owed.push(marker);
        while !self.owed.is_empty() {
            let Ok(received) = timeout(TIMEOUT, self.socket.raw_frame()).await else {
                return Err(format!("no answer to CONNECT of {:?}", self.owed));
            };
            match received {
                Ok(frame) => self.look_at(&frame).map_err(|what| format!("{what}: {frame:?}"))?,
                // Closed by the function; or so fast that the close frame was lost.
                Err(1000 | 1005 | 1006) => return Ok(false),
                Err(code) => return Err(format!("closed with {code}")),
            }
        }
        Ok(true)
    }

    async fn send(&mut self, text: String) {
        self.socket.send(&text).await;
        if let Some(Ok(Packet { namespace, data: PacketData::Connect(_) })) = text.strip_prefix('4').map(Packet::decode)
        {
            self.owed.push(namespace);
        }
        if self.sent.len() == SHOWN {
            self.sent.pop_front();
        }
        self.sent.push_back(text);
    }

    fn look_at(&mut self, frame: &str) -> Result<(), &'static str> {
        let packet = match Frame::decode(frame) {
            Ok(Frame::Ping(payload)) if payload.is_empty() => return Ok(()),
            Ok(Frame::Message(packet)) => Packet::decode(&packet),
            _ => return Err("no frame of a server"),
        };
        let Ok(Packet { namespace, data }) = packet else { return Err("no Socket.IO packet") };
        match data {
            PacketData::Event { id: None, args } if namespace == "/users" && args.len() == 2 => return Ok(()),
            PacketData::Connect(Some(payload)) if payload["sid"].is_string() => {}
            PacketData::ConnectError(error) if error["message"] == "INTERNAL_ERROR" => return Err("it failed"),
            PacketData::ConnectError(error) if error["message"].is_string() => {}
            _ => return Err("a packet without reason"),
        }
        let Some(place) = self.owed.iter().position(|owed| *owed == namespace) else {
            return Err("an answer to nothing");
        };
        self.owed.swap_remove(place);
        Ok(())
    }
}
