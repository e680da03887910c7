//! A batch of stream records as what it means to sockets: for each room its events, in the order of the records.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use aws_lambda_events::event::dynamodb::EventRecord;
use shared::{
    connections::Room,
    dynamodb::{PK, SK},
    events::{self, Change, Emission},
    recovery::WAITS,
    request,
};

/// The events of a batch.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The rooms of single users before the feed: they are small, and a ban is to be felt at once.
    pub(crate) rooms: Vec<RoomEvents>,
    /// Records that describe no change of a user. They can never be told, so nothing waits for them.
    pub(crate) poisoned: usize,
    /// Whether a change has waited so long that others may have been given up.
    pub(crate) has_waited: bool,
}

/// The events of one room.
#[derive(Debug)]
pub(crate) struct RoomEvents {
    pub(crate) room: Room,
    pub(crate) steps: Vec<Step>,
}

/// One event for one room. All members share it.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Index of its record in the batch.
    pub(crate) record: usize,
    /// The sequence number of its record.
    pub(crate) sequence_number: Arc<str>,
    pub(crate) emission: Emission,
    /// The message for members that asked for recovery, if the event is in the log of the room.
    pub(crate) frame_with_offset: Option<Arc<str>>,
    /// The REST request that made the change, for the log.
    pub(crate) request_id: Option<Arc<str>>,
}

impl Step {
    /// The message for a member.
    pub(crate) fn frame(&self, recovers: bool) -> &Arc<str> {
        self.frame_with_offset.as_ref().filter(|_| recovers).unwrap_or(&self.emission.frame)
    }
}

impl Batch {
    /// Reads the records.
    pub(crate) fn read(records: &[EventRecord]) -> Self {
        let (mut rooms, mut poisoned) = (BTreeMap::<Room, Vec<Step>>::new(), 0);
        for (index, record) in records.iter().enumerate() {
            let change = match Change::try_from(record) {
                Ok(change) => change,
                Err(error) => {
                    poisoned += 1;
                    // Its keys say where it is; what else is in it is no business of a log.
                    let keys = key(record);
                    tracing::error!(%error, keys, event_id = record.event_id, "skipped a record that is no user");
                    continue;
                }
            };
            for emission in events::from_change(&change) {
                let request_id = request::of_record(record);
                tracing::info!(request_id, event = emission.name, "telling a room");
                rooms.entry(emission.room.clone()).or_default().push(Step {
                    record: index,
                    sequence_number: record.change.sequence_number.as_deref().unwrap_or_default().into(),
                    emission,
                    frame_with_offset: None,
                    request_id: request_id.map(Into::into),
                });
            }
        }
        let mut rooms: Vec<_> = rooms.into_iter().map(|(room, steps)| RoomEvents { room, steps }).collect();
        rooms.sort_by_key(|events| events.room == Room::feed());
        Self { rooms, poisoned, has_waited: records.iter().any(has_waited) }
    }
}

fn has_waited(record: &EventRecord) -> bool {
    let committed_at = SystemTime::from(record.change.approximate_creation_date_time);
    SystemTime::now().duration_since(committed_at).is_ok_and(|age| age > WAITS)
}

/// The record's key, as text.
fn key(record: &EventRecord) -> String {
    let part = |name| match record.change.keys.get(name) {
        Some(serde_dynamo::AttributeValue::S(text)) => text.as_str(),
        _ => "?",
    };
    format!("{}/{}", part(PK), part(SK))
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::event::dynamodb::Event;
    use serde_json::{Value, json};

    use super::*;

    fn batch(change: impl FnOnce(&mut Value)) -> Batch {
        let mut event: Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/events/broadcast.json")).unwrap();
        change(&mut event);
        let event: Event = serde_json::from_value(event).unwrap();
        Batch::read(&event.records)
    }

    #[test]
    fn the_events_of_a_room_are_in_the_order_of_the_records() {
        let batch = batch(|event| {
            let mut second = event["Records"][0].clone();
            second["dynamodb"]["SequenceNumber"] = json!("999000000000000000001");
            event["Records"].as_array_mut().unwrap().push(second);
        });
        let [feed] = batch.rooms.as_slice() else { panic!("{batch:?}") };
        assert_eq!(feed.room, Room::feed());
        assert_eq!(feed.steps.iter().map(|step| step.record).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(&*feed.steps[1].sequence_number, "999000000000000000001");
    }

    #[test]
    fn a_user_who_is_thrown_out_comes_before_the_feed() {
        let batch = batch(|event| {
            let mut ban = event["Records"][0].clone();
            ban["eventName"] = json!("MODIFY");
            ban["dynamodb"]["OldImage"] = ban["dynamodb"]["NewImage"].clone();
            ban["dynamodb"]["NewImage"]["isBanned"] = json!({"BOOL": true});
            event["Records"].as_array_mut().unwrap().push(ban);
        });
        assert_eq!(batch.rooms.len(), 2);
        assert!(batch.rooms[0].steps[0].emission.kick_before.is_some());
        assert_eq!(batch.rooms[1].room, Room::feed());
    }

    #[test]
    fn a_record_that_is_no_user_is_skipped_and_counted() {
        let batch = batch(|event| {
            let mut poison = event["Records"][0].clone();
            poison["dynamodb"]["NewImage"]["isBanned"] = json!({"S": "no"});
            event["Records"].as_array_mut().unwrap().insert(0, poison);
        });
        assert_eq!((batch.poisoned, batch.rooms[0].steps[0].record), (1, 1));
    }
}
