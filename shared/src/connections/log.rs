//! The log of a room: what its members are told, for those who are away meanwhile. `LOG#<namespace>#<room>` /
//! `<epoch milliseconds>-<name>`, and one row, `~`, that says since when nothing is missing there.
//!
//! One item for what one invocation of `broadcast` tells a room, which is one event where nothing else happens at the same
//! time. It is written before the members are read, and again when all of them were told. So who joins and reads the log
//! then misses nothing: an event is in the log by then, or its members are read later and include the one who joined.

use std::time::Duration;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};
use uuid::Uuid;

use super::{
    ConnectionStore, Room,
    keys::{self, COMPLETE},
};
use crate::{
    dynamodb::{Item, SK, key, n, s},
    error::Error,
};

/// How long an entry is asked for.
pub const LOG_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Characters of the name of an entry: enough that no two of one millisecond have the same.
const NAME: usize = 8;

/// What the row [`COMPLETE`] says, epoch milliseconds.
const COMPLETE_SINCE: &str = "completeSince";

/// Seconds an entry outlives [`LOG_KEPT`], so that none is missing that is still asked for: DynamoDB has another clock, and a
/// reader needs a moment.
const GRACE: i64 = 60 * 60;

/// Megabytes of a log that are read at the most. They have tens of thousands of events.
const PAGES: usize = 4;

/// What an invocation tells a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Names it among all entries.
    pub name: String,
    /// When the entry was written, epoch milliseconds.
    pub at: i64,
    /// The events, in the order in which each member is told them.
    pub events: Vec<LoggedEvent>,
    /// When all members had been told, epoch milliseconds; `None` if that is not known.
    pub told_at: Option<i64>,
}

/// What is kept of an event: about whom it is. What there is to be said is in the users table, as it is then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedEvent {
    /// The user.
    pub user: Uuid,
    /// Whether nobody has heard of that user before.
    #[serde(rename = "new", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_new: bool,
}

/// The item of an entry.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    pk: String,
    sk: String,
    events: Vec<LoggedEvent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    told_at: Option<i64>,
    /// TTL, epoch seconds.
    expires_at: i64,
}

impl LogEntry {
    /// An entry of now.
    #[must_use]
    pub fn new(events: Vec<LoggedEvent>) -> Self {
        let mut name = Uuid::new_v4().simple().to_string();
        name.truncate(NAME);
        Self { name, at: Timestamp::now().as_millisecond(), events, told_at: None }
    }

    /// Notes that all members have been told, now.
    pub fn told(&mut self) {
        self.told_at = Some(Timestamp::now().as_millisecond());
    }

    /// Whether a text may be the name of one.
    pub(crate) fn is_name(text: &str) -> bool {
        text.len() == NAME && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    }

    fn to_item(&self, room: &Room) -> Result<Item, Error> {
        let row = Row {
            pk: keys::log(room),
            sk: format!("{}-{}", sort_key(self.at), self.name),
            events: self.events.clone(),
            told_at: self.told_at,
            expires_at: self.at / 1000 + i64::try_from(LOG_KEPT.as_secs()).unwrap_or_default() + GRACE,
        };
        to_item(row).map_err(Error::internal("writing an entry of a log"))
    }

    fn from_item(item: Item) -> Result<Self, Error> {
        let row: Row = from_item(item).map_err(Error::internal("reading an entry of a log"))?;
        let key = row.sk.split_once('-').and_then(|(at, name)| Some((at.parse().ok()?, name.to_owned())));
        let (at, name) = key.ok_or_else(|| Error::internal("reading an entry of a log")("its key is none"))?;
        Ok(Self { name, at, events: row.events, told_at: row.told_at })
    }
}

impl ConnectionStore {
    /// Writes an entry into the log of a room; one that is there already as it is now.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn log(&self, room: &Room, entry: &LogEntry) -> Result<(), Error> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(entry.to_item(room)?));
        put.send().await.map(drop).map_err(Error::internal("writing to the log of a room"))
    }

    /// Notes that from this time on (epoch milliseconds) nothing will be missing in the log of a room, if nothing is noted
    /// there yet: whatever its members are told is in it.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn begin_log(&self, room: &Room, at: i64) -> Result<(), Error> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(complete_since(room, at)));
        match put.condition_expression("attribute_not_exists(pk)").send().await {
            Err(error)
                if !error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) =>
            {
                Err(Error::internal("beginning the log of a room")(error))
            }
            _ => Ok(()),
        }
    }

    /// Notes that something may be missing in the log of a room before this time, epoch milliseconds.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn begin_log_anew(&self, room: &Room, at: i64) -> Result<(), Error> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(complete_since(room, at)));
        put.send().await.map(drop).map_err(Error::internal("beginning the log of a room anew"))
    }

    /// The entries of a room's log from this time on (epoch milliseconds), oldest first, read consistently: what was
    /// written before this call is among them. `None` if some may be missing, if they are too many to be read, or of
    /// another version.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn log_since(&self, room: &Room, from: i64) -> Result<Option<Vec<LogEntry>>, Error> {
        let pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :log AND sk >= :from")
            .expression_attribute_values(":log", s(keys::log(room)))
            .expression_attribute_values(":from", s(sort_key(from)))
            .consistent_read(true);
        let mut pages = pages.into_paginator().send();
        let mut entries = Vec::new();
        let mut complete = None;
        for _ in 0..PAGES {
            let Some(page) = pages.next().await else { break };
            let page = page.map_err(Error::internal("reading the log of a room"))?;
            let is_last = page.last_evaluated_key.is_none();
            let mut items = page.items.unwrap_or_default();
            complete = items.pop_if(|item| item.get(SK).is_some_and(|name| *name == s(COMPLETE))).or(complete);
            let read: Result<Vec<_>, _> = items.into_iter().map(LogEntry::from_item).collect();
            match read {
                Ok(read) => entries.extend(read),
                Err(error) => {
                    error.log();
                    return Ok(None);
                }
            }
            if is_last {
                let since = complete.as_ref().and_then(|row| row.get(COMPLETE_SINCE)?.as_n().ok()?.parse::<i64>().ok());
                return Ok(since.filter(|since| *since <= from).map(|_| entries));
            }
        }
        Ok(None)
    }
}

fn complete_since(room: &Room, at: i64) -> Item {
    let mut item = key(keys::log(room), COMPLETE);
    item.insert(COMPLETE_SINCE.into(), n(at));
    item
}

/// Sorts as the time does.
fn sort_key(at: i64) -> String {
    format!("{:013}", at.max(0))
}
