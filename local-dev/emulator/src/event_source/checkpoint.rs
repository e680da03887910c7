//! How far every shard has been delivered, kept in a DynamoDB table so that a restart goes on from there.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{EventSourceError, sequence_number::SequenceNumber};
use crate::{
    dynamodb::Claim,
    template::{KeySchema, Table},
};

/// How much delivered work may be forgotten by a crash; it is delivered again, as at-least-once allows.
const SAVE_EVERY: Duration = Duration::from_millis(100);
const AFTER_FAILURE: Duration = Duration::from_secs(1);

const TRIM_HORIZON: &str = "TRIM_HORIZON";
const SHARD_END: &str = "SHARD_END";

/// A saved position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Checkpoint {
    /// The shard was started, and nothing of it delivered.
    TrimHorizon,
    /// Delivered up to and including this record.
    After(SequenceNumber),
    /// The shard is closed and all of it delivered.
    ShardEnd,
}

/// The checkpoints of one mapping.
#[derive(Clone, Debug)]
pub(super) struct Checkpoints {
    client: aws_sdk_dynamodb::Client,
    table: String,
    /// The mapping and the stream: a table that was deleted and created again has another stream, to be read from its start.
    key: String,
    /// Has the database keep what is not delivered; what is delivered need not be kept once the position is saved.
    claim: Option<Claim>,
}

/// The table for all mappings of a stack.
pub(crate) fn checkpoint_table() -> Table {
    let attribute = |name: &str| (name.to_owned(), "S".to_owned());
    Table {
        logical_id: "local-dev-checkpoints".to_owned(),
        attributes: vec![attribute("mapping"), attribute("shard")],
        key_schema: KeySchema { partition: "mapping".to_owned(), sort: Some("shard".to_owned()) },
        indexes: Vec::new(),
        view_type: None,
        ttl_attribute: None,
    }
}

impl Checkpoints {
    pub(super) fn new(client: &aws_sdk_dynamodb::Client, table: &str, mapping: &str, stream_arn: &str) -> Self {
        let label = stream_arn.rsplit('/').next().unwrap_or_default();
        Self { client: client.clone(), table: table.to_owned(), key: format!("{mapping}#{label}"), claim: None }
    }

    /// Has these checkpoints tell the database what is saved.
    pub(super) fn claiming(self, claim: Option<Claim>) -> Self {
        Self { claim, ..self }
    }

    /// All saved positions, by shard.
    pub(super) async fn load(&self) -> Result<BTreeMap<String, Checkpoint>, EventSourceError> {
        let pages = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("#mapping = :mapping")
            .expression_attribute_names("#mapping", "mapping")
            .expression_attribute_values(":mapping", AttributeValue::S(self.key.clone()))
            .into_paginator()
            .items()
            .send();
        let items = pages.try_collect().await.map_err(|error| self.failed(error.into()))?;
        let text = |item: &std::collections::HashMap<String, AttributeValue>, name: &str| {
            item.get(name).and_then(|value| value.as_s().ok()).cloned()
        };
        let entries = items.iter().filter_map(|item| {
            let checkpoint = match text(item, "position")?.as_str() {
                TRIM_HORIZON => Checkpoint::TrimHorizon,
                SHARD_END => Checkpoint::ShardEnd,
                number => Checkpoint::After(SequenceNumber::new(number)),
            };
            Some((text(item, "shard")?, checkpoint))
        });
        let entries: BTreeMap<_, _> = entries.collect();
        entries.values().for_each(|checkpoint| self.is_saved(checkpoint));
        Ok(entries)
    }

    /// Saves one position.
    pub(super) async fn save(&self, shard_id: &str, checkpoint: &Checkpoint) -> Result<(), EventSourceError> {
        let position = match checkpoint {
            Checkpoint::TrimHorizon => TRIM_HORIZON,
            Checkpoint::After(number) => number.as_str(),
            Checkpoint::ShardEnd => SHARD_END,
        };
        let put = self.client.put_item().table_name(&self.table);
        let put = put
            .item("mapping", AttributeValue::S(self.key.clone()))
            .item("shard", AttributeValue::S(shard_id.to_owned()))
            .item("position", AttributeValue::S(position.to_owned()));
        put.send().await.map_err(|error| self.failed(error.into()))?;
        self.is_saved(checkpoint);
        Ok(())
    }

    /// Tells the database that a restart begins there. A stream of a database that takes claims has a single shard, so
    /// its position is all there is to tell.
    fn is_saved(&self, checkpoint: &Checkpoint) {
        if let (Some(claim), Checkpoint::After(number)) = (&self.claim, checkpoint) {
            claim.passed(number.as_str());
        }
    }

    /// Saves the newest of `safe` now and then, until its sender is gone. Nobody waits for this, so it delays no delivery.
    pub(super) async fn keep_saving(self, shard_id: &str, mut safe: watch::Receiver<Option<SequenceNumber>>) {
        while safe.changed().await.is_ok() {
            let is_over = timeout(SAVE_EVERY, async { while safe.changed().await.is_ok() {} }).await.is_ok();
            let Some(number) = safe.borrow_and_update().clone() else { continue };
            if let Err(error) = self.save(shard_id, &Checkpoint::After(number)).await {
                tracing::warn!(%error, shard = shard_id, "checkpoint not saved");
                if is_over {
                    return;
                }
                safe.mark_changed();
                sleep(AFTER_FAILURE).await;
            }
        }
    }

    fn failed(&self, source: aws_sdk_dynamodb::Error) -> EventSourceError {
        EventSourceError::Checkpoint { table: self.table.clone(), source: Box::new(source) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamodb::{Access, Database};

    async fn checkpoints(database: &Database, stream_arn: &str) -> Checkpoints {
        let tables = database.create_tables("stack", &[checkpoint_table()]).await.unwrap();
        Checkpoints::new(database.client(), &tables["local-dev-checkpoints"].name, "F.E", stream_arn)
    }

    #[tokio::test]
    async fn what_was_saved_is_loaded() {
        let database = Database::embedded(None, &Access::local("eu-central-1")).await.unwrap();
        let checkpoints = checkpoints(&database, "table/t/stream/1").await;
        let saved = [
            ("a", Checkpoint::TrimHorizon),
            ("b", Checkpoint::After(SequenceNumber::new("100000000000000000001"))),
            ("c", Checkpoint::ShardEnd),
        ];
        for (shard, checkpoint) in &saved {
            checkpoints.save(shard, checkpoint).await.unwrap();
        }
        let expected: BTreeMap<_, _> = saved.map(|(shard, checkpoint)| (shard.to_owned(), checkpoint)).into();
        assert_eq!(checkpoints.load().await.unwrap(), expected);
    }

    #[tokio::test]
    async fn another_stream_of_the_same_table_starts_afresh() {
        let database = Database::embedded(None, &Access::local("eu-central-1")).await.unwrap();
        checkpoints(&database, "table/t/stream/1").await.save("a", &Checkpoint::ShardEnd).await.unwrap();
        assert!(checkpoints(&database, "table/t/stream/2").await.load().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_last_position_is_saved_before_the_end() {
        let database = Database::embedded(None, &Access::local("eu-central-1")).await.unwrap();
        let checkpoints = checkpoints(&database, "table/t/stream/1").await;
        let (safe, receiver) = watch::channel(None);
        let saving = tokio::spawn({
            let checkpoints = checkpoints.clone();
            async move { checkpoints.keep_saving("a", receiver).await }
        });
        for number in 10..100 {
            safe.send(Some(SequenceNumber::new(&number.to_string()))).unwrap();
        }
        drop(safe);
        saving.await.unwrap();
        let expected = Checkpoint::After(SequenceNumber::new("99"));
        assert_eq!(checkpoints.load().await.unwrap()["a"], expected);
    }
}
