//! YAML to JSON, with CloudFormation's short tags in their long form: `!GetAtt A.B` is `{"Fn::GetAtt": ["A", "B"]}`.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value};

use super::TemplateError;

/// Reads the first document of `text`.
///
/// # Errors
/// [`TemplateError`] for what is no YAML.
pub fn load(text: &str) -> Result<Value, TemplateError> {
    let documents = Yaml::load_from_str(text).map_err(|error| TemplateError::Yaml(error.to_string()))?;
    let document = documents.first().ok_or_else(|| TemplateError::Yaml("it is empty".to_owned()))?;
    json(document)
}

fn json(node: &Yaml<'_>) -> Result<Value, TemplateError> {
    Ok(match node {
        Yaml::Value(scalar) => scalar_json(scalar),
        Yaml::Sequence(items) => Value::Array(items.iter().map(json).collect::<Result<_, _>>()?),
        Yaml::Mapping(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                object.insert(key_text(key)?, json(value)?);
            }
            Value::Object(object)
        }
        // `!!str 5` and its like belong to YAML itself; the value already has its type.
        Yaml::Tagged(tag, inner) if tag.is_yaml_core_schema() => json(inner)?,
        Yaml::Tagged(tag, inner) => expand(&tag.suffix, json(inner)?),
        Yaml::Representation(text, ..) => Value::String(text.clone().into_owned()),
        Yaml::Alias(_) | Yaml::BadValue => {
            return Err(TemplateError::Yaml("a value could not be read; aliases are not supported".to_owned()));
        }
    })
}

fn scalar_json(scalar: &Scalar<'_>) -> Value {
    match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(value) => Value::Bool(*value),
        Scalar::Integer(value) => Value::from(*value),
        Scalar::FloatingPoint(value) => Value::from(value.into_inner()),
        Scalar::String(value) => Value::String(value.clone().into_owned()),
    }
}

fn key_text(key: &Yaml<'_>) -> Result<String, TemplateError> {
    match json(key)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(value) => Ok(value.to_string()),
        other => Err(TemplateError::Yaml(format!("`{other}` cannot be a key; use a string"))),
    }
}

/// The long form of one short tag. A tag nobody knows stays visible and fails when it is resolved.
fn expand(tag: &str, argument: Value) -> Value {
    let (name, argument) = match (tag, argument) {
        ("Ref" | "Condition", argument) => (tag.to_owned(), argument),
        ("GetAtt", Value::String(text)) => {
            let parts = text.splitn(2, '.').map(|part| Value::String(part.to_owned())).collect();
            ("Fn::GetAtt".to_owned(), Value::Array(parts))
        }
        (_, argument) => (format!("Fn::{tag}"), argument),
    };
    Value::Object(Map::from_iter([(name, argument)]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn short_tags_become_their_long_form() {
        let text = r#"
ref: !Ref X
attribute: !GetAtt A.B
nested: !GetAtt A.B.C
sub: !Sub "${A}-b"
join: !Join [",", !Ref List]
flow: { FunctionArn: !GetAtt F.Arn }
"#;
        assert_eq!(
            load(text).unwrap(),
            json!({
                "ref": { "Ref": "X" },
                "attribute": { "Fn::GetAtt": ["A", "B"] },
                "nested": { "Fn::GetAtt": ["A", "B.C"] },
                "sub": { "Fn::Sub": "${A}-b" },
                "join": { "Fn::Join": [",", { "Ref": "List" }] },
                "flow": { "FunctionArn": { "Fn::GetAtt": ["F", "Arn"] } },
            })
        );
    }

    #[test]
    fn dollar_keys_and_quoted_numbers_stay_strings() {
        let value = load("$default: \\$default\nversion: \"2.0\"\nsize: 256\n").unwrap();
        assert_eq!(value, json!({ "$default": "\\$default", "version": "2.0", "size": 256 }));
    }

    #[test]
    fn broken_yaml_is_an_error() {
        assert!(matches!(load("a: [1"), Err(TemplateError::Yaml(_))));
    }
}
