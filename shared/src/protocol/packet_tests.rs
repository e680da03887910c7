//! The packet codec against Node's documented behaviour, against itself and against socketioxide's published parser.

use proptest::prelude::*;
use serde_json::json;
use socketioxide_core::Value as OracleValue;
use socketioxide_core::packet::{Packet as OraclePacket, PacketData as OracleData};
use socketioxide_core::parser::{Parse, ParseConfig, ParseError, ParserState};
use socketioxide_parser_common::CommonParser;

use super::*;

/// What socketioxide reads from the same text: namespace, type digit, id, payload as JSON.
fn oracle(text: &str) -> Result<(String, usize, Option<i64>, Option<Value>), ParseError> {
    let packet = CommonParser.decode_str(&ParseConfig::default(), &ParserState::default(), text.to_owned().into())?;
    let kind = packet.inner.index();
    let json = |value: OracleValue| match value {
        OracleValue::Str(text, _) => serde_json::from_str(&text).ok(),
        OracleValue::Bytes(_) => None,
    };
    let (id, payload) = match packet.inner {
        OracleData::Connect(auth) => (None, auth.and_then(json)),
        OracleData::Disconnect => (None, None),
        OracleData::Event(value, id) | OracleData::BinaryEvent(value, id) => (id, json(value)),
        OracleData::EventAck(value, id) | OracleData::BinaryAck(value, id) => (Some(id), json(value)),
        OracleData::ConnectError(message) => (None, Some(message.into())),
    };
    Ok((packet.ns.to_string(), kind, id, payload))
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("\\PC{0,6}", inner, 0..4).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

fn any_args() -> impl Strategy<Value = Vec<Value>> {
    ("[a-z.]{1,12}", prop::collection::vec(any_json(), 0..3))
        .prop_filter("reserved", |(name, _)| !RESERVED_EVENTS.contains(&name.as_str()))
        .prop_map(|(name, rest)| std::iter::once(name.into()).chain(rest).collect())
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let id = || prop::option::of(0..=MAX_ID);
    let object = || prop::collection::hash_map("[a-z]{1,6}", any_json(), 0..4).prop_map(Map::from_iter);
    let data = prop_oneof![
        prop::option::of(object()).prop_map(PacketData::Connect),
        Just(PacketData::Disconnect),
        (id(), any_args()).prop_map(|(id, args)| PacketData::Event { id, args }),
        (id(), prop::collection::vec(any_json(), 0..4)).prop_map(|(id, args)| PacketData::Ack { id, args }),
        object().prop_map(|error| PacketData::ConnectError(error.into())),
        (1..=MAX_ATTACHMENTS, id(), any_args()).prop_map(|(attachments, id, args)| PacketData::BinaryEvent {
            attachments,
            id,
            args
        }),
        (1..=MAX_ATTACHMENTS, id(), prop::collection::vec(any_json(), 0..4))
            .prop_map(|(attachments, id, args)| PacketData::BinaryAck { attachments, id, args }),
    ];
    (prop_oneof![Just("/".to_owned()), "/[a-z][a-z/?=&-]{0,10}"], data).prop_map(|(ns, data)| Packet::new(ns, data))
}

proptest! {
    #[test]
    fn a_packet_survives_encoding(packet in any_packet()) {
        let text = packet.encode();
        prop_assert_eq!(Packet::decode(&text).unwrap(), packet, "{}", text);
    }

    #[test]
    fn no_text_makes_the_decoder_panic(text in "\\PC*") {
        let _ = Packet::decode(&text);
    }

    #[test]
    fn near_misses_do_not_make_the_decoder_panic(text in "[0-7]{1,2}-?(/[a-z]*,?)?[0-9]{0,20}[\\[{]?\"?[a-z]*\"?[\\]}]?") {
        let _ = Packet::decode(&text);
    }

    /// socketioxide does not look into payloads and is stricter about nothing we send, so whatever we encode it reads the same.
    #[test]
    fn socketioxide_reads_what_we_write(packet in any_packet()) {
        let text = packet.encode();
        match (&packet.data, oracle(&text)) {
            // It never expects these two from a client.
            (PacketData::ConnectError(_) | PacketData::Ack { id: None, .. } | PacketData::BinaryAck { id: None, .. }, _) => {}
            // It waits for the attachments.
            (PacketData::BinaryEvent { .. } | PacketData::BinaryAck { .. }, Err(ParseError::NeedsMoreBinaryData)) => {}
            (_, Err(error)) => prop_assert!(false, "{text}: {error:?}"),
            (data, Ok((namespace, kind, id, payload))) => {
                prop_assert_eq!(namespace, packet.namespace.clone());
                let (our_kind, our_id, our_payload) = match data {
                    PacketData::Connect(auth) => (0, None, auth.clone().map(Value::Object)),
                    PacketData::Disconnect => (1, None, None),
                    PacketData::Event { id, args } => (2, *id, Some(Value::from(args.clone()))),
                    PacketData::Ack { id, args } => (3, *id, Some(Value::from(args.clone()))),
                    _ => return Ok(()),
                };
                prop_assert_eq!(kind, our_kind);
                prop_assert_eq!(id, our_id.map(u64::cast_signed));
                prop_assert_eq!(payload, our_payload);
            }
        }
    }

    #[test]
    fn we_read_what_socketioxide_writes(name in "[a-z.]{1,12}", argument in any_json()) {
        prop_assume!(!RESERVED_EVENTS.contains(&name.as_str()));
        let value = CommonParser.encode_value(&(argument.clone(),), Some(&name)).unwrap();
        let OracleValue::Str(text, _) = CommonParser.encode(OraclePacket::event("/users", value)) else { panic!("text") };
        prop_assert_eq!(Packet::decode(&text).unwrap(), Packet::event("/users", &name, argument));
    }
}

#[test]
fn the_wire_examples_of_the_node_server_are_read() {
    let event = |id, args: Value| PacketData::Event { id, args: args.as_array().unwrap().clone() };
    for (text, namespace, data) in [
        ("0", "/", PacketData::Connect(None)),
        (r#"0{"token":"x"}"#, "/", PacketData::Connect(json!({"token": "x"}).as_object().cloned())),
        (r#"0/users,{"token":"x"}"#, "/users", PacketData::Connect(json!({"token": "x"}).as_object().cloned())),
        ("0/users", "/users", PacketData::Connect(None)),
        ("0/users?a=b,", "/users?a=b", PacketData::Connect(None)),
        ("1/users,", "/users", PacketData::Disconnect),
        (r#"2["msg",{"a":1}]"#, "/", event(None, json!(["msg", {"a": 1}]))),
        (r#"213["msg","x"]"#, "/", event(Some(13), json!(["msg", "x"]))),
        (r#"2/users,["msg"]"#, "/users", event(None, json!(["msg"]))),
        ("2", "/", PacketData::Event { id: None, args: vec![] }),
        ("3/users,13[]", "/users", PacketData::Ack { id: Some(13), args: vec![] }),
        (r#"4/ns,{"message":"m","data":{}}"#, "/ns", PacketData::ConnectError(json!({"message": "m", "data": {}}))),
        (
            r#"51-["up",{"_placeholder":true,"num":0}]"#,
            "/",
            PacketData::BinaryEvent {
                attachments: 1,
                id: None,
                args: vec!["up".into(), json!({"_placeholder": true, "num": 0})],
            },
        ),
        (
            r#"61-5[{"_placeholder":true,"num":0}]"#,
            "/",
            PacketData::BinaryAck { attachments: 1, id: Some(5), args: vec![json!({"_placeholder": true, "num": 0})] },
        ),
    ] {
        assert_eq!(Packet::decode(text), Ok(Packet::new(namespace, data)), "{text}");
    }
}

#[test]
fn what_the_node_server_refuses_is_refused() {
    for text in ["", "7", "x", "-"] {
        assert_eq!(Packet::decode(text), Err(DecodeError::UnknownPacketType), "{text}");
    }
    for text in [
        "2{}",
        "2[]",
        "2[null]",
        r#"2["connect"]"#,
        r#"2["newListener"]"#,
        "2[\"a\"",
        "0[]",
        "0\"x\"",
        "1{}",
        "3{}",
        "4[]",
        "4 ",
        r#"20["a"]x"#,
    ] {
        assert_eq!(Packet::decode(text), Err(DecodeError::InvalidPayload), "{text}");
    }
    for text in ["50-[\"a\"]", "5[\"a\"]", "5-[\"a\"]", "511-[\"a\"]", "5x-[\"a\"]", "5+1-[\"a\"]"] {
        assert_eq!(Packet::decode(text), Err(DecodeError::IllegalAttachments), "{text}");
    }
    assert_eq!(Packet::decode(r#"29007199254740992["a"]"#), Err(DecodeError::IllegalId));
    assert_eq!(Packet::decode(&"4".repeat(1999)), Err(DecodeError::IllegalId));
}

#[test]
fn an_event_without_a_name_survives_encoding() {
    for text in ["2", "51-", "51-7"] {
        let packet = Packet::decode(text).unwrap();
        assert_eq!(Packet::decode(&packet.encode()), Ok(packet), "{text}");
    }
}

#[test]
fn answers_have_the_bytes_of_the_node_server() {
    assert_eq!(Packet::connected("/users", "abc").to_frame(), r#"40/users,{"sid":"abc"}"#);
    assert_eq!(Packet::connected("/", "abc").to_frame(), r#"40{"sid":"abc"}"#);
    assert_eq!(
        Packet::connect_error("/nope", "Invalid namespace").to_frame(),
        r#"44/nope,{"message":"Invalid namespace"}"#
    );
    assert_eq!(Packet::new("/users", PacketData::Disconnect).to_frame(), "41/users,");
    assert_eq!(Packet::new("/users", PacketData::Ack { id: Some(7), args: vec![] }).to_frame(), "43/users,7[]");
}
