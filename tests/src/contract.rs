//! The contract of the events, and what it promises of every frame that is seen.

use std::sync::LazyLock;

use serde_json::Value;
use shared::{
    contract::Contract,
    protocol::{Packet, PacketData},
};

use crate::Document;

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document::of(Contract::new().asyncapi()));

/// What `auth.renew` is acknowledged with; no other event is.
const ACKNOWLEDGEMENT: &str = "auth.renew.acknowledged";

/// Asserts that what the service says on its namespace is promised: the name of an event, its arguments, why a CONNECT
/// is refused, and what a renewal is answered. What is no packet of a namespace is none of the contract's business.
#[track_caller]
pub(crate) fn must_know(frame: &str) {
    let Some(Ok(packet)) = frame.strip_prefix('4').map(Packet::decode) else { return };
    match (packet.namespace.as_str(), packet.data) {
        ("/users", PacketData::Event { args, .. }) => match args.as_slice() {
            [Value::String(name), payload] => must_be(name, payload),
            [Value::String(name), payload, offset] => {
                must_be(name, payload);
                let known = &DOCUMENT.json()["components"]["messages"][name]["x-second-argument"];
                assert!(known.is_object(), "{name} has one argument: {frame}");
                DOCUMENT.must_allow(known, offset);
            }
            _ => panic!("an event has a name and one argument: {frame}"),
        },
        ("/users", PacketData::Ack { args, .. }) => args.iter().for_each(|answer| must_be(ACKNOWLEDGEMENT, answer)),
        (_, PacketData::ConnectError(why)) => must_be("CONNECT_ERROR", &why),
        _ => {}
    }
}

#[track_caller]
fn must_be(message: &str, payload: &Value) {
    let known = &DOCUMENT.json()["components"]["messages"][message];
    assert!(known.is_object(), "the contract knows no {message}: {payload}");
    DOCUMENT.must_allow(&known["payload"], payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_contract_promises_passes() {
        must_know(r#"42/users,["users.deleted",{"id":"0b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10"}]"#);
        must_know(r#"44/users,{"message":"ACCOUNT_BANNED"}"#);
        must_know(r#"43/users,1[{"ok":true,"expiresAt":"2025-02-09T18:23:27.396Z"}]"#);
        must_know("2");
    }

    #[test]
    #[should_panic(expected = "account.banned has one argument")]
    fn an_offset_where_none_is_promised_is_found() {
        must_know(
            r#"42/users,["account.banned",{"kind":"banned","message":"","at":"2025-02-09T18:23:27.396Z"},"1739125407396"]"#,
        );
    }

    #[test]
    #[should_panic(expected = "the contract knows no users.gone")]
    fn an_event_of_another_name_is_no_promise() {
        must_know(r#"42/users,["users.gone",{}]"#);
    }

    #[test]
    #[should_panic(expected = ".reason is not in the document")]
    fn a_field_that_is_not_promised_is_found() {
        must_know(r#"42/users,["users.deleted",{"id":"0b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10","reason":"fraud"}]"#);
    }

    #[test]
    #[should_panic(expected = "required")]
    fn a_field_that_is_missing_is_found() {
        must_know(r#"42/users,["users.deleted",{}]"#);
    }

    #[test]
    #[should_panic(expected = "the list of values")]
    fn a_refusal_in_other_words_is_found() {
        must_know(r#"44/users,{"message":"FORBIDDEN"}"#);
    }
}
