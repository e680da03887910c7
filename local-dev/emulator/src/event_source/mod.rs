//! Event source mappings: what Lambda does between a table's stream and a function.
//!
//! A [`mapping`] finds the shards of a stream; a [`feed`] reads a shard once for all mappings of its table; a [`shard`]
//! deals what was read out to lanes by partition key; a [`lane`] delivers batch after batch; [`progress`] knows behind all of
//! them how far a restart may skip. Only the Streams API is used, so this works on the embedded database, DynamoDB Local and
//! AWS alike. The embedded one also says when there is something to read, and is told what need not be kept.

mod batch;
mod checkpoint;
mod dead_letter;
mod feed;
mod filter;
mod lane;
mod mapping;
mod progress;
mod record;
mod sequence_number;
mod shard;
mod stream;
mod wake;

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use serde_json::Value;
use tokio::{sync::watch, task::JoinSet, time::timeout};

use self::{
    batch::RetryPolicy, checkpoint::Checkpoints, filter::Filters, lane::Delivery, record::RecordSource, shard::Plan,
    stream::Stream, wake::Wake,
};
pub(crate) use self::{
    checkpoint::checkpoint_table,
    dead_letter::{DeadLetter, DeadLetters},
    filter::FilterError,
};
use crate::{
    dynamodb::{Database, DatabaseError, LiveTable, causes},
    template::EventSource,
};

/// How long [`EventSources::stop`] waits for batches that are being delivered.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Calls a function with an event and gives its answer.
pub(crate) type Invoke = Arc<dyn Fn(Value) -> BoxFuture<'static, Result<Value, InvokeError>> + Send + Sync>;

/// An invocation that failed: the function's error, or its timeout.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InvokeError(pub(crate) String);

/// Tells the readers that something may just have been written, so that they look at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wakeup(watch::Sender<u64>);

impl Wakeup {
    /// Wakes all readers. Cheap, and never lost: a reader that is busy looks again afterwards.
    pub(crate) fn wake(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// A declared event source and what it connects.
pub(crate) struct Wiring {
    /// The event source as declared.
    pub(crate) source: EventSource,
    /// The table it reads.
    pub(crate) table: LiveTable,
    /// The function it feeds.
    pub(crate) invoke: Invoke,
}

/// What all mappings have in common.
pub(crate) struct Settings<'a> {
    /// Where the streams and checkpoints are.
    pub(crate) database: &'a Database,
    /// Prefix of table names.
    pub(crate) stack: &'a str,
    /// The region functions see.
    pub(crate) region: &'a str,
    /// How often to look without being woken, where the database does not say itself that there is something; AWS looks
    /// four times a second.
    pub(crate) poll_every: Duration,
    /// Wakes the readers of such a database.
    pub(crate) wakeup: Wakeup,
    /// The age at which records are given up, if it is not to be that of the template.
    pub(crate) record_age: Option<Duration>,
    /// Becomes `true` when what an earlier life left over may be delivered. A sender that is gone means the same.
    pub(crate) release: watch::Receiver<bool>,
}

/// Why event sources cannot run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EventSourceError {
    /// A filter nobody understands.
    #[error("function `{function}`, event `{event}`: {source}")]
    Filter {
        /// Logical id.
        function: String,
        /// The event's name.
        event: String,
        /// Names the pattern.
        source: FilterError,
    },
    /// The table has no stream.
    #[error("table `{0}` has no stream; add a StreamSpecification to it in the template")]
    NoStream(String),
    /// The table of checkpoints could not be created.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The Streams API refused.
    #[error("{action} of {stream} failed: {}", causes(source))]
    Stream {
        /// E.g. `GetRecords`.
        action: &'static str,
        /// ARN.
        stream: String,
        /// What the stream answered.
        source: Box<aws_sdk_dynamodbstreams::Error>,
    },
    /// A checkpoint could not be read or written.
    #[error("the checkpoints in table `{table}` cannot be used: {}", causes(source))]
    Checkpoint {
        /// Physical name.
        table: String,
        /// What DynamoDB answered.
        source: Box<aws_sdk_dynamodb::Error>,
    },
    /// A record that has no JSON form.
    #[error("a record of the stream cannot be converted: {0}")]
    Record(serde_json::Error),
}

/// What a running mapping listens to.
#[derive(Clone)]
struct Signals {
    stop: watch::Receiver<bool>,
    release: watch::Receiver<bool>,
}

/// All event source mappings, running. Dropping this ends them without waiting for batches or checkpoints.
pub(crate) struct EventSources {
    stop: watch::Sender<bool>,
    dead_letters: DeadLetters,
    backlog: usize,
    mappings: JoinSet<()>,
}

impl EventSources {
    /// Starts the enabled mappings. What is written after this returns is delivered, also with `LATEST`.
    pub(crate) async fn start(settings: Settings<'_>, wirings: Vec<Wiring>) -> Result<Self, EventSourceError> {
        let tables = settings.database.create_tables(settings.stack, &[checkpoint_table()]).await?;
        let checkpoints = tables.into_values().map(|table| table.name).next().unwrap_or_default();
        let stop = watch::Sender::new(false);
        let mut sources = Self { dead_letters: DeadLetters::default(), backlog: 0, mappings: JoinSet::new(), stop };
        let mut plans = Vec::new();
        let mut streams = HashMap::new();
        // All mappings are planned before the first one reads: what one has passed is kept as long as another has not.
        for wiring in wirings {
            let (is_enabled, position) = (wiring.source.enabled, wiring.source.starting_position);
            let plan = plan(&settings, &checkpoints, wiring, &sources.dead_letters, &mut streams)?;
            plans.push((plan, position, is_enabled));
        }
        for (plan, position, is_enabled) in plans {
            if !is_enabled {
                // The mapping may be enabled one day; until then loading its checkpoints tells the database where it
                // stopped.
                plan.checkpoints.load().await?;
                continue;
            }
            let signals = Signals { stop: sources.stop.subscribe(), release: settings.release.clone() };
            let function = plan.delivery.function.clone();
            let (mapping, backlog) = mapping::Mapping::open(plan, position, signals).await?;
            if backlog > 0 {
                tracing::info!(function, records = backlog, "records of an earlier run wait to be delivered");
            }
            sources.backlog += backlog;
            sources.mappings.spawn(mapping.run());
        }
        Ok(sources)
    }

    /// How many records were left over by an earlier life and are held back; beyond some thousands, at least so many.
    pub(crate) fn backlog(&self) -> usize {
        self.backlog
    }

    /// The latest batches that were given up.
    pub(crate) fn dead_letters(&self) -> DeadLetters {
        self.dead_letters.clone()
    }

    /// Lets the batches that are being delivered finish, saves the checkpoints, and ends.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        let ended = timeout(STOP_WITHIN, async { while self.mappings.join_next().await.is_some() {} });
        if ended.await.is_err() {
            tracing::warn!("a batch took too long to finish; it will be delivered again");
        }
    }
}

fn plan(
    settings: &Settings<'_>,
    checkpoints: &str,
    wiring: Wiring,
    dead_letters: &DeadLetters,
    streams: &mut HashMap<String, Arc<Stream>>,
) -> Result<Plan, EventSourceError> {
    let Wiring { source, table, invoke } = wiring;
    let arn = table.stream_arn.clone().ok_or_else(|| EventSourceError::NoStream(table.name.clone()))?;
    let filters = Filters::parse(&source.filters).map_err(|error| EventSourceError::Filter {
        function: source.function.clone(),
        event: source.event.clone(),
        source: error,
    })?;
    let id = format!("{}.{}", source.function, source.event);
    let stream = streams.entry(arn.clone()).or_insert_with(|| stream(settings, &table, &arn));
    Ok(Plan {
        checkpoints: Checkpoints::new(settings.database.client(), checkpoints, &id, &arn)
            .claiming(settings.database.claim(&table.name, &id)),
        delivery: Arc::new(Delivery {
            policy: RetryPolicy::of(&source, settings.record_age),
            function: source.function,
            destination: source.on_failure,
            region: settings.region.to_owned(),
            stream_arn: stream.source().arn().to_owned(),
            batch_size: source.batch_size,
            window: Duration::from_secs(source.maximum_batching_window_in_seconds),
            invoke,
            dead_letters: dead_letters.clone(),
        }),
        lanes: source.parallelization_factor,
        stream: Arc::clone(stream),
        filters,
    })
}

/// The stream of a table, for all mappings of it.
fn stream(settings: &Settings<'_>, table: &LiveTable, arn: &str) -> Arc<Stream> {
    let wake = match settings.database.written(&table.name) {
        Some(written) => Wake::Written(written),
        None => Wake::Polled { wakeup: settings.wakeup.0.subscribe(), every: settings.poll_every },
    };
    let source = RecordSource::new(settings.region, arn, &table.partition_key);
    Arc::new(Stream::new(settings.database.streams().clone(), arn.to_owned(), source, wake))
}

/// Waits until everything stops.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|is_stopped| *is_stopped).await;
}

#[cfg(test)]
mod tests;
