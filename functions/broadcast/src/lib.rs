//! The users table's stream: turns committed changes into events, delivers them to rooms, throws out who was banned.
//!
//! The answer names the first record whose events could not be delivered; the event source retries from there.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod audience;
mod batch;
mod deliver;
mod delivery;
mod log;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use aws_lambda_events::event::{
    dynamodb::{Event, EventRecord},
    streams::DynamoDbEventResponse,
};
use lambda_runtime::LambdaEvent;
use shared::{
    aws::Clients,
    config::{ConfigError, Environment, FeedShards},
    connections::ConnectionStore,
    gateway::Gateway,
    lambda::{Function, batch_item_failures, stop_at},
    metrics::{Metrics, Unit},
};

use batch::Batch;
pub use delivery::{CONCURRENCY, RETRY_PAUSE, RETRY_PAUSE_GROWTH};
use delivery::{Counts, Health};

/// The end of a call of the management API. One whose answer could have been seen is given up sooner, in [`delivery`].
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// When so much of the function's time is left it makes no further calls: enough for those under way to end, and for
/// saving where the next attempt goes on.
pub const LAST_CALLS: Duration = Duration::from_secs(5);

/// The function and what it needs.
pub struct Broadcast {
    connections: ConnectionStore,
    shards: FeedShards,
    gateway: Gateway,
    health: Arc<Mutex<Health>>,
    metrics: Metrics,
}

impl Function for Broadcast {
    type Event = Event;
    type Answer = DynamoDbEventResponse;
    type Error = std::convert::Infallible;

    fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        let clients = Clients::from_env(env)?;
        Ok(Self {
            connections: ConnectionStore::new(&clients, env)?,
            shards: FeedShards::from_env(env)?,
            gateway: Gateway::without_retries(&clients, env, CALL_TIMEOUT)?,
            health: Arc::new(Mutex::new(Health::new(Instant::now()))),
            metrics: Metrics::from_env(env),
        })
    }

    /// Delivers the events of a batch of stream records. What does not fit into the function's time, or cannot be told
    /// now, is handed back from the first such record on.
    ///
    /// # Errors
    /// Never: that would have the event source repeat the whole batch, also what was told.
    async fn handle(&self, event: LambdaEvent<Event>) -> Result<DynamoDbEventResponse, std::convert::Infallible> {
        let records = event.payload.records;
        let batch = Batch::read(&records);
        let poisoned = batch.poisoned;
        let delivered = self.deliver(batch, stop_at(&event.context, LAST_CALLS)).await;
        let undelivered = delivered.undelivered.and_then(|record| records.get(record));
        let undelivered = undelivered.map(|record| record.change.sequence_number.as_deref().unwrap_or_default());
        let told = &records[..delivered.undelivered.unwrap_or(records.len())];
        self.report(&latencies_of(told).collect::<Vec<_>>(), poisoned, delivered.counts);
        Ok(batch_item_failures(undelivered))
    }
}

impl Broadcast {
    fn report(&self, latencies: &[f64], poisoned: usize, counts: Counts) {
        #[allow(clippy::cast_precision_loss, reason = "nobody sends 2^52 frames")]
        let (sent, poisoned) = (self.gateway.take_sent() as f64, poisoned as f64);
        self.metrics.report(&[
            ("Deliveries", Unit::Count, &[sent]),
            ("MessagesSent", Unit::Count, &[sent]),
            ("DeliveryLatency", Unit::Milliseconds, latencies),
            ("SkippedRecords", Unit::Count, &[poisoned + f64::from(counts.too_large)]),
            ("RefusedPosts", Unit::Count, &[f64::from(counts.refused)]),
            ("ClosedSockets", Unit::Count, &[f64::from(counts.closed)]),
        ]);
    }
}

/// The time from commit until now, in milliseconds. Streams round the time of a commit down to its second.
fn latencies_of(records: &[EventRecord]) -> impl Iterator<Item = f64> {
    let now = SystemTime::now();
    let since = move |record: &EventRecord| now.duration_since(record.change.approximate_creation_date_time.into());
    records.iter().filter_map(move |record| Some(since(record).ok()?.as_secs_f64() * 1000.0))
}
