//! Reading a room to tell it something, and how far a delivery to it came.

use std::{collections::BTreeMap, iter};

use aws_sdk_dynamodb::types::AttributeValue;
use futures::{Stream, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};

use super::{ConnectionStore, Member, keys::CHECKPOINT};
use crate::{
    dynamodb::{EXPIRES_AT, Item, PK, SK, key, n, s},
    error::Error,
};

/// Seconds a checkpoint is kept: longer than the event source tries a record.
const CHECKPOINT_TTL: i64 = 15 * 60;

/// Rows of the first page of a room. Those on it are told while the next page is read.
const FIRST_PAGE: i32 = 128;

/// Rows of each page of a room: each has twice as many as the one before, until a megabyte is the limit, as the table has
/// it. So the first member hears soon, and a large room takes only some pages more than it has to.
fn page_sizes() -> impl Iterator<Item = Option<i32>> {
    let growing = iter::successors(Some(FIRST_PAGE), |size| Some(size * 2)).take_while(|size| *size <= 4096);
    growing.map(Some).chain(iter::repeat(None))
}

/// A page of the rows of a room's partition.
#[derive(Debug, Default)]
pub struct RoomPage {
    /// Members of the room, in the order of their ids.
    pub members: Vec<Member>,
    /// Deliveries to this partition that were interrupted.
    pub checkpoints: Vec<DeliveryCheckpoint>,
}

/// How far a delivery to one partition of a room came before its time was over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryCheckpoint {
    /// Names it within its partition: the sequence number of the first change that was not told to everyone.
    #[serde(rename = "sk")]
    pub id: String,
    /// Sequence numbers of the changes, from that one to the last one that was told to anybody.
    pub changes: Vec<String>,
    /// The members up to this connection id were told all these changes, those behind it all but the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// Members to whom that does not apply, and how many of these changes they were told.
    #[serde(default)]
    pub laggards: BTreeMap<String, usize>,
}

impl DeliveryCheckpoint {
    /// The first checkpoint of a delivery that begins with this change.
    #[must_use]
    pub fn id_of(sequence_number: &str) -> String {
        format!("{CHECKPOINT}{sequence_number}")
    }

    /// How many of its changes a member was told.
    #[must_use]
    pub fn told(&self, connection_id: &str) -> usize {
        if let Some(told) = self.laggards.get(connection_id) {
            return *told;
        }
        let is_before = self.position.as_deref().is_some_and(|position| connection_id <= position);
        if is_before { self.changes.len() } else { self.changes.len().saturating_sub(1) }
    }
}

impl ConnectionStore {
    /// The rows of a room's partition, page by page, read consistently: whoever joined before this call is among them,
    /// also those whose token has ended since. Ends after an error.
    pub fn room_pages(&self, partition: &str) -> impl Stream<Item = Result<RoomPage, Error>> + use<> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :room")
            // Items past their TTL may be returned for days.
            .filter_expression("expiresAt > :now")
            .expression_attribute_values(":room", s(partition))
            .expression_attribute_values(":now", n(Timestamp::now().as_second()))
            .consistent_read(true);
        stream::unfold(Some((query, page_sizes())), |state| async {
            let (query, mut sizes) = state?;
            match query.clone().set_limit(sizes.next().flatten()).send().await {
                Ok(output) => {
                    let next = output.last_evaluated_key.map(|key| (query.set_exclusive_start_key(Some(key)), sizes));
                    Some((Ok(RoomPage::of(output.items.unwrap_or_default())), next))
                }
                Err(error) => Some((Err(Error::internal("reading a room")(error)), None)),
            }
        })
    }

    /// Remembers how far a delivery to this partition came.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn save_checkpoint(&self, partition: &str, checkpoint: &DeliveryCheckpoint) -> Result<(), Error> {
        let mut item: Item = to_item(checkpoint).map_err(Error::internal("writing a checkpoint"))?;
        item.insert(PK.into(), s(partition));
        item.insert(EXPIRES_AT.into(), n(Timestamp::now().as_second() + CHECKPOINT_TTL));
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item)).send();
        put.await.map(drop).map_err(Error::internal("saving a checkpoint"))
    }

    /// Forgets a checkpoint; that of a delivery that came to its end.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn delete_checkpoint(&self, partition: &str, id: &str) -> Result<(), Error> {
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key(partition, id))).send();
        delete.await.map(drop).map_err(Error::internal("deleting a checkpoint"))
    }
}

impl RoomPage {
    fn of(items: Vec<Item>) -> Self {
        let mut page = Self { members: Vec::with_capacity(items.len()), checkpoints: Vec::new() };
        for item in items {
            let is_checkpoint = matches!(item.get(SK), Some(AttributeValue::S(name)) if name.starts_with(CHECKPOINT));
            if is_checkpoint {
                // Without it everyone is told once more, which at least once allows.
                let read = from_item(item).map_err(Error::internal("reading a checkpoint"));
                page.checkpoints.extend(read.inspect_err(Error::log));
            } else {
                page.members.extend(Member::from_item(item));
            }
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> DeliveryCheckpoint {
        DeliveryCheckpoint {
            id: DeliveryCheckpoint::id_of("100"),
            changes: vec!["100".into(), "101".into()],
            position: Some("k=".into()),
            laggards: BTreeMap::from([("b=".into(), 0)]),
        }
    }

    #[test]
    fn a_checkpoint_says_how_much_each_member_was_told() {
        let checkpoint = checkpoint();
        assert_eq!(["a=", "b=", "k=", "l="].map(|id| checkpoint.told(id)), [2, 0, 2, 1]);
        let begun = DeliveryCheckpoint { position: None, laggards: BTreeMap::new(), ..checkpoint };
        assert_eq!(begun.told("a="), 1);
    }

    #[test]
    fn the_first_page_of_a_room_is_small_and_a_million_members_take_few_pages_more_than_they_have_to() {
        let sizes: Vec<_> = page_sizes().take(8).collect();
        assert_eq!(sizes, [Some(128), Some(256), Some(512), Some(1024), Some(2048), Some(4096), None, None]);
    }

    #[test]
    fn a_page_has_members_and_checkpoints_apart() {
        let mut row: Item = to_item(checkpoint()).unwrap();
        row.insert("expiresAt".into(), n(1));
        let member = Item::from([("pk".into(), s("ROOM#/users#feed")), ("sk".into(), s("-a="))]);
        let page = RoomPage::of(vec![row, member]);
        assert_eq!(page.checkpoints, [checkpoint()]);
        assert_eq!(page.members.iter().map(|member| member.connection_id.as_str()).collect::<Vec<_>>(), ["-a="]);
        assert!(*checkpoint().id < *"-", "it sorts before the characters of connection ids");
    }
}
