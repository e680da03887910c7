//! A packet taken apart, so that two readings of it can be compared.

use serde_json::Value;
use shared::protocol::{Packet, PacketData};

/// Everything but the namespace.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) kind: usize,
    pub(super) attachments: u32,
    pub(super) id: Option<u64>,
    pub(super) payload: Option<Value>,
}

impl Parts {
    pub(super) fn of(packet: &Packet) -> Self {
        let (kind, attachments, id, payload) = match packet.data.clone() {
            PacketData::Connect(auth) => (0, 0, None, auth.map(Value::Object)),
            PacketData::Disconnect => (1, 0, None, None),
            PacketData::Event { id, args } => (2, 0, id, Some(args.into())),
            PacketData::Ack { id, args } => (3, 0, id, Some(args.into())),
            PacketData::ConnectError(error) => (4, 0, None, Some(error)),
            PacketData::BinaryEvent { attachments, id, args } => (5, attachments, id, Some(args.into())),
            PacketData::BinaryAck { attachments, id, args } => (6, attachments, id, Some(args.into())),
        };
        Self { kind, attachments, id, payload }
    }

    /// Equal up to the last digits of floating point numbers.
    pub(super) fn are_those_of(&self, other: &Self) -> bool {
        let payloads = match (&self.payload, &other.payload) {
            (Some(ours), Some(theirs)) => alike(ours, theirs),
            (ours, theirs) => ours == theirs,
        };
        payloads && (self.kind, self.attachments, self.id) == (other.kind, other.attachments, other.id)
    }
}

/// Without its feature `float_roundtrip`, `serde_json` reads some long decimals a unit in the last place off, so writing
/// and reading such a number again may change its last digit.
fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| alike(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let found = |(key, one)| other.get(key).is_some_and(|other| alike(one, other));
            one.len() == other.len() && one.iter().all(found)
        }
        (Value::Number(one), Value::Number(other)) if one.is_f64() && other.is_f64() => {
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            one == other || one.to_bits().abs_diff(other.to_bits()) <= 4
        }
        _ => one == other,
    }
}
