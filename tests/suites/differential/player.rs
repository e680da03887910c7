//! One client of one edge: sends, and says what came of it.

use std::time::Duration;

use serde_json::Value;
use tests::{Edge, Socket};
use tokio::time::timeout;

use crate::table::Reaction;

/// Far beyond what anything here takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Nobody has this namespace, so a CONNECT for it shows how far a server has read.
const MARKER: (&str, &str) = ("40/marker,", r#"44/marker,{"message":"Invalid namespace"}"#);

/// A connection after its open packet.
pub(crate) struct Player {
    /// The open packet, without id and intervals.
    pub(crate) opened: String,
    socket: Socket,
    edge: Edge,
    sids: Vec<String>,
}

impl Player {
    /// Opens a connection.
    pub(crate) async fn open(server: &impl AsRef<str>, edge: Edge) -> Self {
        let mut socket = Socket::dial(server, edge, None).await.unwrap();
        let open = socket.raw_frame().await.unwrap();
        let mut open: Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
        assert!(open["sid"].is_string() && open["pingInterval"].is_u64() && open["pingTimeout"].is_u64());
        (open["sid"], open["pingInterval"], open["pingTimeout"]) = ("<sid>".into(), 0.into(), 0.into());
        Self { opened: open.to_string(), socket, edge, sids: Vec::new() }
    }

    /// Sends frames without waiting in between.
    pub(crate) async fn send(&mut self, frames: &[&str]) {
        for frame in frames {
            self.socket.send(frame).await;
        }
    }

    /// Sends an event of this many bytes.
    pub(crate) async fn send_long(&mut self, length: usize) {
        self.socket.send(&format!(r#"42/users,["x","{}"]"#, "y".repeat(length - 17))).await;
    }

    /// What the client sees. The expectation says only what to wait for: for a close, or for so many frames and the
    /// answer to a marker behind them.
    pub(crate) async fn reaction(&mut self, expected: &Reaction, user: &Value) -> Reaction {
        let mut frames = Vec::new();
        let count = if let Reaction::Answers(answers) = expected { answers.len() } else { 0 };
        let mut marked = expected.ends();
        loop {
            if !marked && frames.len() >= count {
                self.socket.send(MARKER.0).await;
                marked = true;
            }
            let Ok(received) = timeout(TIMEOUT, self.socket.raw_frame()).await else {
                return self.sum_up(frames, expected);
            };
            match received {
                Ok(frame) if frame == MARKER.1 => return self.sum_up(frames, expected),
                // socketioxide pings right after the open packet, and announces its close.
                Ok(frame) if (frame == "1" || frame == "2") && self.edge == Edge::SocketIo => {}
                // A post that took too long is sent again; clients ignore a second open packet.
                Ok(frame) if frame.starts_with('0') && self.edge == Edge::Gateway => {}
                Ok(frame) => frames.push(self.normalised(&frame, user)),
                Err(code) if frames.is_empty() => return self.closed(code),
                Err(code) => {
                    frames.push(format!("closed with {code}"));
                    return Reaction::Surprise(frames);
                }
            }
        }
    }

    fn sum_up(&self, mut frames: Vec<String>, expected: &Reaction) -> Reaction {
        if frames.is_empty() {
            return Reaction::Silence;
        }
        frames.sort();
        match expected {
            Reaction::Answers(answers) => {
                let mut sorted = answers.to_vec();
                sorted.sort_unstable();
                if sorted == frames { Reaction::Answers(answers) } else { Reaction::Surprise(frames) }
            }
            _ => Reaction::Surprise(frames),
        }
    }

    fn closed(&self, code: u16) -> Reaction {
        match (self.edge, code) {
            (Edge::Gateway, 1000) | (Edge::SocketIo, 1005 | 1006) => Reaction::Closed,
            (_, 1009) => Reaction::TooBig,
            _ => Reaction::Surprise(vec![format!("closed with {code}")]),
        }
    }

    /// Socket ids are numbered as they come, and the user has a short name.
    fn normalised(&mut self, frame: &str, user: &Value) -> String {
        let frame = frame.replace(&user.to_string(), "\"<user>\"");
        let Some((start, rest)) = frame.split_once(r#"{"sid":""#) else { return frame };
        let (sid, rest) = rest.split_once('"').unwrap();
        let number = self.sids.iter().position(|known| known == sid).unwrap_or_else(|| {
            self.sids.push(sid.to_owned());
            self.sids.len() - 1
        });
        format!(r#"{start}{{"sid":"<{}>"{rest}"#, number + 1)
    }
}
