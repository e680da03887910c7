//! The document as one plain page, without a script and without another host.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use shared::contract::Contract;

use super::events;

/// Longest list of allowed values that is written out.
const MANY: usize = 12;

/// The whole page.
pub(super) fn render(document: &Value, contract: &Contract) -> String {
    let mut contents = String::new();
    let mut sections = String::new();
    for (path, item) in entries(&document["paths"]) {
        for (method, operation) in entries(item) {
            let (id, method) = (text(&operation["operationId"]), method.to_uppercase());
            let title = format!("<span class=\"method\">{method}</span> <code>{}</code>", escape(path));
            let _ = write!(contents, "<li><a href=\"#{0}\">{title}</a></li>", escape(id));
            let _ = write!(sections, "<h2 id=\"{0}\">{title}</h2>{1}", escape(id), section(operation));
        }
    }
    let of_rest = entries(&document["components"]["schemas"]).map(|(name, schema)| (name.as_str(), schema));
    let schemas: String = of_rest
        .chain(events::schemas(contract, document))
        .map(|(name, schema)| format!("<h3 id=\"schema-{0}\">{0}</h3>{1}", escape(name), fields(schema)))
        .collect();
    let title = escape(text(&document["info"]["title"]));
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><link rel=\"stylesheet\" href=\"docs.css\">\
         </head><body><main><h1>{title} {version}</h1><p>{about}</p><p>For programs: <a href=\"openapi.json\">openapi.json</a>.</p>\
         <nav><ul>{contents}<li><a href=\"#events\">Events</a></li></ul></nav>{sections}{told}<h2 id=\"schemas\">Schemas</h2>{schemas}</main></body></html>",
        told = events::section(contract, schema_link),
        version = escape(text(&document["info"]["version"])),
        about = prose(text(&document["info"]["description"])),
    )
}

/// The section of one operation.
fn section(operation: &Value) -> String {
    let who = if operation["security"].as_array().is_some_and(|schemes| !schemes.is_empty()) {
        "Needs an access token."
    } else {
        "Needs no token."
    };
    let mut html = format!("<p>{}</p>", prose(text(&operation["summary"])));
    let about = text(&operation["description"]);
    if !about.is_empty() {
        let _ = write!(html, "<p>{}</p>", prose(about));
    }
    let _ = write!(html, "<p class=\"who\">{who}</p>");
    let parameters: String = operation["parameters"].as_array().into_iter().flatten().map(parameter).collect();
    if !parameters.is_empty() {
        let _ = write!(html, "<h3>Parameters</h3><table>{parameters}</table>");
    }
    for (kind, content) in entries(&operation["requestBody"]["content"]) {
        let _ = write!(html, "<h3>Body</h3><p><code>{}</code>: {}</p>", escape(kind), kind_of(&content["schema"]));
    }
    let answers: String = entries(&operation["responses"]).map(|(status, answer)| answer_row(status, answer)).collect();
    let _ = write!(html, "<h3>Answers</h3><table>{answers}</table>");
    html
}

fn parameter(parameter: &Value) -> String {
    format!(
        "<tr><td><code>{}</code></td><td>{}, {}</td><td>{}</td></tr>",
        escape(text(&parameter["name"])),
        escape(text(&parameter["in"])),
        kind_of(&parameter["schema"]),
        prose(text(&parameter["description"])),
    )
}

fn answer_row(status: &str, answer: &Value) -> String {
    let body: String = entries(&answer["content"]).map(|(_, content)| kind_of(&content["schema"])).collect();
    format!(
        "<tr><td><code>{}</code></td><td>{}</td><td>{body}</td></tr>",
        escape(status),
        prose(text(&answer["description"]))
    )
}

/// A schema's fields as a table; what an `allOf` puts together, one after the other.
fn fields(schema: &Value) -> String {
    if let Some(parts) = schema["allOf"].as_array() {
        return parts.iter().map(|part| if part["$ref"].is_string() { kind_of(part) } else { fields(part) }).collect();
    }
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().map(text).collect();
    let row = |(name, field): (&String, &Value)| {
        format!(
            "<tr><td><code>{}</code>{}</td><td>{}</td><td>{}</td></tr>",
            escape(name),
            if required.contains(&name.as_str()) { "" } else { " (optional)" },
            kind_of(field),
            prose(text(&field["description"])),
        )
    };
    let rows: String = entries(&schema["properties"]).map(row).collect();
    if rows.is_empty() { format!("<p>{}</p>", kind_of(schema)) } else { format!("<table>{rows}</table>") }
}

/// A type in few words, with a link to where it is described.
fn kind_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        return schema_link(name);
    }
    for together in ["oneOf", "allOf", "anyOf"] {
        if let Some(parts) = schema[together].as_array() {
            let joint = if together == "allOf" { " and " } else { " or " };
            return parts.iter().map(kind_of).collect::<Vec<_>>().join(joint);
        }
    }
    if schema["items"].is_object() {
        return format!("array of {}", kind_of(&schema["items"]));
    }
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(text).collect::<Vec<_>>().join(" or "),
        kind => text(kind).to_owned(),
    };
    let mut words = vec![escape(&kinds)];
    for key in ["format", "minLength", "maxLength", "minimum", "maximum", "default", "pattern"] {
        match &schema[key] {
            Value::Null => {}
            value => words.push(format!("{key} <code>{}</code>", escape(&plain(value)))),
        }
    }
    if let Some(values) = schema["enum"].as_array() {
        let listed: Vec<_> = values.iter().take(MANY).map(|value| escape(&plain(value))).collect();
        words.push(format!("<code>{}{}</code>", listed.join(" "), if values.len() > MANY { " …" } else { "" }));
    }
    words.join(", ")
}

fn schema_link(name: &str) -> String {
    format!("<a href=\"#schema-{0}\">{0}</a>", escape(name))
}

fn entries(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flat_map(Map::iter)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Text in which backquotes mean code.
pub(super) fn prose(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.map(|(n, part)| if n % 2 == 0 { escape(part) } else { format!("<code>{}</code>", escape(part)) }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_of_the_document_cannot_become_markup() {
        let document = json!({
            "info": {"title": "<script>alert(1)</script>", "version": "1", "description": "a `<b>` \"c\""},
            "paths": {"/<i>": {"get": {"operationId": "\"><i>", "responses": {"200": {"description": "<u>"}}}}},
        });
        let page = render(&document, &Contract::new());
        for markup in ["<script", "<b>", "<i>", "<u>", "\"\"><"] {
            assert!(!page.contains(markup), "{markup}: {page}");
        }
        assert!(page.contains("<code>&lt;b&gt;</code>"), "{page}");
    }
}
