//! What makes an existing table another one than the template declares.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{KeySchemaElement, KeyType, TableDescription};

use crate::template::{KeySchema, Projection, Table};

/// One sentence for every difference that matters to the functions.
pub(super) fn differences(declared: &Table, found: &TableDescription) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, declared: String, found: String| {
        if declared != found {
            differences.push(format!("{what}: the template has {declared}, the table has {found}"));
        }
    };
    compare("KeySchema", declared_keys(&declared.key_schema), found_keys(found.key_schema()));
    compare(
        "AttributeDefinitions",
        list(declared.attributes.iter().map(|(name, kind)| format!("{name} {kind}"))),
        list(
            found
                .attribute_definitions()
                .iter()
                .map(|attribute| format!("{} {}", attribute.attribute_name(), attribute.attribute_type().as_str())),
        ),
    );
    compare(
        "GlobalSecondaryIndexes",
        list(declared.indexes.iter().map(|index| {
            format!("{} {} {}", index.name, declared_keys(&index.key_schema), declared_projection(&index.projection))
        })),
        list(found.global_secondary_indexes().iter().map(|index| {
            let projection = index.projection();
            let kind =
                projection.and_then(|projection| projection.projection_type()).map_or("ALL", |kind| kind.as_str());
            let attributes = projection.map(|projection| projection.non_key_attributes()).unwrap_or_default();
            let name = index.index_name().unwrap_or_default();
            format!("{name} {} {}", found_keys(index.key_schema()), projected(kind, attributes))
        })),
    );
    let stream = found.stream_specification().filter(|stream| stream.stream_enabled());
    compare(
        "StreamSpecification",
        declared.view_type.map_or("none", |view| view.as_str()).to_owned(),
        stream.and_then(|stream| stream.stream_view_type()).map_or("none", |view| view.as_str()).to_owned(),
    );
    differences
}

fn declared_keys(schema: &KeySchema) -> String {
    keys(&schema.partition, schema.sort.as_deref())
}

fn found_keys(schema: &[KeySchemaElement]) -> String {
    let of = |kind: KeyType| schema.iter().find(|element| *element.key_type() == kind).map(|key| key.attribute_name());
    keys(of(KeyType::Hash).unwrap_or("no partition key"), of(KeyType::Range))
}

fn keys(partition: &str, sort: Option<&str>) -> String {
    match sort {
        Some(sort) => format!("({partition}, {sort})"),
        None => format!("({partition})"),
    }
}

fn declared_projection(projection: &Projection) -> String {
    match projection {
        Projection::All => projected("ALL", &[]),
        Projection::KeysOnly => projected("KEYS_ONLY", &[]),
        Projection::Include(attributes) => projected("INCLUDE", attributes),
    }
}

fn projected(kind: &str, attributes: &[String]) -> String {
    let attributes: BTreeSet<_> = attributes.iter().map(String::as_str).collect();
    match attributes.len() {
        0 => kind.to_owned(),
        _ => format!("{kind} {attributes:?}"),
    }
}

/// Sorted, because DynamoDB gives them in any order.
fn list(items: impl Iterator<Item = String>) -> String {
    let items: BTreeSet<_> = items.collect();
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(", "))
}
