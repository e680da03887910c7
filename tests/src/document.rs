//! The API's own document, and what it promises.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use fancy_regex::Regex;
use reqwest::{Client, Method, header::HeaderMap};
use serde_json::{Map, Value};

/// Headers of answers that a client does something about.
const ACTED_ON: [&str; 4] = ["idempotency-replayed", "link", "retry-after", "www-authenticate"];

/// `/api/openapi.json`.
#[derive(Debug)]
pub struct Document(Value);

impl Document {
    /// Reads it from beside the API at `base`, `…/api/v1`.
    pub async fn fetch(client: &Client, base: &str) -> Self {
        let url = base.replace("/api/v1", "/api/openapi.json");
        let answer = client.get(url).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        Self(answer.json().await.expect("JSON"))
    }

    /// A document that is there already, such as that of the events.
    pub(crate) fn of(document: Value) -> Self {
        Self(document)
    }

    /// The whole.
    pub fn json(&self) -> &Value {
        &self.0
    }

    /// Every path with its operations by method.
    pub fn paths(&self) -> impl Iterator<Item = (&str, &Map<String, Value>)> {
        let paths = self.0["paths"].as_object().expect("paths");
        paths.iter().map(|(path, item)| (path.as_str(), item.as_object().expect("operations")))
    }

    /// Every operation with method and path.
    pub fn operations(&self) -> impl Iterator<Item = (Method, &str, &Value)> {
        let method = |name: &str| name.to_uppercase().parse().expect("a method");
        self.paths().flat_map(move |(path, item)| item.iter().map(move |(name, what)| (method(name), path, what)))
    }

    /// Asserts that an answer is documented with the headers that clients act on, and its body valid by the schema, formats
    /// too; what is not a documented
    /// operation must be refused as such.
    #[track_caller]
    pub(crate) fn must_know(&self, method: &Method, path: &str, status: u16, headers: &HeaderMap, body: &Value) {
        let variables = |pattern: &str| pattern.matches('{').count();
        let matching = self.paths().filter(|(pattern, _)| matches(pattern, path));
        let expected = match matching.min_by_key(|(pattern, _)| variables(pattern)) {
            None => status == 404,
            Some((_, item)) => match item.get(&method.as_str().to_lowercase()) {
                None => status == 405,
                Some(operation) => match operation["responses"].get(status.to_string()) {
                    Some(answer) => {
                        for name in ACTED_ON.into_iter().filter(|name| headers.contains_key(*name)) {
                            let declared = answer["headers"][name].is_object();
                            assert!(declared, "{method} {path} {status} has {name}, which the document does not know");
                        }
                        self.must_allow(&answer["content"]["application/json"]["schema"], body);
                        true
                    }
                    None => false,
                },
            },
        };
        assert!(expected, "{method} {path} answered {status}, which the document does not know");
    }

    /// Asserts that a value is valid by one of its schemas.
    #[track_caller]
    pub(crate) fn must_allow(&self, schema: &Value, body: &Value) {
        let mut problems = Vec::new();
        self.compare(schema, body, "", &mut problems);
        assert!(problems.is_empty(), "{body} is not as the document has it: {problems:?}");
    }

    /// Notes what is wrong with a value, at its place. Only keywords this knows may be in a schema, and only properties the
    /// schema knows in an object.
    fn compare(&self, schema: &Value, value: &Value, place: &str, problems: &mut Vec<String>) {
        let mut says = |holds: bool, what: &str| {
            if !holds {
                problems.push(format!("{place}: {what} of {value}"));
            }
        };
        let fits = |part: &Value| {
            let mut found = Vec::new();
            self.compare(part, value, place, &mut found);
            found.is_empty()
        };
        let whole = self.whole(schema);
        for (keyword, wanted) in whole.iter().flat_map(|part| part.iter()) {
            match keyword.as_str() {
                "type" => {
                    let kinds = wanted.as_array().cloned().unwrap_or_else(|| vec![wanted.clone()]);
                    says(kinds.iter().any(|kind| is_of_type(value, kind.as_str().unwrap())), "the type");
                }
                "enum" => says(wanted.as_array().unwrap().contains(value), "the list of values"),
                "pattern" => {
                    let pattern = wanted.as_str().unwrap();
                    says(value.as_str().is_none_or(|text| is_like(text, pattern)), "the pattern");
                }
                "format" => says(is_of_format(value, wanted.as_str().unwrap()), "the format"),
                "oneOf" => says(wanted.as_array().unwrap().iter().filter(|part| fits(part)).count() == 1, "one of"),
                "minimum" => {
                    says(value.as_f64().is_none_or(|number| number >= wanted.as_f64().unwrap()), "the minimum");
                }
                "required" => {
                    for name in wanted.as_array().unwrap() {
                        says(value.get(name.as_str().unwrap()).is_some(), &format!("required {name}"));
                    }
                }
                "items" | "properties" | "$ref" | "allOf" => {}
                "description" | "example" | "examples" | "additionalProperties" => {}
                other => panic!("the keyword {other} is new here"),
            }
        }
        if let Some(values) = value.as_array() {
            let items = whole.iter().find_map(|schema| schema.get("items")).expect("items");
            values.iter().for_each(|value| self.compare(items, value, &format!("{place}[]"), problems));
        }
        if let Some(values) = value.as_object().filter(|_| !whole.iter().any(|schema| schema.contains_key("oneOf"))) {
            for (name, value) in values {
                let place = format!("{place}.{name}");
                match whole.iter().find_map(|schema| schema.get("properties")?.get(name)) {
                    Some(schema) => self.compare(schema, value, &place, problems),
                    None => problems.push(format!("{place} is not in the document")),
                }
            }
        }
    }

    /// A schema with all that it refers to and is put together from.
    fn whole<'a>(&'a self, schema: &'a Value) -> Vec<&'a Map<String, Value>> {
        let mut parts = vec![schema.as_object().expect("a schema")];
        if let Some(reference) = schema["$ref"].as_str() {
            parts.extend(self.whole(self.0.pointer(&reference[1..]).expect("what it refers to")));
        }
        parts.extend(schema["allOf"].as_array().into_iter().flatten().flat_map(|part| self.whole(part)));
        parts
    }
}

/// Whether a text is like a pattern of the document. Each pattern is compiled once: that takes some milliseconds in a debug
/// build, and frames are checked while others are timed.
fn is_like(text: &str, pattern: &str) -> bool {
    static PATTERNS: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);
    let mut patterns = PATTERNS.lock().unwrap_or_else(PoisonError::into_inner);
    let compiled = patterns.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).expect("a pattern"));
    compiled.is_match(text).expect("a match")
}

fn is_of_type(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the type {other} is new here"),
    }
}

/// Formats are of strings, and of numbers their width.
fn is_of_format(value: &Value, format: &str) -> bool {
    let Some(text) = value.as_str() else { return true };
    match format {
        "uuid" => text.parse::<uuid::Uuid>().is_ok() && text.len() == 36,
        "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
        "uri" => text.parse::<reqwest::Url>().is_ok(),
        "idn-email" => text.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty()),
        other => panic!("the format {other} is new here"),
    }
}

/// Whether a path is of this pattern.
fn matches(pattern: &str, path: &str) -> bool {
    let (patterns, parts) = (pattern.split('/'), path.split('/'));
    patterns.clone().count() == parts.clone().count()
        && patterns.zip(parts).all(|(pattern, part)| pattern == part || pattern.starts_with('{') && !part.is_empty())
}
