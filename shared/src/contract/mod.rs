//! The contract of the `/users` namespace for other programs, made of the types that are sent and received: TypeScript for
//! the official client, a JSON Schema for each payload, and AsyncAPI 3.0. REST has its own document, of the function `api`.

mod asyncapi;
mod schemas;
mod typescript;

pub use schemas::Schemas;

use serde_json::{Map, Value, json};

use crate::events::{
    AuthPayload, ConnectRefused, EVENTS,
    auth_renew::{AuthRenew, AuthRenewAnswer},
};

/// Everything that is said on the namespace, and the schemas of it.
pub struct Contract {
    schemas: Schemas,
    /// What the client hears.
    pub heard: Vec<Heard>,
    /// Name of the schema of what the client joins with.
    pub join: String,
    /// Name of the schema of a refusal to join.
    pub refused: String,
    /// Name of the schema of what `auth.renew` is emitted with.
    pub renew: String,
    /// Name of the schema of what `auth.renew` is acknowledged with.
    pub renewed: String,
}

/// An event and the name of the schema of its argument.
pub struct Heard {
    /// The event's name.
    pub name: &'static str,
    /// Whose sockets hear the event, for people.
    pub heard_by: &'static str,
    /// After what the event is heard, for people.
    pub when: &'static str,
    /// Name of the schema.
    pub payload: String,
    /// Whether sockets that asked for recovery are told an offset with it.
    pub has_offset: bool,
}

impl Contract {
    /// The contract of what is built in here.
    #[must_use]
    pub fn new() -> Self {
        let mut schemas = Schemas::default();
        let heard = EVENTS.iter().map(|event| Heard {
            name: event.name,
            heard_by: event.heard_by,
            when: event.when,
            payload: (event.payload)(&mut schemas),
            has_offset: event.has_offset,
        });
        let heard = heard.collect();
        let join = schemas.add::<AuthPayload>();
        let refused = schemas.add::<ConnectRefused>();
        let renew = schemas.add::<AuthRenew>();
        let renewed = schemas.add::<AuthRenewAnswer>();
        Self { schemas, heard, join, refused, renew, renewed }
    }

    /// AsyncAPI 3.0.
    #[must_use]
    pub fn asyncapi(&self) -> Value {
        asyncapi::document(self)
    }

    /// Types for the official client: `Socket<ServerToClientEvents, ClientToServerEvents>`.
    #[must_use]
    pub fn typescript(&self) -> String {
        typescript::module(self)
    }

    /// The schemas by name, which refer to each other as components of a document.
    pub fn schemas(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.schemas.iter()
    }

    /// A JSON Schema for every payload, complete in itself, by name.
    #[must_use]
    pub fn json_schemas(&self) -> Vec<(String, Value)> {
        let events = self.heard.iter().map(|event| &event.payload);
        let mut names: Vec<_> = events.chain([&self.join, &self.refused, &self.renew, &self.renewed]).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(|name| (name.clone(), self.json_schema(name))).collect()
    }

    fn json_schema(&self, name: &str) -> Value {
        let parts: Map<_, _> = self.schemas.needed_by(name);
        let mut schema = Map::from_iter([
            ("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema")),
            ("title".to_owned(), json!(name)),
        ]);
        schema.extend(self.schemas.get(name).as_object().cloned().unwrap_or_default());
        if !parts.is_empty() {
            schema.insert("$defs".to_owned(), Value::Object(parts));
        }
        schemas::moved(Value::Object(schema), "#/$defs/")
    }
}

impl Default for Contract {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_in_every_form_of_the_contract() {
        let contract = Contract::new();
        let (asyncapi, typescript) = (contract.asyncapi(), contract.typescript());
        for name in EVENTS.iter().map(|event| event.name).chain([crate::events::auth_renew::NAME]) {
            assert!(asyncapi["channels"]["users"]["messages"][name].is_object(), "{name}");
            assert!(asyncapi["components"]["messages"][name]["payload"]["$ref"].is_string(), "{name}");
            assert!(typescript.contains(&format!("\"{name}\": (")), "{name}: {typescript}");
        }
    }

    #[test]
    fn the_events_of_a_log_have_a_second_argument_and_others_have_none() {
        let contract = Contract::new();
        let (asyncapi, typescript) = (contract.asyncapi(), contract.typescript());
        for event in EVENTS {
            let message = &asyncapi["components"]["messages"][event.name];
            assert_eq!(message["x-second-argument"].is_object(), event.has_offset, "{}", event.name);
            let line = typescript.lines().find(|line| line.contains(&format!("\"{}\": (", event.name))).unwrap();
            assert_eq!(line.contains(", offset?: string) => void;"), event.has_offset, "{line}");
        }
        assert_eq!(EVENTS.iter().filter(|event| event.has_offset).count(), 3);
    }

    #[test]
    fn a_schema_is_complete_in_itself() {
        for (name, schema) in Contract::new().json_schemas() {
            let mut found = Vec::new();
            schemas::references(&schema, &mut found);
            for reference in found {
                assert!(schema.pointer(&reference[1..]).is_some(), "{name}: {reference}");
            }
        }
    }

    #[test]
    fn an_answer_that_is_one_of_two_can_be_told_apart_by_its_type() {
        let typescript = Contract::new().typescript();
        assert!(typescript.contains("export type AuthRenewAnswer = AuthRenewed | AuthRenewRefused;"), "{typescript}");
        for line in ["  ok: true;", "  ok: false;", "export type Refusal = \"UNAUTHENTICATED\" | \"ACCOUNT_BANNED\";"] {
            assert!(typescript.contains(line), "{line}: {typescript}");
        }
    }

    #[test]
    fn what_may_be_null_and_what_may_be_left_out_are_two_things() {
        let typescript = Contract::new().typescript();
        assert!(typescript.contains("  photoUrl: string | null;"), "{typescript}");
        assert!(typescript.contains("  token?: string | null;"), "{typescript}");
    }
}
