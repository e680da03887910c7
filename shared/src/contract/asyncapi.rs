//! The contract as an AsyncAPI 3.0 document.

use serde_json::{Map, Value, json};

use super::Contract;
use crate::{connections::NAMESPACE, events::auth_renew, recovery::Offset};

/// The message that joins the namespace, and that which refuses it. They are packets of Socket.IO and no events.
const CONNECT: &str = "CONNECT";
const CONNECT_ERROR: &str = "CONNECT_ERROR";

/// What `auth.renew` is acknowledged with.
const RENEWED: &str = "auth.renew.acknowledged";

/// The whole document.
pub(super) fn document(contract: &Contract) -> Value {
    let messages = messages(contract);
    let on_channel: Map<_, _> = messages.keys().map(|name| (name.clone(), component("messages", name))).collect();
    let schemas: Map<_, _> = contract.schemas().map(|(name, schema)| (name.to_owned(), schema.clone())).collect();
    json!({
        "asyncapi": "3.0.0",
        "id": "urn:moien:realtime",
        "info": {
            "title": "Moien Realtime",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What happens to users, as Socket.IO events of the namespace `/users`. Every event has exactly one \
                            argument, the payload; on sockets that asked for recovery those of the feed have a second \
                            one, the offset. Delivery is at least once, in the order of commits for each user. The \
                            token travels in the CONNECT packet, never in a URL.",
            "contact": { "name": "Moien Delivery" },
            "license": { "name": env!("CARGO_PKG_LICENSE") },
            "tags": [{ "name": "users", "description": "Accounts, as the feed hears of them." },
                     { "name": "account", "description": "The account of a socket's own user." }],
        },
        "defaultContentType": "application/json",
        "servers": servers(),
        "channels": { "users": {
            "address": NAMESPACE,
            "title": "The namespace",
            "description": "A namespace of Socket.IO 5 over Engine.IO 4, by the transport `websocket`.",
            "messages": on_channel,
        }},
        "operations": operations(contract),
        "components": { "messages": messages, "schemas": schemas },
    })
}

/// The servers of the document: the convenient entrance, and the one that is API Gateway.
fn servers() -> Value {
    json!({
        "socketio": {
            "host": "localhost:3000",
            "pathname": "/socket.io/",
            "protocol": "ws",
            "title": "socketioxide",
            "description": "On a laptop: `io(\"http://localhost:3000/users\", { transports: [\"websocket\"] })`. Polling works, too.",
        },
        "gateway": {
            "host": "localhost:3000",
            "pathname": "/dev",
            "protocol": "ws",
            "title": "API Gateway on a laptop",
            "description": "As on AWS, frame for frame: `path: \"/dev\", addTrailingSlash: false, transports: [\"websocket\"]`.",
        },
        "aws": {
            "host": "{api}.execute-api.{region}.amazonaws.com",
            "pathname": "/{stage}",
            "protocol": "wss",
            "title": "API Gateway",
            "description": "A deployed stack; the stage is the client's `path`.",
            "variables": {
                "api": { "description": "Id of the WebSocket API.", "examples": ["a1b2c3d4e5"] },
                "region": { "description": "Region of the stack.", "default": "eu-central-1" },
                "stage": { "description": "Stage of the WebSocket API.", "default": "dev" },
            },
        },
    })
}

fn messages(contract: &Contract) -> Map<String, Value> {
    let mut messages = Map::new();
    let mut add = |name: &str, summary: &str, payload: &str| {
        let message =
            json!({ "name": name, "title": name, "summary": summary, "payload": component("schemas", payload) });
        messages.insert(name.to_owned(), message);
    };
    for event in &contract.heard {
        add(event.name, event.when, &event.payload);
    }
    add(CONNECT, "Joins the namespace: the client's option `auth`.", &contract.join);
    add(CONNECT_ERROR, "The namespace was not joined, finally: `connect_error` of the client.", &contract.refused);
    add(auth_renew::NAME, "Keeps the socket beyond the end of its token.", &contract.renew);
    add(RENEWED, "Until when the socket may stay, or why not longer.", &contract.renewed);
    let with_offset = contract.heard.iter().filter(|event| event.has_offset);
    for event in with_offset {
        messages[event.name]["x-second-argument"] = json!({
            "type": "string",
            "pattern": Offset::PATTERN,
            "description": "The offset. Only on sockets that asked for recovery.",
        });
    }
    messages
}

fn operations(contract: &Contract) -> Value {
    let channel = json!({ "$ref": "#/channels/users" });
    let on_channel = |name: &str| json!({ "$ref": format!("#/channels/users/messages/{name}") });
    let told = contract.heard.iter().map(|event| {
        let tag = event.name.split('.').next().unwrap_or_default();
        let operation = json!({
            "action": "send",
            "channel": channel,
            "title": event.name,
            "summary": event.when,
            "description": event.heard_by,
            "tags": [{ "name": tag }],
            "messages": [on_channel(event.name)],
        });
        (event.name.to_owned(), operation)
    });
    let asked = |name: &str, summary: &str, answer: &str| {
        let operation = json!({
            "action": "receive",
            "channel": channel,
            "title": name,
            "summary": summary,
            "messages": [on_channel(name)],
            "reply": { "channel": channel, "messages": [on_channel(answer)] },
        });
        (name.to_owned(), operation)
    };
    let operations: Map<_, _> = told
        .chain([
            asked(CONNECT, "Joins the namespace; answered with CONNECT_ERROR only if it is refused.", CONNECT_ERROR),
            asked(auth_renew::NAME, "Keeps the socket beyond the end of its token.", RENEWED),
        ])
        .collect();
    Value::Object(operations)
}

fn component(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}
