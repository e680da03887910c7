//! The connections table: every read and write of it, each condition beside the call that relies on it.
//!
//! Messages of one connection may be handled at the same time and out of order (ARCHITECTURE.md, "Messages may overtake
//! each other"), so nothing here reads an item to write it back: forgetting repeats until nobody joined in between;
//! joining and leaving, in `membership`, are transactions with conditions.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, Delete, ReturnValue, TransactWriteItem},
};
use futures::future::try_join;
use jiff::Timestamp;
use serde::Serialize;
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_attribute_value, to_item};

use super::{
    Connection,
    due::{closes_without_connect, due_item},
    keys,
};
use crate::{
    aws::Clients,
    config::{ConfigError, Environment},
    dynamodb::{Item, SK, condition_failed, failed_conditions, key, n, s, transact},
    error::Error,
};

/// A little over the two hours after which the gateway closes any connection; rows that were never removed end here.
const TTL_SECONDS: i64 = 2 * 60 * 60 + 10 * 60;

/// How often a removal starts again because a socket joined meanwhile. A connection has a handful of namespaces.
const FORGET_ATTEMPTS: u32 = 8;

/// Connections that are read at a time. Items of that many are about as large as a quarter of what DynamoDB would send.
const PAGE: i32 = 500;

/// Some connections of a partition, in the order of their ids.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Rows that are no connections are logged and left out.
    pub connections: Vec<Connection>,
    /// The id after which the next page starts, if there is one.
    pub next: Option<String>,
}

/// The connections table (`CONNECTIONS_TABLE`).
#[derive(Clone)]
pub struct ConnectionStore {
    pub(super) client: Client,
    pub(super) table: String,
}

impl ConnectionStore {
    /// The store of `CONNECTIONS_TABLE`.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] without the table.
    pub fn new(clients: &Clients, env: &Environment) -> Result<Self, ConfigError> {
        Ok(Self { client: clients.dynamodb(), table: env.required("CONNECTIONS_TABLE")?.to_owned() })
    }

    /// Remembers a new connection.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn remember(&self, connection_id: &str, connected_at: i64, origin: Option<String>) -> Result<(), Error> {
        let connection = Connection {
            connection_id: connection_id.to_owned(),
            connected_at,
            origin,
            last_seen: connected_at,
            joined: false,
            namespaces: BTreeMap::new(),
            expires_at: expiry(),
        };
        let mut item: Item = to_item(connection).map_err(Error::internal("writing a connection item"))?;
        item.extend(keys::connection(connection_id));
        // When it will be seen whether it has sent CONNECT. Either row may be without the other: a connection without this
        // one is found by its ping, and this one is nothing without a connection.
        let timeout = due_item(connection_id, closes_without_connect(connected_at));
        let put = |item| self.client.put_item().table_name(&self.table).set_item(Some(item)).send();
        try_join(put(item), put(timeout)).await.map(drop).map_err(Error::internal("remembering a connection"))
    }

    /// Reads a connection, consistently.
    ///
    /// # Errors
    /// [`Error::Internal`] only; an unknown connection is `None`.
    pub async fn get(&self, connection_id: &str) -> Result<Option<Connection>, Error> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(keys::connection(connection_id)))
            .consistent_read(true);
        let item = get.send().await.map_err(Error::internal("reading a connection"))?.item;
        item.map(from_item).transpose().map_err(Error::internal("reading a connection item"))
    }

    /// Forgets a connection and everything it joined, all or nothing.
    ///
    /// # Errors
    /// [`Error::Internal`] only; forgetting an unknown connection does nothing.
    pub async fn forget(&self, connection_id: &str) -> Result<(), Error> {
        for _ in 0..FORGET_ATTEMPTS {
            let Some(connection) = self.get(connection_id).await? else { return Ok(()) };
            let meta = Delete::builder()
                .table_name(&self.table)
                .set_key(Some(keys::connection(connection_id)))
                // Nobody joined or left since it was read.
                .condition_expression("attribute_not_exists(pk) OR namespaces = :seen")
                .expression_attribute_values(":seen", attribute(&connection.namespaces)?)
                .build()
                .map_err(Error::internal("building a removal"))?;
            let meta = TransactWriteItem::builder().delete(meta).build();
            match transact(&self.client, self.with_rooms(meta, connection_id, connection.namespaces.values())?).await {
                Ok(()) => return Ok(()),
                Err(error) if failed_conditions(&error).is_some() => {}
                Err(error) => return Err(Error::internal("forgetting a connection")(error)),
            }
        }
        Err(Error::internal("forgetting a connection")("it keeps joining namespaces"))
    }

    /// Notes a proof of life: the one small write a pong costs.
    ///
    /// # Errors
    /// [`Error::Internal`] only; an unknown connection stays unknown.
    pub async fn seen(&self, connection_id: &str, at: Timestamp) -> Result<(), Error> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(keys::connection(connection_id)))
            .update_expression("SET lastSeen = :at")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":at", n(at.as_millisecond()));
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) if condition_failed(&error) => Ok(()),
            Err(error) => Err(Error::internal("noting a pong")(error)),
        }
    }

    /// Counts frames in a window of time (a number that goes up), and returns how many there are in it; none for a
    /// connection that is not known.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn count_frames(&self, connection_id: &str, window: i64, frames: u32) -> Result<u32, Error> {
        // The second round is for a frame that finds the window begun by another one meanwhile.
        for _ in 0..2 {
            for (update, condition) in [
                ("ADD frameCount :frames", "frameWindow = :window"),
                (
                    "SET frameWindow = :window, frameCount = :frames",
                    "attribute_exists(pk) AND (attribute_not_exists(frameWindow) OR frameWindow < :window)",
                ),
            ] {
                let update = self
                    .client
                    .update_item()
                    .table_name(&self.table)
                    .set_key(Some(keys::connection(connection_id)))
                    .update_expression(update)
                    .condition_expression(condition)
                    .expression_attribute_values(":frames", n(frames))
                    .expression_attribute_values(":window", n(window))
                    .return_values(ReturnValue::UpdatedNew);
                match update.send().await {
                    Ok(output) => {
                        let count = output.attributes.unwrap_or_default().remove("frameCount");
                        let count = count.and_then(|count| count.as_n().ok().and_then(|count| count.parse().ok()));
                        return Ok(count.unwrap_or_default());
                    }
                    Err(error) if condition_failed(&error) => {}
                    Err(error) => return Err(Error::internal("counting frames")(error)),
                }
            }
        }
        Ok(0)
    }

    /// A page of the connections of a slot's part; with `silent_since` (epoch seconds) only of those that were there some
    /// time before it, and gave no proof of life since.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn page(
        &self,
        slot: u8,
        part: u8,
        after: Option<&str>,
        silent_since: Option<Silent>,
    ) -> Result<Page, Error> {
        let partition = keys::slot(slot, part);
        let start = after.map(|id| key(&partition, keys::connection_sort_key(id)));
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :partition")
            .expression_attribute_values(":partition", s(&partition))
            .set_exclusive_start_key(start)
            .limit(PAGE);
        if let Some(Silent { since, connected_before }) = silent_since {
            query = query
                .filter_expression("lastSeen < :since AND connectedAt <= :before")
                .expression_attribute_values(":since", n(since * 1000))
                .expression_attribute_values(":before", n(connected_before * 1000));
        }
        let output = query.send().await.map_err(Error::internal("reading the connections"))?;
        let last = output.last_evaluated_key.and_then(|mut last| last.remove(SK));
        let next = last.and_then(|name| Some(keys::connection_of(name.as_s().ok()?)?.to_owned()));
        Ok(Page { connections: connections(output.items.unwrap_or_default()), next })
    }
}

/// Which connections count as silent, in epoch seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silent {
    /// Since when there was no proof of life.
    pub since: i64,
    /// Connections that were opened after this time are not meant.
    pub connected_before: i64,
}

/// The connections of these rows. A row of another version is left out, so that it does not keep the others from their
/// pings.
pub(super) fn connections(items: Vec<Item>) -> Vec<Connection> {
    let read = |item| from_item(item).map_err(Error::internal("reading a connection item"));
    items.into_iter().filter_map(|item| read(item).inspect_err(Error::log).ok()).collect()
}

pub(super) fn attribute<T: Serialize>(value: &T) -> Result<AttributeValue, Error> {
    to_attribute_value(value).map_err(Error::internal("writing a connection attribute"))
}

pub(super) fn expiry() -> i64 {
    Timestamp::now().as_second() + TTL_SECONDS
}
