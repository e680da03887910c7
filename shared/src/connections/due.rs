//! Rows that say when a connection has to be looked at: `DUE#<minute>#<part>`/`<connection id>`.
//!
//! The heartbeat reads only the partitions of the minutes that have come. A row is not removed when its reason is gone:
//! it only makes the heartbeat look at the connection, partitions of past minutes are never read again, and deletion by
//! TTL is free.

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, Put, TransactWriteItem};
use jiff::Timestamp;

use super::{
    ConnectionStore, Page, keys,
    store::{connections, expiry},
};
use crate::{
    dynamodb::{EXPIRES_AT, Item, PK, SK, key, n, s},
    error::Error,
    heartbeat::{CONNECT_TIMEOUT, part_of},
};

/// Most rows of a page: as many as DynamoDB reads in one batch.
const PAGE: i32 = 100;

/// Most calls for one batch; what is left then is read in the next minute.
const BATCH_ATTEMPTS: u32 = 8;

/// Has the heartbeat look at a connection from this time on (epoch seconds), or now if that has passed. A later row of
/// the same minute takes the place of an earlier one, whose reason is gone by then.
pub(super) fn due_item(connection_id: &str, at: i64) -> Item {
    let at = at.max(Timestamp::now().as_second());
    let mut item = key(keys::due(at.div_euclid(60), part_of(connection_id)), connection_id);
    item.extend([("dueAt".to_owned(), n(at)), (EXPIRES_AT.to_owned(), n(expiry()))]);
    item
}

/// When a connection that has not sent CONNECT is closed, epoch seconds; `connected_at` is in milliseconds.
pub(super) fn closes_without_connect(connected_at: i64) -> i64 {
    connected_at.div_euclid(1000) + CONNECT_TIMEOUT + 1
}

impl ConnectionStore {
    /// The part of a transaction that has the heartbeat look at a connection from this time on (epoch seconds).
    pub(super) fn due_action(&self, connection_id: &str, at: i64) -> Result<TransactWriteItem, Error> {
        let row = Put::builder().table_name(&self.table).set_item(Some(due_item(connection_id, at))).build();
        let row = row.map_err(Error::internal("building a row of what is due"))?;
        Ok(TransactWriteItem::builder().put(row).build())
    }

    /// Has the heartbeat look at a connection again: it could not be closed.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn look_again(&self, connection_id: &str, at: i64) -> Result<(), Error> {
        let mut row = due_item(connection_id, at);
        let key: Item = [PK, SK].into_iter().filter_map(|name| row.remove_entry(name)).collect();
        let mut update = self.client.update_item().table_name(&self.table).set_key(Some(key));
        update = update.update_expression("SET dueAt = :dueAt, expiresAt = :expiresAt");
        for (name, value) in row {
            update = update.expression_attribute_values(format!(":{name}"), value);
        }
        update.send().await.map(drop).map_err(Error::internal("writing a row of what is due"))
    }

    /// A page of the connections of a part that are due in that minute (counted from the epoch), and between these
    /// times (epoch seconds): as they are now, read consistently. Those that are gone are left out. A row that was
    /// written within the last second or so may be overlooked, so the next reading has to begin some seconds before
    /// this one ends.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn due(&self, minute: i64, part: u8, between: (i64, i64), after: Option<&str>) -> Result<Page, Error> {
        let partition = keys::due(minute, part);
        let start = after.map(|id| key(&partition, id));
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :minute")
            .filter_expression("dueAt BETWEEN :from AND :until")
            .projection_expression(SK)
            .expression_attribute_values(":minute", s(&partition))
            .expression_attribute_values(":from", n(between.0))
            .expression_attribute_values(":until", n(between.1))
            .set_exclusive_start_key(start)
            .limit(PAGE);
        let output = query.send().await.map_err(Error::internal("reading what is due"))?;
        let id = |mut item: Item| match item.remove(SK) {
            Some(AttributeValue::S(id)) => Some(id),
            _ => None,
        };
        let ids: Vec<_> = output.items.unwrap_or_default().into_iter().filter_map(id).collect();
        Ok(Page { connections: connections(self.items(&ids).await?), next: output.last_evaluated_key.and_then(id) })
    }

    /// The items of these connections, at most [`PAGE`].
    async fn items(&self, connection_ids: &[String]) -> Result<Vec<Item>, Error> {
        let failed = "reading the connections that are due";
        let (mut items, mut left) =
            (Vec::new(), connection_ids.iter().map(|id| keys::connection(id)).collect::<Vec<_>>());
        for _ in 0..BATCH_ATTEMPTS {
            if left.is_empty() {
                return Ok(items);
            }
            let wanted = KeysAndAttributes::builder().set_keys(Some(left)).consistent_read(true).build();
            let wanted = wanted.map_err(Error::internal(failed))?;
            let output = self.client.batch_get_item().request_items(&self.table, wanted).send().await;
            let output = output.map_err(Error::internal(failed))?;
            items.extend(output.responses.unwrap_or_default().into_values().flatten());
            left = output.unprocessed_keys.unwrap_or_default().into_values().flat_map(|keys| keys.keys).collect();
        }
        Err(Error::internal(failed)("DynamoDB does not get through with them"))
    }
}
