//! What a CONNECT says of the socket that is to be recovered.

use serde_json::{Map, Value};

/// What a socket says that wants to recover; the client library adds both by itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The `pid` of the answer it was given before.
    pub pid: Option<&'a str>,
    /// The last argument of the last event it has heard.
    pub offset: Option<&'a str>,
}

impl<'a> Asked<'a> {
    /// Reads the `auth` data of a CONNECT. What is no text counts as absent: some clients say `null` for an offset they do
    /// not have.
    #[must_use]
    pub fn read(auth: &'a Map<String, Value>) -> Self {
        let text = |name: &str| auth.get(name).and_then(Value::as_str);
        Self { pid: text("pid"), offset: text("offset") }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_text_counts_as_absent() {
        let auth = |auth: Value| auth.as_object().cloned().unwrap();
        for auth in [auth(json!({})), auth(json!({"pid": {}, "offset": null})), auth(json!({"pid": true, "offset": 7}))]
        {
            assert_eq!(Asked::read(&auth), Asked { pid: None, offset: None }, "{auth:?}");
        }
        let auth = auth(json!({"pid": "p", "offset": "o", "token": "t"}));
        assert_eq!(Asked::read(&auth), Asked { pid: Some("p"), offset: Some("o") });
    }
}
