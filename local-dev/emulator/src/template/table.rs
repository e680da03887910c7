//! `AWS::DynamoDB::Table`: what CreateTable and UpdateTimeToLive need.
//!
//! Billing, encryption, backups, tags and deletion protection mean nothing on a laptop and are not read.

use serde::Deserialize;

use super::{TemplateError, resource::Resource};

/// The type name of this resource.
pub(super) const TYPE: &str = "AWS::DynamoDB::Table";

/// A declared table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The name of the table in the template.
    pub logical_id: String,
    /// Attribute name and type (`S`, `N` or `B`) of every key attribute.
    pub attributes: Vec<(String, String)>,
    /// The table's own key.
    pub key_schema: KeySchema,
    /// Global secondary indexes.
    pub indexes: Vec<Index>,
    /// What the stream shows of a change; `None` without a stream.
    pub view_type: Option<ViewType>,
    /// The attribute that holds the time of expiry.
    pub ttl_attribute: Option<String>,
}

/// Partition and sort key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySchema {
    /// `HASH`.
    pub partition: String,
    /// `RANGE`.
    pub sort: Option<String>,
}

/// A global secondary index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// The name of the index.
    pub name: String,
    /// The key of the index.
    pub key_schema: KeySchema,
    /// Which attributes the index holds.
    pub projection: Projection,
}

/// Which attributes an index holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Projection {
    /// All attributes.
    All,
    /// Only the keys.
    KeysOnly,
    /// The keys and these.
    Include(Vec<String>),
}

/// What a stream record shows of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ViewType {
    /// Only the keys of the item.
    KeysOnly,
    /// The item as it is now.
    NewImage,
    /// The item as it was.
    OldImage,
    /// The item as it was and as it is now.
    NewAndOldImages,
}

impl ViewType {
    /// The view type as the DynamoDB API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeysOnly => "KEYS_ONLY",
            Self::NewImage => "NEW_IMAGE",
            Self::OldImage => "OLD_IMAGE",
            Self::NewAndOldImages => "NEW_AND_OLD_IMAGES",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    attribute_definitions: Vec<AttributeDefinition>,
    key_schema: Vec<KeyElement>,
    #[serde(default)]
    global_secondary_indexes: Vec<IndexProperties>,
    #[serde(default)]
    local_secondary_indexes: Vec<serde_json::Value>,
    stream_specification: Option<StreamSpecification>,
    time_to_live_specification: Option<TimeToLiveSpecification>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AttributeDefinition {
    attribute_name: String,
    attribute_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyElement {
    attribute_name: String,
    key_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IndexProperties {
    index_name: String,
    key_schema: Vec<KeyElement>,
    projection: ProjectionProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ProjectionProperties {
    projection_type: String,
    #[serde(default)]
    non_key_attributes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StreamSpecification {
    stream_view_type: ViewType,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TimeToLiveSpecification {
    attribute_name: Option<String>,
    enabled: bool,
}

impl Table {
    pub(super) fn read(resource: &Resource<'_>) -> Result<Self, TemplateError> {
        let properties: Properties = resource.properties()?;
        if !properties.local_secondary_indexes.is_empty() {
            return Err(resource.error("LocalSecondaryIndexes", "is not imitated here; use a global secondary index"));
        }
        let indexes = properties.global_secondary_indexes.into_iter().map(|index| {
            let place = format!("GlobalSecondaryIndexes.{}", index.index_name);
            Ok(Index {
                key_schema: key_schema(resource, &place, index.key_schema)?,
                projection: projection(resource, &place, index.projection)?,
                name: index.index_name,
            })
        });
        Ok(Self {
            logical_id: resource.logical_id.to_owned(),
            indexes: indexes.collect::<Result<_, _>>()?,
            key_schema: key_schema(resource, "KeySchema", properties.key_schema)?,
            attributes: properties
                .attribute_definitions
                .into_iter()
                .map(|attribute| (attribute.attribute_name, attribute.attribute_type))
                .collect(),
            view_type: properties.stream_specification.map(|stream| stream.stream_view_type),
            ttl_attribute: properties
                .time_to_live_specification
                .filter(|ttl| ttl.enabled)
                .and_then(|ttl| ttl.attribute_name),
        })
    }
}

fn key_schema(resource: &Resource<'_>, place: &str, elements: Vec<KeyElement>) -> Result<KeySchema, TemplateError> {
    let mut partition = None;
    let mut sort = None;
    for element in elements {
        match element.key_type.as_str() {
            "HASH" => partition = Some(element.attribute_name),
            "RANGE" => sort = Some(element.attribute_name),
            other => return Err(resource.error(place, format!("KeyType `{other}`: write HASH or RANGE"))),
        }
    }
    let partition = partition.ok_or_else(|| resource.error(place, "has no HASH key; add one"))?;
    Ok(KeySchema { partition, sort })
}

fn projection(
    resource: &Resource<'_>,
    place: &str,
    properties: ProjectionProperties,
) -> Result<Projection, TemplateError> {
    match properties.projection_type.as_str() {
        "ALL" => Ok(Projection::All),
        "KEYS_ONLY" => Ok(Projection::KeysOnly),
        "INCLUDE" => Ok(Projection::Include(properties.non_key_attributes)),
        other => Err(resource.error(place, format!("ProjectionType `{other}`: write ALL, KEYS_ONLY or INCLUDE"))),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Template, *};

    #[test]
    fn an_index_is_read_with_its_key_and_projection() {
        let text = "
Resources:
  T:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{ AttributeName: pk, AttributeType: S }, { AttributeName: at, AttributeType: S }]
      KeySchema: [{ AttributeName: pk, KeyType: HASH }]
      GlobalSecondaryIndexes:
        - IndexName: byTime
          KeySchema: [{ AttributeName: pk, KeyType: HASH }, { AttributeName: at, KeyType: RANGE }]
          Projection: { ProjectionType: ALL }
";
        let table = Template::parse(text).unwrap().tables()[0].clone();
        assert_eq!((table.indexes[0].name.as_str(), &table.indexes[0].projection), ("byTime", &Projection::All));
        assert_eq!(table.indexes[0].key_schema, KeySchema { partition: "pk".into(), sort: Some("at".into()) });
        assert!(table.attributes.contains(&("at".into(), "S".into())));
    }

    #[test]
    fn a_wrong_property_is_named_with_its_resource() {
        let text = "
Resources:
  T:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{ AttributeName: pk, AttributeType: S }]
      KeySchema: [{ AttributeName: pk, KeyType: RANGE }]
      StreamSpecification: { StreamViewType: ALL }
";
        let message = Template::parse(text).unwrap_err().to_string();
        assert!(message.contains("`T`") && message.contains("StreamSpecification.StreamViewType"), "{message}");
        let message = Template::parse(&text.replace("ALL", "KEYS_ONLY")).unwrap_err().to_string();
        assert!(message.contains("no HASH key"), "{message}");
    }
}
