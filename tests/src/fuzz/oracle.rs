//! The parsers socketioxide is made of, asked about the same text.

use bytes::Bytes;
use engineioxide_core::{Packet as Theirs, ProtocolVersion, Str};
use serde_json::Value;
use shared::protocol::{Frame, Packet};
use socketioxide_core::{
    Value as TheirValue,
    packet::PacketData as TheirData,
    parser::{Parse as _, ParseConfig, ParseError, ParserState},
};
use socketioxide_parser_common::CommonParser;

use super::parts::Parts;

/// Whether engineioxide reads the same frame. It knows no open packet from a client, as Node does, and no payload of
/// a ping beside `probe`.
pub(super) fn agrees_on_frame(text: &str, ours: Option<&Frame<'_>>) -> Result<(), String> {
    let theirs = Theirs::parse(ProtocolVersion::V4, Str::from(text.to_owned())).ok();
    let equal = match (ours, &theirs) {
        (Some(Frame::Open(_)), None) | (None, None) => true,
        (Some(Frame::Close), Some(Theirs::Close))
        | (Some(Frame::Upgrade), Some(Theirs::Upgrade))
        | (Some(Frame::Noop), Some(Theirs::Noop)) => true,
        (Some(Frame::Ping(payload)), Some(Theirs::PingUpgrade))
        | (Some(Frame::Pong(payload)), Some(Theirs::PongUpgrade)) => payload == "probe",
        (Some(Frame::Ping(payload)), Some(Theirs::Ping)) | (Some(Frame::Pong(payload)), Some(Theirs::Pong)) => {
            payload != "probe"
        }
        (Some(Frame::Message(ours)), Some(Theirs::Message(theirs))) => ours == theirs.as_str(),
        (Some(Frame::Binary(ours)), Some(Theirs::Binary(theirs))) => ours == theirs,
        _ => false,
    };
    if equal { Ok(()) } else { Err(format!("the frame is {ours:?} for us and {theirs:?} for engineioxide")) }
}

/// Whether socketioxide reads the same packet, if it takes it at all: it takes no CONNECT_ERROR and no acknowledgement
/// without id. It sees an id only before `[` or `{`, and it looks at no payload.
pub(super) fn agrees_on_packet(text: &str, ours: &Packet) -> Result<(), String> {
    let Parts { kind, attachments, id, payload } = Parts::of(ours);
    let unseen = kind == 4 || (id.is_none() && matches!(kind, 3 | 6));
    if unseen {
        return Ok(());
    }
    let disagree = |what: String| Err(format!("{ours:?}, but for socketioxide {what}"));
    let theirs = match read(text, attachments) {
        Ok(theirs) => theirs,
        // An acknowledgement without arguments, `3/users,5`, has no id for it.
        Err(ParseError::InvalidPacketType) if matches!(kind, 3 | 6) => return Ok(()),
        Err(error) => return disagree(format!("{error:?}")),
    };
    if theirs.ns != ours.namespace.as_str() {
        return disagree(format!("the namespace is {:?}", theirs.ns));
    }
    if theirs.inner.index() != kind {
        return disagree(format!("the type is {}", theirs.inner.index()));
    }
    let (their_id, their_payload) = match theirs.inner {
        TheirData::Connect(auth) => (None, auth.and_then(text_of)),
        TheirData::Event(value, id) | TheirData::BinaryEvent(value, id) => (id, text_of(value)),
        TheirData::EventAck(value, id) | TheirData::BinaryAck(value, id) => (Some(id), text_of(value)),
        TheirData::Disconnect | TheirData::ConnectError(_) => (None, None),
    };
    let their_payload = their_payload.unwrap_or_default();
    let sees_ids = their_payload.starts_with(['[', '{']);
    if sees_ids && their_id.map(i64::cast_unsigned) != id {
        return disagree(format!("the id is {their_id:?}"));
    }
    match serde_json::from_str::<Value>(&their_payload) {
        Ok(theirs) if Some(&theirs) != payload.as_ref() => disagree(format!("the payload is {theirs}")),
        // Without payload we have no arguments.
        Err(_) if payload.is_some_and(|payload| payload != Value::Array(vec![])) => {
            disagree(format!("the payload is {their_payload:?}"))
        }
        _ => Ok(()),
    }
}

/// Reads the text and then as many empty attachments as we think it announces.
fn read(text: &str, attachments: u32) -> Result<socketioxide_core::packet::Packet, ParseError> {
    let (config, state) = (ParseConfig::default(), ParserState::default());
    let mut read = CommonParser.decode_str(&config, &state, text.to_owned().into());
    for _ in 0..attachments {
        match read {
            Err(ParseError::NeedsMoreBinaryData) => read = CommonParser.decode_bin(&config, &state, Bytes::new()),
            _ => return read,
        }
    }
    read
}

fn text_of(value: TheirValue) -> Option<String> {
    match value {
        TheirValue::Str(text, _) => Some(text.to_string()),
        TheirValue::Bytes(_) => None,
    }
}
