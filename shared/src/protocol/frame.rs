//! Engine.IO: one WebSocket text message is one frame.

use std::borrow::Cow;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::DecodeError;

/// One Engine.IO packet in its text form. Binary travels as `b<base64>`, because API Gateway carries text only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame<'a> {
    /// `0`: the handshake, server to client, still encoded (see [`super::Open`]). Node ignores it from a client.
    Open(Cow<'a, str>),
    /// `1`: close; both sides ignore it on a WebSocket.
    Close,
    /// `2`: heartbeat of the server. From a client it is an error. The payload (`probe`) exists only during an upgrade.
    Ping(Cow<'a, str>),
    /// `3`: the client's answer to a ping.
    Pong(Cow<'a, str>),
    /// `4`: carries one Socket.IO packet, still encoded.
    Message(Cow<'a, str>),
    /// `5`: end of a transport upgrade; without meaning on a WebSocket session.
    Upgrade,
    /// `6`: nothing.
    Noop,
    /// `b`: a binary attachment.
    Binary(Vec<u8>),
}

impl<'a> Frame<'a> {
    /// Reads one text message.
    ///
    /// # Errors
    /// [`DecodeError::Empty`], [`DecodeError::UnknownFrameType`] and [`DecodeError::InvalidBase64`].
    pub fn decode(text: &'a str) -> Result<Self, DecodeError> {
        let kind = text.chars().next().ok_or(DecodeError::Empty)?;
        let rest = &text[kind.len_utf8()..];
        match kind {
            '0' => Ok(Frame::Open(rest.into())),
            '1' => Ok(Frame::Close),
            '2' => Ok(Frame::Ping(rest.into())),
            '3' => Ok(Frame::Pong(rest.into())),
            '4' => Ok(Frame::Message(rest.into())),
            '5' => Ok(Frame::Upgrade),
            '6' => Ok(Frame::Noop),
            'b' => BASE64_STANDARD.decode(rest).map(Frame::Binary).map_err(|_| DecodeError::InvalidBase64),
            _ => Err(DecodeError::UnknownFrameType),
        }
    }

    /// The text message of this frame.
    #[must_use]
    pub fn encode(&self) -> String {
        match self {
            Frame::Open(handshake) => format!("0{handshake}"),
            Frame::Close => "1".to_owned(),
            Frame::Ping(payload) => format!("2{payload}"),
            Frame::Pong(payload) => format!("3{payload}"),
            Frame::Message(packet) => format!("4{packet}"),
            Frame::Upgrade => "5".to_owned(),
            Frame::Noop => "6".to_owned(),
            Frame::Binary(bytes) => format!("b{}", BASE64_STANDARD.encode(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use engineioxide_core::{Packet as Oracle, ProtocolVersion, Str};
    use proptest::prelude::*;

    use super::*;

    fn any_frame() -> impl Strategy<Value = Frame<'static>> {
        let text = || "\\PC*".prop_map(Cow::Owned);
        prop_oneof![
            text().prop_map(Frame::Open),
            Just(Frame::Close),
            text().prop_map(Frame::Ping),
            text().prop_map(Frame::Pong),
            text().prop_map(Frame::Message),
            Just(Frame::Upgrade),
            Just(Frame::Noop),
            any::<Vec<u8>>().prop_map(Frame::Binary),
        ]
    }

    proptest! {
        #[test]
        fn a_frame_survives_encoding(frame in any_frame()) {
            let text = frame.encode();
            prop_assert_eq!(Frame::decode(&text).unwrap(), frame);
        }

        #[test]
        fn no_text_makes_the_decoder_panic(text in "\\PC*") {
            let _ = Frame::decode(&text);
        }

        #[test]
        fn messages_are_read_as_engineioxide_reads_them(payload in "\\PC{0,64}") {
            let text = format!("4{payload}");
            let oracle = Oracle::parse(ProtocolVersion::V4, Str::from(text.clone()));
            prop_assert_eq!(oracle.unwrap(), Oracle::Message(Str::from(payload.clone())));
            prop_assert_eq!(Frame::decode(&text).unwrap(), Frame::Message(payload.into()));
        }
    }

    #[test]
    fn unknown_first_characters_are_refused() {
        for text in ["hello", "7", "9{}", "{\"message\":\"Internal server error\"}", "é", " 40"] {
            assert_eq!(Frame::decode(text), Err(DecodeError::UnknownFrameType), "{text}");
        }
        assert_eq!(Frame::decode(""), Err(DecodeError::Empty));
        assert_eq!(Frame::decode("b*"), Err(DecodeError::InvalidBase64));
    }
}
