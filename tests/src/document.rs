//! The API's own document, and what it promises.

use reqwest::{Client, Method};
use serde_json::{Map, Value};

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

    /// Asserts that an answer is documented; what is not a documented operation must be refused as such.
    #[track_caller]
    pub(crate) fn must_know(&self, method: &Method, path: &str, status: u16) {
        let variables = |pattern: &str| pattern.matches('{').count();
        let matching = self.paths().filter(|(pattern, _)| matches(pattern, path));
        let expected = match matching.min_by_key(|(pattern, _)| variables(pattern)) {
            None => status == 404,
            Some((_, item)) => match item.get(&method.as_str().to_lowercase()) {
                None => status == 405,
                Some(operation) => operation["responses"].get(status.to_string()).is_some(),
            },
        };
        assert!(expected, "{method} {path} answered {status}, which the document does not know");
    }
}

/// Whether a path is of this pattern.
fn matches(pattern: &str, path: &str) -> bool {
    let (patterns, parts) = (pattern.split('/'), path.split('/'));
    patterns.clone().count() == parts.clone().count()
        && patterns.zip(parts).all(|(pattern, part)| pattern == part || pattern.starts_with('{') && !part.is_empty())
}
