//! Socket.IO: `<type>[<attachments>-][<namespace>,][<ack id>][<json>]`, the content of a `4` frame.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::DecodeError;

/// Attachments a binary packet may announce; the default of Node's parser.
pub const MAX_ATTACHMENTS: u32 = 10;

/// Names a client may not emit, because both libraries raise them themselves.
const RESERVED_EVENTS: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// The largest acknowledgement id: 2^53 - 1.
const MAX_ID: u64 = (1 << 53) - 1;

/// One Socket.IO packet.
#[derive(Debug, Clone, PartialEq)]
pub struct Packet {
    /// The namespace, `/` when the text names none.
    pub namespace: String,
    /// What the packet says.
    pub data: PacketData,
}

/// The seven packet types and their payloads.
#[derive(Debug, Clone, PartialEq)]
pub enum PacketData {
    /// `0`: a client joins a namespace with its `auth` object; the server answers with `{"sid":…}`.
    Connect(Option<Map<String, Value>>),
    /// `1`: one side leaves the namespace.
    Disconnect,
    /// `2`: `args[0]` is the event's name. Empty for a bare `42`, which Node tolerates as an event nobody hears.
    Event {
        /// Acknowledgement id, if the sender wants an answer.
        id: Option<u64>,
        /// Name, then arguments.
        args: Vec<Value>,
    },
    /// `3`: the answer to an event that carried an id.
    Ack {
        /// The id of that event; Node ignores an answer without one.
        id: Option<u64>,
        /// What the other side's callback receives.
        args: Vec<Value>,
    },
    /// `4`: the server refuses a CONNECT, with `{"message":…}`.
    ConnectError(Value),
    /// `5`: an event whose binary arguments follow in `attachments` binary frames.
    BinaryEvent {
        /// How many binary frames follow.
        attachments: u32,
        /// Acknowledgement id, if the sender wants an answer.
        id: Option<u64>,
        /// Name, then arguments with placeholders.
        args: Vec<Value>,
    },
    /// `6`: an acknowledgement with binary arguments.
    BinaryAck {
        /// How many binary frames follow.
        attachments: u32,
        /// The id of the acknowledged event.
        id: Option<u64>,
        /// Arguments with placeholders.
        args: Vec<Value>,
    },
}

impl Packet {
    /// A packet for a namespace.
    pub fn new(namespace: impl Into<String>, data: PacketData) -> Self {
        Self { namespace: namespace.into(), data }
    }

    /// The refusal of a CONNECT. Always an object: clients lose the text of a plain string.
    pub fn connect_error(namespace: impl Into<String>, message: &str) -> Self {
        Self::new(namespace, PacketData::ConnectError(serde_json::json!({ "message": message })))
    }

    /// The acceptance of a CONNECT.
    pub fn connected(namespace: impl Into<String>, sid: &str) -> Self {
        let data = Map::from_iter([("sid".to_owned(), Value::from(sid))]);
        Self::new(namespace, PacketData::Connect(Some(data)))
    }

    /// The acceptance of a CONNECT that asked for recovery.
    pub fn recoverable(namespace: impl Into<String>, sid: &str, pid: &str) -> Self {
        let data = [("sid", sid), ("pid", pid)].map(|(name, value)| (name.to_owned(), Value::from(value)));
        Self::new(namespace, PacketData::Connect(Some(Map::from_iter(data))))
    }

    /// An event of the server with exactly one argument and no acknowledgement.
    pub fn event(namespace: impl Into<String>, name: &str, argument: Value) -> Self {
        Self::new(namespace, PacketData::Event { id: None, args: vec![name.into(), argument] })
    }

    /// Reads the content of a `4` frame by the rules of Node's decoder.
    ///
    /// # Errors
    /// Every [`DecodeError`] that speaks of packets.
    pub fn decode(text: &str) -> Result<Self, DecodeError> {
        let kind = text.chars().next().filter(|c| ('0'..='6').contains(c)).ok_or(DecodeError::UnknownPacketType)?;
        let (attachments, rest) = match kind {
            '5' | '6' => take_attachments(&text[1..])?,
            _ => (0, &text[1..]),
        };
        let (namespace, rest) = take_namespace(rest);
        let (id, json) = take_id(rest)?;
        let payload = Some(json).filter(|json| !json.is_empty());
        let data = match kind {
            '0' => PacketData::Connect(payload.map(parse).transpose()?),
            '1' if payload.is_none() => PacketData::Disconnect,
            '2' => PacketData::Event { id, args: event_args(payload)? },
            '3' => PacketData::Ack { id, args: ack_args(payload)? },
            '4' => PacketData::ConnectError(error_payload(payload)?),
            '5' => PacketData::BinaryEvent { attachments, id, args: event_args(payload)? },
            '6' => PacketData::BinaryAck { attachments, id, args: ack_args(payload)? },
            _ => return Err(DecodeError::InvalidPayload),
        };
        Ok(Self::new(namespace, data))
    }

    /// The content of a `4` frame.
    #[must_use]
    pub fn encode(&self) -> String {
        let (kind, attachments, id, json) = match &self.data {
            PacketData::Connect(auth) => ('0', None, None, auth.as_ref().map(to_json)),
            PacketData::Disconnect => ('1', None, None, None),
            PacketData::Event { id, args } => ('2', None, *id, Some(args).filter(|a| !a.is_empty()).map(to_json)),
            PacketData::Ack { id, args } => ('3', None, *id, Some(to_json(args))),
            PacketData::ConnectError(error) => ('4', None, None, Some(to_json(error))),
            PacketData::BinaryEvent { attachments, id, args } => {
                ('5', Some(*attachments), *id, Some(args).filter(|a| !a.is_empty()).map(to_json))
            }
            PacketData::BinaryAck { attachments, id, args } => ('6', Some(*attachments), *id, Some(to_json(args))),
        };
        let mut text = String::from(kind);
        // Writing to a String cannot fail.
        if let Some(attachments) = attachments {
            let _ = write!(text, "{attachments}-");
        }
        if self.namespace != "/" {
            let _ = write!(text, "{},", self.namespace);
        }
        if let Some(id) = id {
            let _ = write!(text, "{id}");
        }
        text.push_str(json.as_deref().unwrap_or_default());
        text
    }

    /// The whole WebSocket message: this packet in an Engine.IO message frame.
    #[must_use]
    pub fn to_frame(&self) -> String {
        super::Frame::Message(self.encode().into()).encode()
    }
}

fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::json!(value).to_string()
}

fn parse<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, DecodeError> {
    serde_json::from_str(json).map_err(|_| DecodeError::InvalidPayload)
}

/// `<count>-`, at least 1: `450-[…]` is illegal.
fn take_attachments(text: &str) -> Result<(u32, &str), DecodeError> {
    let (count, rest) = text.split_once('-').ok_or(DecodeError::IllegalAttachments)?;
    let digits = !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit());
    match count.parse() {
        Ok(count @ 1..=MAX_ATTACHMENTS) if digits => Ok((count, rest)),
        _ => Err(DecodeError::IllegalAttachments),
    }
}

/// `/name,`; without payload and id the comma may be missing.
fn take_namespace(text: &str) -> (&str, &str) {
    if text.starts_with('/') { text.split_once(',').unwrap_or((text, "")) } else { ("/", text) }
}

fn take_id(text: &str) -> Result<(Option<u64>, &str), DecodeError> {
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() {
        return Ok((None, rest));
    }
    let id = digits.parse().ok().filter(|id| *id <= MAX_ID).ok_or(DecodeError::IllegalId)?;
    Ok((Some(id), rest))
}

/// An array whose first element is a number, or a name that is not reserved.
fn event_args(payload: Option<&str>) -> Result<Vec<Value>, DecodeError> {
    let Some(json) = payload else { return Ok(vec![]) };
    let args: Vec<Value> = parse(json)?;
    match args.first() {
        Some(Value::Number(_)) => Ok(args),
        Some(Value::String(name)) if !RESERVED_EVENTS.contains(&name.as_str()) => Ok(args),
        _ => Err(DecodeError::InvalidPayload),
    }
}

fn ack_args(payload: Option<&str>) -> Result<Vec<Value>, DecodeError> {
    payload.map_or(Ok(vec![]), parse)
}

fn error_payload(payload: Option<&str>) -> Result<Value, DecodeError> {
    let value: Value = payload.map_or(Ok(Value::Object(Map::new())), parse)?;
    if value.is_string() || value.is_object() { Ok(value) } else { Err(DecodeError::InvalidPayload) }
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;
