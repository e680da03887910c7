//! Engine.IO 4 and Socket.IO 5 as text: a pure codec without state, clock or I/O.
//!
//! The grammar and the reactions it must allow are those of the Node server (socket.io-parser 4.2, engine.io-parser 5.2).
//! [`frame`] is the outer layer, one WebSocket text message; [`packet`] the inner one, what a `4` frame carries.

mod frame;
mod open;
pub mod packet;

pub use frame::Frame;
pub use open::Open;
pub use packet::{Packet, PacketData};

/// Why a text is not a frame. The Node server closes the connection for each of these ("parse error").
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The frame is empty.
    #[error("empty frame")]
    Empty,
    /// The first character is no Engine.IO packet type.
    #[error("unknown Engine.IO packet type")]
    UnknownFrameType,
    /// What follows `b` is not base64.
    #[error("binary frame is not base64")]
    InvalidBase64,
    /// The character after `4` is no Socket.IO packet type.
    #[error("unknown Socket.IO packet type")]
    UnknownPacketType,
    /// A binary packet without its attachment count, or with a count outside 1 to [`packet::MAX_ATTACHMENTS`].
    #[error("illegal attachments")]
    IllegalAttachments,
    /// The acknowledgement id is larger than 2^53 - 1, the largest a JavaScript client can count to.
    #[error("acknowledgement id out of range")]
    IllegalId,
    /// The payload is not JSON, or not of the shape this packet type requires.
    #[error("invalid payload")]
    InvalidPayload,
}
