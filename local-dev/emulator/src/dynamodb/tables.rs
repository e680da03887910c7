//! The template's tables, created where they are missing.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, ProjectionType,
    ScalarAttributeType, StreamSpecification, StreamViewType, TableDescription, TableStatus, TimeToLiveSpecification,
};
use futures::future::try_join_all;

use super::{Database, DatabaseError, difference};
use crate::template::{Index, KeySchema, Projection, Table};

const ACTIVE_WITHIN: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A table that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LiveTable {
    /// Physical name: what `!Ref` gives.
    pub(crate) name: String,
    /// What `!GetAtt Table.Arn` gives.
    pub(crate) arn: String,
    /// What `!GetAtt Table.StreamArn` gives, if it has a stream.
    pub(crate) stream_arn: Option<String>,
    /// Name of the partition key.
    pub(crate) partition_key: String,
}

/// The physical name of a table in a stack.
fn physical_name(stack: &str, logical_id: &str) -> String {
    format!("{stack}-{logical_id}")
}

impl Database {
    /// Creates the tables that are absent, checks the others, and gives them by logical id.
    pub(crate) async fn create_tables(
        &self,
        stack: &str,
        tables: &[Table],
    ) -> Result<BTreeMap<String, LiveTable>, DatabaseError> {
        let created = try_join_all(tables.iter().map(|table| self.ensure(stack, table))).await?;
        Ok(tables.iter().map(|table| table.logical_id.clone()).zip(created).collect())
    }

    /// Deletes the stack's tables, for tests that share a DynamoDB Local.
    pub(crate) async fn drop_tables(&self, stack: &str, tables: &[Table]) -> Result<(), DatabaseError> {
        let names = tables.iter().map(|table| physical_name(stack, &table.logical_id));
        try_join_all(names.map(|name| self.drop_table(name))).await?;
        Ok(())
    }

    /// Deletes one table; one that is not there is fine.
    pub(crate) async fn drop_table(&self, name: String) -> Result<(), DatabaseError> {
        match self.client.delete_table().table_name(&name).send().await.map_err(aws_sdk_dynamodb::Error::from) {
            Ok(_) | Err(aws_sdk_dynamodb::Error::ResourceNotFoundException(_)) => Ok(()),
            Err(error) => Err(request("DeleteTable", &name)(error)),
        }
    }

    async fn ensure(&self, stack: &str, table: &Table) -> Result<LiveTable, DatabaseError> {
        let name = physical_name(stack, &table.logical_id);
        let existing = self.describe(&name).await?;
        let is_new = existing.is_none();
        let description = match existing {
            Some(description) => self.active(&name, description).await?,
            None => {
                self.create(&name, table).await?;
                let description = self.describe(&name).await?.unwrap_or_else(|| creating(&name));
                self.active(&name, description).await?
            }
        };
        let differences = difference::differences(table, &description);
        if !differences.is_empty() {
            return Err(DatabaseError::Differs { table: name, differences });
        }
        self.ensure_expiry(&name, table, is_new).await?;
        Ok(LiveTable {
            arn: description.table_arn.unwrap_or_default(),
            stream_arn: description.latest_stream_arn.filter(|_| table.view_type.is_some()),
            partition_key: table.key_schema.partition.clone(),
            name,
        })
    }

    pub(super) async fn describe(&self, name: &str) -> Result<Option<TableDescription>, DatabaseError> {
        match self.client.describe_table().table_name(name).send().await.map_err(aws_sdk_dynamodb::Error::from) {
            Ok(answer) => Ok(answer.table),
            Err(aws_sdk_dynamodb::Error::ResourceNotFoundException(_)) => Ok(None),
            Err(error) => Err(request("DescribeTable", name)(error)),
        }
    }

    /// Waits until the table and its indexes can be used.
    async fn active(&self, name: &str, first: TableDescription) -> Result<TableDescription, DatabaseError> {
        let waiting = async {
            let mut description = first;
            let mut pause = FIRST_PAUSE;
            while !is_active(&description) {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                description = self.describe(name).await?.unwrap_or_else(|| creating(name));
            }
            Ok(description)
        };
        tokio::time::timeout(ACTIVE_WITHIN, waiting)
            .await
            .unwrap_or_else(|_| Err(DatabaseError::NotActive(name.to_owned(), ACTIVE_WITHIN)))
    }

    async fn create(&self, name: &str, table: &Table) -> Result<(), DatabaseError> {
        let attributes = table.attributes.iter().map(|(attribute, kind)| {
            AttributeDefinition::builder()
                .attribute_name(attribute)
                .attribute_type(ScalarAttributeType::from(kind.as_str()))
                .build()
        });
        let indexes = table.indexes.iter().map(index).collect::<Result<Vec<_>, _>>();
        let parts = attributes
            .collect::<Result<Vec<_>, _>>()
            .and_then(|attributes| Ok((attributes, key_schema(&table.key_schema)?, indexes?, stream(table)?)));
        let (attributes, keys, indexes, stream) =
            parts.map_err(|error| request("CreateTable", name)(aws_sdk_dynamodb::Error::from(error)))?;
        let created = self
            .client
            .create_table()
            .table_name(name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_attribute_definitions(Some(attributes))
            .set_key_schema(Some(keys))
            .set_global_secondary_indexes(Some(indexes).filter(|indexes| !indexes.is_empty()))
            .set_stream_specification(stream)
            .send()
            .await
            .map_err(aws_sdk_dynamodb::Error::from);
        match created {
            // Another process was quicker; the comparison that follows decides whether its table will do.
            Ok(_) | Err(aws_sdk_dynamodb::Error::ResourceInUseException(_)) => Ok(()),
            Err(error) => Err(request("CreateTable", name)(error)),
        }
    }

    async fn ensure_expiry(&self, name: &str, table: &Table, is_new: bool) -> Result<(), DatabaseError> {
        let Some(attribute) = &table.ttl_attribute else { return Ok(()) };
        if !is_new {
            let answer = self.client.describe_time_to_live().table_name(name).send().await;
            let answer = answer.map_err(|error| request("DescribeTimeToLive", name)(error.into()))?;
            let found = answer.time_to_live_description.and_then(|ttl| ttl.attribute_name);
            match found {
                Some(found) if found == *attribute => return Ok(()),
                Some(found) => {
                    let difference = format!("TimeToLiveSpecification names `{attribute}`, the table has `{found}`");
                    return Err(DatabaseError::Differs { table: name.to_owned(), differences: vec![difference] });
                }
                None => {}
            }
        }
        let specification = TimeToLiveSpecification::builder().attribute_name(attribute).enabled(true).build();
        let failed = request("UpdateTimeToLive", name);
        let update = self.client.update_time_to_live().table_name(name);
        match specification {
            Ok(specification) => {
                update.time_to_live_specification(specification).send().await.map_err(|error| failed(error.into()))?;
                Ok(())
            }
            Err(error) => Err(failed(error.into())),
        }
    }
}

fn request(action: &'static str, table: &str) -> impl Fn(aws_sdk_dynamodb::Error) -> DatabaseError {
    move |source| DatabaseError::Request { action, table: table.to_owned(), source: Box::new(source) }
}

/// Stands in for a table that was created but cannot be described yet.
fn creating(name: &str) -> TableDescription {
    TableDescription::builder().table_name(name).table_status(TableStatus::Creating).build()
}

fn is_active(description: &TableDescription) -> bool {
    description.table_status == Some(TableStatus::Active)
        && description
            .global_secondary_indexes()
            .iter()
            .all(|index| index.index_status.as_ref().is_none_or(|status| status.as_str() == "ACTIVE"))
}

type Built<T> = Result<T, aws_sdk_dynamodb::error::BuildError>;

fn key_schema(schema: &KeySchema) -> Built<Vec<KeySchemaElement>> {
    let element = |name: &String, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let sort = schema.sort.iter().map(|name| element(name, KeyType::Range));
    std::iter::once(element(&schema.partition, KeyType::Hash)).chain(sort).collect()
}

fn index(index: &Index) -> Built<GlobalSecondaryIndex> {
    let projection = aws_sdk_dynamodb::types::Projection::builder();
    let projection = match &index.projection {
        Projection::All => projection.projection_type(ProjectionType::All),
        Projection::KeysOnly => projection.projection_type(ProjectionType::KeysOnly),
        Projection::Include(attributes) => {
            projection.projection_type(ProjectionType::Include).set_non_key_attributes(Some(attributes.clone()))
        }
    };
    GlobalSecondaryIndex::builder()
        .index_name(&index.name)
        .set_key_schema(Some(key_schema(&index.key_schema)?))
        .projection(projection.build())
        .build()
}

fn stream(table: &Table) -> Built<Option<StreamSpecification>> {
    let specification = |view: crate::template::ViewType| {
        StreamSpecification::builder()
            .stream_enabled(true)
            .stream_view_type(StreamViewType::from(view.as_str()))
            .build()
    };
    table.view_type.map(specification).transpose()
}

#[cfg(test)]
mod tests {
    use super::super::Access;
    use super::*;
    use crate::template::Template;

    fn template() -> Template {
        let text = "
Resources:
  UsersTable:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{ AttributeName: pk, AttributeType: S }, { AttributeName: sk, AttributeType: S }]
      KeySchema: [{ AttributeName: pk, KeyType: HASH }, { AttributeName: sk, KeyType: RANGE }]
      StreamSpecification: { StreamViewType: NEW_AND_OLD_IMAGES }
      TimeToLiveSpecification: { AttributeName: expiresAt, Enabled: true }
";
        Template::parse(text).unwrap()
    }

    #[tokio::test]
    async fn the_templates_tables_are_created_with_stream_and_expiry() {
        let database = Database::embedded(None, &Access::local("eu-central-1")).await.unwrap();
        let tables = database.create_tables("stack", template().tables()).await.unwrap();
        let users = &tables["UsersTable"];
        assert_eq!((users.name.as_str(), users.partition_key.as_str()), ("stack-UsersTable", "pk"));
        assert!(users.stream_arn.is_some());
        let ttl = database.client().describe_time_to_live().table_name(&users.name).send().await.unwrap();
        assert_eq!(ttl.time_to_live_description.unwrap().attribute_name.as_deref(), Some("expiresAt"));
    }

    #[tokio::test]
    async fn existing_tables_are_kept_as_they_are() {
        let database = Database::embedded(None, &Access::local("eu-central-1")).await.unwrap();
        let first = database.create_tables("stack", template().tables()).await.unwrap();
        let second = database.create_tables("stack", template().tables()).await.unwrap();
        assert_eq!(first, second);
    }

    #[tokio::test]
    async fn a_table_that_differs_is_an_error_that_says_how() {
        let database = Database::embedded(None, &Access::local("eu-central-1")).await.unwrap();
        let with = |index: &str| {
            let text = format!(
                "
Resources:
  T:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{{ AttributeName: pk, AttributeType: S }}]
      KeySchema: [{{ AttributeName: pk, KeyType: HASH }}]
      GlobalSecondaryIndexes:
        - IndexName: {index}
          KeySchema: [{{ AttributeName: pk, KeyType: HASH }}]
          Projection: {{ ProjectionType: ALL }}
"
            );
            Template::parse(&text).unwrap()
        };
        database.create_tables("stack", with("byTime").tables()).await.unwrap();
        let message = database.create_tables("stack", with("byName").tables()).await.unwrap_err().to_string();
        for part in ["stack-T", "byName", "byTime", "--data-dir"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[tokio::test]
    async fn dropped_tables_can_be_created_again() {
        let database = Database::embedded(None, &Access::local("eu-central-1")).await.unwrap();
        let template = template();
        database.create_tables("stack", template.tables()).await.unwrap();
        database.drop_tables("stack", template.tables()).await.unwrap();
        database.drop_tables("stack", template.tables()).await.unwrap();
        database.create_tables("stack", template.tables()).await.unwrap();
    }

    #[tokio::test]
    async fn a_data_directory_survives_a_restart() {
        let directory = std::env::temp_dir().join(format!("local-dev-{}", uuid::Uuid::new_v4()));
        let access = Access::local("eu-central-1");
        let template = template();
        let database = Database::embedded(Some(&directory), &access).await.unwrap();
        let before = database.create_tables("stack", template.tables()).await.unwrap();
        database.stop().await;
        let database = Database::embedded(Some(&directory), &access).await.unwrap();
        let after = database.create_tables("stack", template.tables()).await.unwrap();
        database.stop().await;
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(before, after);
    }
}
