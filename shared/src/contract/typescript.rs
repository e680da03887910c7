//! The contract as a TypeScript module.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{Contract, schemas::COMPONENTS};
use crate::{connections::NAMESPACE, events::auth_renew};

/// The module, types alone but for the name of the namespace.
pub(super) fn module(contract: &Contract) -> String {
    let mut text = format!(
        "// The events of Moien Realtime, generated from the types of the service by\n\
         // `cargo run -p local-dev -- contract --out <folder>`. Not to be edited.\n\n\
         /** The namespace all events are emitted on: `io(url + NAMESPACE)`. */\n\
         export const NAMESPACE = \"{NAMESPACE}\";\n\n\
         /**\n \
          * What a client hears, as the first type of the official client's `Socket`. Sockets that asked for recovery are told\n \
          * an offset as well, which the client keeps by itself.\n \
          */\n\
         export interface ServerToClientEvents {{\n"
    );
    for event in &contract.heard {
        let about = format!("{} {}", event.when, event.heard_by);
        let (about, name, payload) = (comment(&about, "  "), event.name, &event.payload);
        let offset = if event.has_offset { ", offset?: string" } else { "" };
        let _ = writeln!(text, "{about}  \"{name}\": (payload: {payload}{offset}) => void;");
    }
    let _ = writeln!(
        text,
        "}}\n\n/** What a client emits, as the second type of the official client's `Socket`. */\n\
         export interface ClientToServerEvents {{\n{}  \"{}\": (payload: {}, acknowledge: (answer: {}) => void) => void;\n}}",
        comment("Keeps the socket beyond the end of its token.", "  "),
        auth_renew::NAME,
        contract.renew,
        contract.renewed,
    );
    for (name, schema) in contract.schemas() {
        text += &declaration(name, schema);
    }
    text
}

fn declaration(name: &str, schema: &Value) -> String {
    let about = described(schema, "");
    match schema["properties"].as_object() {
        Some(properties) => format!("\n{about}export interface {name} {{\n{}}}\n", members(schema, properties)),
        None => format!("\n{about}export type {name} = {};\n", type_of(schema)),
    }
}

fn members(schema: &Value, properties: &Map<String, Value>) -> String {
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let member = |(name, property): (&String, &Value)| {
        let optional = if required.contains(&name.as_str()) { "" } else { "?" };
        format!("{}  {name}{optional}: {};\n", described(property, "  "), type_of(property))
    };
    properties.iter().map(member).collect()
}

/// The type of what a schema allows, as far as types go.
fn type_of(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.trim_start_matches(COMPONENTS).to_owned();
    }
    if let Some(values) = schema["enum"].as_array() {
        return union(values.iter().map(ToString::to_string));
    }
    for (keyword, joint) in [("oneOf", " | "), ("anyOf", " | "), ("allOf", " & ")] {
        if let Some(parts) = schema[keyword].as_array() {
            return parts.iter().map(type_of).collect::<Vec<_>>().join(joint);
        }
    }
    match &schema["type"] {
        Value::Array(kinds) => union(kinds.iter().map(|kind| of_kind(kind, schema))),
        kind => of_kind(kind, schema),
    }
}

fn of_kind(kind: &Value, schema: &Value) -> String {
    match kind.as_str() {
        Some("array") => format!("Array<{}>", type_of(&schema["items"])),
        Some("number" | "integer") => "number".to_owned(),
        Some(name @ ("string" | "boolean" | "null")) => name.to_owned(),
        _ => "unknown".to_owned(),
    }
}

fn union(types: impl Iterator<Item = String>) -> String {
    types.collect::<Vec<_>>().join(" | ")
}

fn described(schema: &Value, indent: &str) -> String {
    schema["description"].as_str().map(|about| comment(about, indent)).unwrap_or_default()
}

fn comment(about: &str, indent: &str) -> String {
    let words = about.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{indent}/** {} */\n", words.replace("*/", "*\\/"))
}
