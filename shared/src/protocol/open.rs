//! The Engine.IO handshake, the first frame of every session: `0{"sid":…}`.

use serde::{Deserialize, Serialize};

use super::{DecodeError, Frame};

/// What the server promises to the client when a session opens.
///
/// The client closes a session ("ping timeout") when no ping came for `ping_interval + ping_timeout`;
/// it accepts any values whose sum stays below 2^31 ms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Open {
    /// Engine.IO session id; not the Socket.IO id.
    pub sid: String,
    /// Transports the client may upgrade to; none on a WebSocket.
    pub upgrades: Vec<String>,
    /// Milliseconds between two pings of the server.
    pub ping_interval: u64,
    /// Milliseconds the client waits beyond `ping_interval`.
    pub ping_timeout: u64,
    /// Bytes; a hint for polling clients, not enforced by clients on a WebSocket.
    pub max_payload: u64,
}

impl Open {
    /// Reads the payload of a [`Frame::Open`].
    ///
    /// # Errors
    /// [`DecodeError::InvalidPayload`].
    pub fn parse(handshake: &str) -> Result<Self, DecodeError> {
        serde_json::from_str(handshake).map_err(|_| DecodeError::InvalidPayload)
    }

    /// The WebSocket message.
    #[must_use]
    pub fn to_frame(&self) -> String {
        Frame::Open(serde_json::json!(self).to_string().into()).encode()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_open_packet_has_the_keys_of_the_node_server() {
        let sent = r#"{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
        let open = Open::parse(sent).unwrap();
        assert_eq!((open.ping_interval, open.ping_timeout, open.max_payload), (25_000, 20_000, 1_000_000));
        let frame = open.to_frame();
        assert_eq!(Open::parse(frame.strip_prefix('0').unwrap()), Ok(open));
    }
}
