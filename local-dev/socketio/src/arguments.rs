//! Arguments of events, however many, as socketioxide takes and gives them.

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{SeqAccess, Visitor},
    ser::SerializeTuple as _,
};
use serde_json::Value;

/// Arguments of an event; socketioxide spreads what serializes as a tuple.
pub(super) struct Arguments<'a>(pub(super) &'a [Value]);

impl Serialize for Arguments<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for argument in self.0 {
            tuple.serialize_element(argument)?;
        }
        tuple.end()
    }
}

/// The arguments of a client's event, however many; what deserializes as a tuple is given all of them.
pub(super) struct Heard(pub(super) Vec<Value>);

impl<'de> Deserialize<'de> for Heard {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Heard;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the arguments of an event")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut arguments: A) -> Result<Heard, A::Error> {
                let mut all = Vec::new();
                while let Some(argument) = arguments.next_element()? {
                    all.push(argument);
                }
                Ok(Heard(all))
            }
        }
        deserializer.deserialize_tuple(1, All)
    }
}
