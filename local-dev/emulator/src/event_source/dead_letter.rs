//! What could not be delivered: the message AWS would send to the on-failure destination.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::batch::Batch;
use crate::template::OnFailure;

/// Most dead letters that are kept; when one more comes, the oldest is dropped.
const KEPT: usize = 256;

/// Why delivery was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// The last retry failed too.
    RetryAttemptsExhausted,
    /// The record was too old to be tried again.
    RecordAgeExceeded,
}

impl Condition {
    fn as_str(self) -> &'static str {
        match self {
            Self::RetryAttemptsExhausted => "RetryAttemptsExhausted",
            Self::RecordAgeExceeded => "RecordAgeExceeded",
        }
    }
}

/// A batch that was given up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DeadLetter {
    /// Logical id of the function that did not take it.
    pub(crate) function: String,
    /// Logical id of the bucket or queue AWS would send it to; without one AWS drops it.
    pub(crate) destination: Option<String>,
    /// The message: where the records are in the stream. In a bucket also the records themselves, as a text in `payload`.
    pub(crate) body: Value,
}

/// Where a batch comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    pub(super) function: &'a str,
    pub(super) destination: Option<&'a OnFailure>,
    pub(super) region: &'a str,
    pub(super) stream_arn: &'a str,
    pub(super) shard_id: &'a str,
}

/// The latest dead letters.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeadLetters(Arc<Mutex<VecDeque<DeadLetter>>>);

impl DeadLetters {
    /// Keeps a batch and says so in the log. `function_failed`: by an error, not by reporting single records.
    pub(super) fn add(&self, origin: Origin<'_>, batch: &Batch, condition: Condition, function_failed: bool) {
        let (Some(first), Some(last)) = (batch.records.first(), batch.records.last()) else { return };
        tracing::warn!(
            function = origin.function,
            condition = condition.as_str(),
            shard = origin.shard_id,
            first = %first.sequence_number,
            last = %last.sequence_number,
            records = batch.records.len(),
            invocations = batch.invocations,
            "records could not be delivered and are given up"
        );
        let account = origin.stream_arn.split(':').nth(4).unwrap_or("000000000000");
        let mut body = json!({
            "requestContext": {
                "requestId": uuid::Uuid::new_v4().to_string(),
                "functionArn": format!("arn:aws:lambda:{}:{account}:function:{}", origin.region, origin.function),
                "condition": condition.as_str(),
                "approximateInvokeCount": batch.invocations,
            },
            "responseContext": {
                "statusCode": 200,
                "executedVersion": "$LATEST",
                "functionError": function_failed.then_some("Unhandled"),
            },
            "version": "1.0",
            "timestamp": format!("{:.3}", Timestamp::now()),
            "DDBStreamBatchInfo": {
                "shardId": origin.shard_id,
                "startSequenceNumber": first.sequence_number.as_str(),
                "endSequenceNumber": last.sequence_number.as_str(),
                "approximateArrivalOfFirstRecord": time(first.created),
                "approximateArrivalOfLastRecord": time(last.created),
                "batchSize": batch.records.len(),
                "streamArn": origin.stream_arn,
            },
        });
        if origin.destination.is_some_and(|destination| destination.keeps_records) {
            body["payload"] = batch.event().to_string().into();
        }
        self.keep(DeadLetter {
            function: origin.function.to_owned(),
            destination: origin.destination.map(|to| to.destination.clone()),
            body,
        });
    }

    /// Keeps a letter, and drops the oldest where there are too many.
    pub(crate) fn keep(&self, letter: DeadLetter) {
        let mut letters = self.letters();
        if letters.len() == KEPT {
            letters.pop_front();
        }
        letters.push_back(letter);
    }

    /// All letters that are kept, oldest first.
    pub(crate) fn list(&self) -> Vec<DeadLetter> {
        self.letters().iter().cloned().collect()
    }

    fn letters(&self) -> MutexGuard<'_, VecDeque<DeadLetter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn time(time: SystemTime) -> String {
    Timestamp::try_from(time).map(|time| format!("{time:.0}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{super::batch::tests::record, *};

    #[test]
    fn a_bucket_keeps_the_records_themselves() {
        let letters = DeadLetters::default();
        let bucket = OnFailure { destination: "Bucket".to_owned(), keeps_records: true };
        let origin = Origin { function: "F", destination: Some(&bucket), region: "r", stream_arn: "a", shard_id: "s" };
        letters.add(origin, &Batch::new((8..10).map(record).collect()), Condition::RecordAgeExceeded, false);
        let [letter] = letters.list().try_into().unwrap();
        let event: Value = serde_json::from_str(letter.body["payload"].as_str().unwrap()).unwrap();
        let numbers = event["Records"].as_array().unwrap().iter().map(|record| &record["dynamodb"]["SequenceNumber"]);
        assert_eq!(numbers.collect::<Vec<_>>(), ["8", "9"]);
    }

    #[test]
    fn a_queue_hears_where_the_records_are_and_not_what_they_are() {
        let letters = DeadLetters::default();
        let queue = OnFailure { destination: "Queue".to_owned(), keeps_records: false };
        let mut batch = Batch::new((8..11).map(record).collect());
        batch.invocations = 4;
        let origin = Origin {
            function: "Broadcast",
            destination: Some(&queue),
            region: "eu-central-1",
            stream_arn: "arn:aws:dynamodb:eu-central-1:000000000000:table/t/stream/1",
            shard_id: "shardId-1",
        };
        letters.add(origin, &batch, Condition::RetryAttemptsExhausted, true);
        let [letter] = letters.list().try_into().unwrap();
        let context = &letter.body["requestContext"];
        assert_eq!(context["condition"], "RetryAttemptsExhausted");
        assert_eq!(context["approximateInvokeCount"], 4);
        assert_eq!(context["functionArn"], "arn:aws:lambda:eu-central-1:000000000000:function:Broadcast");
        assert_eq!(letter.body["responseContext"]["functionError"], "Unhandled");
        let info = &letter.body["DDBStreamBatchInfo"];
        assert_eq!((&info["startSequenceNumber"], &info["endSequenceNumber"]), (&json!("8"), &json!("10")));
        assert_eq!(info["batchSize"], 3);
        assert_eq!(letter.body["timestamp"].as_str().unwrap().len(), "2025-02-09T18:23:53.000Z".len());
        assert!(letter.body.get("payload").is_none());
    }

    #[test]
    fn only_the_latest_are_kept() {
        let letters = DeadLetters::default();
        let origin = Origin { function: "F", destination: None, region: "r", stream_arn: "a", shard_id: "s" };
        for number in 0..300 {
            letters.add(origin, &Batch::new(vec![record(number)]), Condition::RecordAgeExceeded, false);
        }
        let kept = letters.list();
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept[KEPT - 1].body["DDBStreamBatchInfo"]["startSequenceNumber"], "299");
    }
}
