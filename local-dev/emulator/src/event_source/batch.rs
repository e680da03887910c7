//! What a function's answer means for a batch: what was delivered, what comes again, what is given up.
//!
//! Pure: no I/O, and the clock is an argument.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use super::{InvokeError, record::Record, sequence_number::SequenceNumber};
use crate::template::EventSource;

/// How long a stream keeps its records; a mapping without limits tries until then.
const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// The rules of one mapping.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryPolicy {
    /// `None`: no limit.
    pub(super) maximum_retries: Option<u32>,
    pub(super) maximum_age: Duration,
    pub(super) bisect: bool,
    pub(super) report: bool,
}

impl RetryPolicy {
    pub(super) fn of(source: &EventSource, age: Option<Duration>) -> Self {
        let declared = source.maximum_record_age_in_seconds.map_or(RETENTION, Duration::from_secs);
        Self {
            maximum_retries: source.maximum_retry_attempts,
            maximum_age: age.unwrap_or(declared),
            bisect: source.bisect_batch_on_function_error,
            report: source.report_batch_item_failures,
        }
    }
}

/// Records that go to a function together.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    /// The records in stream order, never empty.
    pub(super) records: Vec<Arc<Record>>,
    /// How often a function has seen the first of them.
    pub(super) invocations: u32,
    retries: u32,
}

/// How an invocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BatchResult {
    /// All records are done.
    Delivered,
    /// The function reported that the record at this index failed; those before it are done.
    FailedFrom(usize),
    /// The function failed, or its report made no sense: no record is done.
    Failed,
}

/// What happens next with the records that are not done.
#[derive(Debug)]
pub(super) enum Next {
    /// No record is left.
    Finished,
    /// The batch was cut: these parts are sent at once, in this order.
    Cut(Vec<Batch>),
    /// The batch is sent again, after a pause; how many retries that makes.
    Retry(Batch, u32),
    /// No more attempts.
    GiveUp(Batch),
}

impl BatchResult {
    /// Reads the answer of an invocation.
    pub(super) fn of(result: &Result<Value, InvokeError>, records: &[Arc<Record>], report: bool) -> Self {
        match result {
            Err(_) => Self::Failed,
            Ok(_) if !report => Self::Delivered,
            Ok(answer) => Self::reported(answer, records),
        }
    }

    fn reported(answer: &Value, records: &[Arc<Record>]) -> Self {
        let failures = match answer {
            Value::Null => return Self::Delivered,
            Value::Object(object) => object.get("batchItemFailures").unwrap_or(&Value::Null),
            list @ Value::Array(items) if items.is_empty() => list,
            _ => return Self::Failed,
        };
        let failures = match failures {
            Value::Null => return Self::Delivered,
            Value::Array(failures) => failures,
            _ => return Self::Failed,
        };
        let index = |failure: &Value| {
            let number = SequenceNumber::new(failure.get("itemIdentifier")?.as_str()?);
            records.iter().position(|record| record.sequence_number == number)
        };
        let indexes: Option<Vec<_>> = failures.iter().map(index).collect();
        match indexes.map(|indexes| indexes.into_iter().min()) {
            // One identifier that is none makes the whole report worthless.
            None => Self::Failed,
            Some(None) => Self::Delivered,
            Some(Some(lowest)) => Self::FailedFrom(lowest),
        }
    }
}

impl Batch {
    pub(super) fn new(records: Vec<Arc<Record>>) -> Self {
        Self { records, invocations: 0, retries: 0 }
    }

    /// The event the function gets.
    pub(super) fn event(&self) -> Value {
        json!({ "Records": self.records.iter().map(|record| &record.json).collect::<Vec<_>>() })
    }

    /// Takes away the records that are too old to be tried (again).
    pub(super) fn take_expired(&mut self, policy: &RetryPolicy, now: SystemTime) -> Option<Batch> {
        let is_expired =
            |record: &Record| now.duration_since(record.created_by).is_ok_and(|age| age > policy.maximum_age);
        let count = self.records.iter().take_while(|record| is_expired(record)).count();
        (count > 0).then(|| {
            let live = self.records.split_off(count);
            let records = std::mem::replace(&mut self.records, live);
            Self { records, ..*self }
        })
    }

    /// Splits off what was delivered, and decides about the rest.
    pub(super) fn after(mut self, outcome: BatchResult, policy: &RetryPolicy) -> (Vec<Arc<Record>>, Next) {
        let first_failed = match outcome {
            BatchResult::Delivered => return (self.records, Next::Finished),
            BatchResult::FailedFrom(index) => index,
            BatchResult::Failed => 0,
        };
        let rest = self.records.split_off(first_failed);
        let delivered = std::mem::replace(&mut self.records, rest);
        if policy.bisect && first_failed > 0 {
            // The report already says where to cut, and a cut does not count as a retry.
            return (delivered, Next::Cut(vec![self]));
        }
        if policy.bisect && self.records.len() > 1 {
            let tail = self.records.split_off(self.records.len() / 2);
            let tail = Self { records: tail, ..self };
            return (delivered, Next::Cut(vec![self, tail]));
        }
        if policy.maximum_retries.is_some_and(|limit| self.retries >= limit) {
            return (delivered, Next::GiveUp(self));
        }
        self.retries += 1;
        let retries = self.retries;
        (delivered, Next::Retry(self, retries))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn record(number: u32) -> Arc<Record> {
        Arc::new(Record {
            sequence_number: SequenceNumber::new(&number.to_string()),
            created: SystemTime::now(),
            created_by: SystemTime::now(),
            key_hash: 0,
            size: 100,
            json: json!({ "dynamodb": { "SequenceNumber": number.to_string() } }),
        })
    }

    fn batch(numbers: std::ops::Range<u32>) -> Batch {
        Batch::new(numbers.map(record).collect())
    }

    fn numbers(records: &[Arc<Record>]) -> Vec<&str> {
        records.iter().map(|record| record.sequence_number.as_str()).collect()
    }

    const PLAIN: RetryPolicy =
        RetryPolicy { maximum_retries: Some(2), maximum_age: RETENTION, bisect: false, report: true };
    const BISECT: RetryPolicy = RetryPolicy { bisect: true, ..PLAIN };

    #[test]
    fn answers_mean_what_they_mean_on_aws() {
        let records = batch(8..12).records;
        for (answer, expected) in [
            (json!(null), BatchResult::Delivered),
            (json!({}), BatchResult::Delivered),
            (json!([]), BatchResult::Delivered),
            (json!({ "batchItemFailures": null }), BatchResult::Delivered),
            (json!({ "batchItemFailures": [] }), BatchResult::Delivered),
            (json!({ "batchItemFailures": [{ "itemIdentifier": "10" }] }), BatchResult::FailedFrom(2)),
            (json!({ "batchItemFailures": [{ "itemIdentifier": "" }] }), BatchResult::Failed),
            (json!({ "batchItemFailures": [{ "itemIdentifier": null }] }), BatchResult::Failed),
            (json!({ "batchItemFailures": [{ "itemIdentifier": 10 }] }), BatchResult::Failed),
            (json!({ "batchItemFailures": [{ "itemIdentifier": "99" }] }), BatchResult::Failed),
            (json!({ "batchItemFailures": [{ "identifier": "10" }] }), BatchResult::Failed),
            (
                json!({ "batchItemFailures": [{ "itemIdentifier": "10" }, { "itemIdentifier": "99" }] }),
                BatchResult::Failed,
            ),
            (json!("fine"), BatchResult::Failed),
        ] {
            assert_eq!(BatchResult::of(&Ok(answer.clone()), &records, true), expected, "{answer}");
        }
    }

    #[test]
    fn retry_starts_at_the_lowest_failed_record() {
        let batch = batch(8..12);
        let answer = json!({ "batchItemFailures": [{ "itemIdentifier": "11" }, { "itemIdentifier": "9" }] });
        let outcome = BatchResult::of(&Ok(answer), &batch.records, true);
        let (delivered, next) = batch.after(outcome, &PLAIN);
        assert_eq!(numbers(&delivered), ["8"]);
        let Next::Retry(rest, 1) = next else { panic!("{next:?}") };
        assert_eq!(numbers(&rest.records), ["9", "10", "11"]);
    }

    #[test]
    fn a_report_is_ignored_unless_it_was_declared() {
        let answer = Ok(json!({ "batchItemFailures": [{ "itemIdentifier": "9" }] }));
        assert_eq!(BatchResult::of(&answer, &batch(8..12).records, false), BatchResult::Delivered);
    }

    #[test]
    fn the_last_retry_is_the_last() {
        let (_, next) = batch(0..2).after(BatchResult::Failed, &PLAIN);
        let Next::Retry(again, 1) = next else { panic!("{next:?}") };
        let (_, next) = again.after(BatchResult::Failed, &PLAIN);
        let Next::Retry(again, 2) = next else { panic!("{next:?}") };
        let (delivered, next) = again.after(BatchResult::Failed, &PLAIN);
        assert!(delivered.is_empty() && matches!(next, Next::GiveUp(_)));
    }

    #[test]
    fn without_a_limit_there_is_always_another_retry() {
        let policy = RetryPolicy { maximum_retries: None, ..PLAIN };
        let mut batch = batch(0..1);
        for count in 1..100 {
            let (_, Next::Retry(again, retries)) = batch.after(BatchResult::Failed, &policy) else { panic!("gave up") };
            assert_eq!(retries, count);
            batch = again;
        }
    }

    #[test]
    fn a_cut_does_not_count_as_a_retry() {
        let (delivered, next) = batch(0..5).after(BatchResult::Failed, &BISECT);
        let Next::Cut(parts) = next else { panic!("{next:?}") };
        assert!(delivered.is_empty());
        assert_eq!(parts.iter().map(|part| part.records.len()).collect::<Vec<_>>(), [2, 3]);
        assert!(parts.iter().all(|part| part.retries == 0));
    }

    #[test]
    fn a_report_says_where_to_cut() {
        let (delivered, next) = batch(0..5).after(BatchResult::FailedFrom(3), &BISECT);
        let Next::Cut(parts) = next else { panic!("{next:?}") };
        assert_eq!(numbers(&delivered), ["0", "1", "2"]);
        assert_eq!(numbers(&parts[0].records), ["3", "4"]);
        assert_eq!((parts.len(), parts[0].retries), (1, 0));
    }

    #[test]
    fn bisect_isolates_the_poisonous_record() {
        let mut queue = vec![batch(0..100)];
        let (mut delivered, mut given_up) = (Vec::new(), Vec::new());
        while let Some(batch) = queue.pop() {
            let poison = batch.records.iter().position(|record| record.sequence_number.as_str() == "41");
            let (done, next) = batch.after(poison.map_or(BatchResult::Delivered, BatchResult::FailedFrom), &BISECT);
            delivered.extend(done);
            match next {
                Next::Finished => {}
                Next::Cut(parts) => queue.extend(parts.into_iter().rev()),
                Next::Retry(batch, _) => queue.push(batch),
                Next::GiveUp(batch) => given_up.extend(batch.records),
            }
        }
        assert_eq!(numbers(&given_up), ["41"]);
        let expected: Vec<_> = (0..100).filter(|number| *number != 41).map(|number| number.to_string()).collect();
        assert_eq!(numbers(&delivered), expected);
    }

    #[test]
    fn only_records_that_are_too_old_are_taken() {
        let policy = RetryPolicy { maximum_age: Duration::from_secs(600), ..PLAIN };
        let mut batch = batch(0..3);
        Arc::get_mut(&mut batch.records[0]).unwrap().created_by -= Duration::from_secs(601);
        let expired = batch.take_expired(&policy, SystemTime::now()).unwrap();
        assert_eq!((numbers(&expired.records), numbers(&batch.records)), (vec!["0"], vec!["1", "2"]));
        assert!(batch.take_expired(&policy, SystemTime::now()).is_none());
    }
}
