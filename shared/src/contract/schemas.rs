//! Schemas of types, with those of the types in them.

use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// How schemas refer to each other in documents.
pub(super) const COMPONENTS: &str = "#/components/schemas/";

/// Schemas by name, in the order they were added.
#[derive(Default)]
pub struct Schemas(Map<String, Value>);

impl Schemas {
    /// Adds that of a type and of all that is in it; its name.
    pub fn add<T: ToSchema>(&mut self) -> String {
        let mut parts = Vec::new();
        T::schemas(&mut parts);
        let name = T::name().into_owned();
        parts.insert(0, (name.clone(), T::schema()));
        for (name, schema) in parts {
            self.0.entry(name).or_insert_with(|| json!(schema));
        }
        name
    }

    /// All schemas, with their names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, schema)| (name.as_str(), schema))
    }

    /// The schema of this name, or null.
    pub(super) fn get(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or(&Value::Null)
    }

    /// The schemas that one schema refers to, and those that they refer to in turn.
    pub(super) fn needed_by(&self, name: &str) -> Map<String, Value> {
        let mut needed = Map::new();
        let mut open = vec![self.get(name)];
        while let Some(schema) = open.pop() {
            let mut found = Vec::new();
            references(schema, &mut found);
            for name in found.iter().filter_map(|reference| reference.strip_prefix(COMPONENTS)) {
                if needed.insert(name.to_owned(), self.get(name).clone()).is_none() {
                    open.push(self.get(name));
                }
            }
        }
        needed
    }
}

/// Every `$ref` in a schema.
pub(super) fn references<'a>(schema: &'a Value, found: &mut Vec<&'a str>) {
    match schema {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str));
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// A schema that refers to others at another place.
pub(super) fn moved(schema: Value, to: &str) -> Value {
    match schema {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(key, value)| match (key.as_str(), value) {
                    ("$ref", Value::String(reference)) => (key, json!(reference.replace(COMPONENTS, to))),
                    (_, value) => (key, moved(value, to)),
                })
                .collect(),
        ),
        Value::Array(values) => values.into_iter().map(|value| moved(value, to)).collect(),
        plain => plain,
    }
}
