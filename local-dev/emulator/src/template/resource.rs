//! One entry of `Resources`, before it is known what it is.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::TemplateError;

/// A declared resource.
#[derive(Debug)]
pub(super) struct Resource<'a> {
    /// The name of the resource in the template.
    pub(super) logical_id: &'a str,
    /// E.g. `AWS::DynamoDB::Table`.
    pub(super) type_name: &'a str,
    pub(super) properties: &'a Value,
}

impl Resource<'_> {
    /// The properties as `T`; an error names the path inside them.
    pub(super) fn properties<T: DeserializeOwned>(&self) -> Result<T, TemplateError> {
        self.typed(self.properties, "")
    }

    /// A part of the properties as `T`; `place` is where the part is.
    pub(super) fn typed<T: DeserializeOwned>(&self, value: &Value, place: &str) -> Result<T, TemplateError> {
        // A resource without `Properties` has none, which is not the same as a wrong type.
        let empty = Value::Object(serde_json::Map::new());
        let value = if value.is_null() { &empty } else { value };
        serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            let property = match (place, path.as_str()) {
                ("", path) => path.to_owned(),
                (place, ".") => place.to_owned(),
                (place, path) => format!("{place}.{path}"),
            };
            TemplateError::property(self.logical_id, property, error.into_inner().to_string())
        })
    }

    /// Refuses what the part has beside these keys: it would do something on AWS and nothing here.
    pub(super) fn only(&self, value: &Value, place: &str, known: &[&str]) -> Result<(), TemplateError> {
        let unknown = value.as_object().and_then(|map| map.keys().find(|key| !known.contains(&key.as_str())));
        let Some(key) = unknown else { return Ok(()) };
        let property = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
        Err(self.error(property, format!("is not imitated here; remove it (known are: {})", known.join(", "))))
    }

    /// An error about one property.
    pub(super) fn error(&self, property: impl Into<String>, problem: impl Into<String>) -> TemplateError {
        TemplateError::property(self.logical_id, property, problem)
    }
}

/// All resources, in the order of the template.
pub(super) fn resources(root: &Value) -> Result<Vec<Resource<'_>>, TemplateError> {
    let section = root.get("Resources").and_then(Value::as_object).ok_or(TemplateError::MissingSection("Resources"))?;
    section
        .iter()
        .map(|(logical_id, body)| {
            let type_name = body
                .get("Type")
                .and_then(Value::as_str)
                .ok_or_else(|| TemplateError::property(logical_id, "Type", "is missing; write the resource type"))?;
            let properties = body.get("Properties").unwrap_or(&Value::Null);
            Ok(Resource { logical_id, type_name, properties })
        })
        .collect()
}

/// Reads every resource of one type.
pub(super) fn of_type<T>(
    resources: &[Resource<'_>],
    type_name: &str,
    read: impl Fn(&Resource<'_>) -> Result<T, TemplateError>,
) -> Result<Vec<T>, TemplateError> {
    resources.iter().filter(|resource| resource.type_name == type_name).map(read).collect()
}

/// `X` of `{"Ref": X}`.
pub(super) fn referenced(value: &Value) -> Option<&str> {
    value.get("Ref")?.as_str()
}

/// `X` of `{"Fn::GetAtt": [X, attribute]}`.
pub(super) fn attribute_of<'a>(value: &'a Value, attribute: &str) -> Option<&'a str> {
    match value.get("Fn::GetAtt")?.as_array()?.as_slice() {
        [name, found] if found.as_str() == Some(attribute) => name.as_str(),
        _ => None,
    }
}
