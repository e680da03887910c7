//! What the events of both APIs have in common.

use std::collections::HashMap;

use axum::http::{HeaderValue, Uri};
use base64::{Engine as _, prelude::BASE64_URL_SAFE};
use jiff::{Timestamp, Zoned};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// The account everything here belongs to.
pub(crate) const ACCOUNT: &str = "000000000000";

/// The id of both APIs.
pub(crate) const API_ID: &str = "localdev00";

/// An event as JSON. The typed structs write `null` where AWS writes nothing.
pub(crate) fn to_json<T: Serialize>(event: &T) -> Value {
    let mut json = serde_json::to_value(event).unwrap_or_default();
    prune(&mut json);
    json
}

fn prune(json: &mut Value) {
    if let Value::Object(map) = json {
        map.retain(|_, value| {
            prune(value);
            !value.is_null() && value.as_object().is_none_or(|map| !map.is_empty())
        });
    }
}

/// A header's value as text, which is all that an event can have: what is no UTF-8 in it is shown as such.
pub(crate) fn shown(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// Looks like `QQFxqEa9FiAFRqg=`: 15 URL-safe characters and a padding, so that code that forgets to encode it fails here.
pub(crate) fn request_id() -> String {
    let random = *Uuid::new_v4().as_bytes();
    // 11 bytes make 15 characters and one `=`.
    BASE64_URL_SAFE.encode(&random[..11])
}

/// `09/Feb/2025:18:23:27 +0000`.
pub(crate) fn request_time(at: &Zoned) -> String {
    at.strftime("%d/%b/%Y:%H:%M:%S %z").to_string()
}

/// `2025-02-09T18:23:27.396Z`.
pub(crate) fn iso_millis(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// Query parameters, decoded. Repeated keys are all kept.
pub(crate) fn query(uri: &Uri) -> HashMap<String, Vec<String>> {
    let mut query = HashMap::<String, Vec<String>>::new();
    for (key, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        query.entry(key.into_owned()).or_default().push(value.into_owned());
    }
    query
}

/// Sets `queryStringParameters`, one text per key; the typed structs write a list. Absent without a query.
pub(crate) fn set_query(event: &mut Value, uri: &Uri, one: impl Fn(&[String]) -> String) {
    let query: serde_json::Map<_, _> =
        query(uri).into_iter().map(|(key, values)| (key, Value::from(one(&values)))).collect();
    if !query.is_empty() {
        event["queryStringParameters"] = query.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_look_like_those_of_api_gateway() {
        let id = request_id();
        assert!(id.len() == 16 && id.ends_with('='), "{id}");
    }

    #[test]
    fn times_look_like_those_of_api_gateway() {
        let at = "2025-02-09T18:23:27Z".parse::<jiff::Timestamp>().unwrap().to_zoned(jiff::tz::TimeZone::UTC);
        assert_eq!(request_time(&at), "09/Feb/2025:18:23:27 +0000");
    }

    #[test]
    fn what_is_not_there_is_absent_not_null() {
        let json = to_json(&serde_json::json!({"a": null, "b": {"c": null}, "d": [null], "e": ""}));
        assert_eq!(json, serde_json::json!({"d": [null], "e": ""}));
    }
}
