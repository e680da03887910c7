//! The users table's stream: turns committed changes into events, delivers them to rooms, throws out who was banned.
//!
//! The answer names the first record whose events could not be delivered; the event source retries from there.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod deliver;
mod ledger;
mod plan;

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, SystemTime},
};

use aws_lambda_events::event::{
    dynamodb::{Event, EventRecord},
    streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse},
};
use futures::future::try_join_all;
use lambda_runtime::LambdaEvent;
use shared::{
    Error,
    aws::Clients,
    config::{ConfigError, Environment, FeedShards},
    connections::{ConnectionStore, Member, Room},
    events::{self, Change, Emission},
    gateway::Gateway,
    metrics::{Metrics, Unit},
    request,
};

pub use deliver::CONCURRENCY;
use ledger::Ledger;

/// Records whose events are delivered together.
const AT_ONCE: usize = 10;

/// Left of the function's time when it begins with no further records: enough for those it has begun with, unless their
/// rooms are very large.
const RESERVE: Duration = Duration::from_secs(30);

/// Left of the function's time when it begins with no further calls: enough for those under way, with their retries.
pub const LAST_CALLS: Duration = Duration::from_secs(15);

/// The function and what it needs.
pub struct Broadcast {
    connections: ConnectionStore,
    shards: FeedShards,
    gateway: Gateway,
    /// What a retried batch does not send twice.
    ledger: Mutex<Ledger>,
    metrics: Metrics,
}

impl Broadcast {
    /// # Errors
    /// [`ConfigError`] names the variable that is missing.
    pub fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        let clients = Clients::from_env(env)?;
        Ok(Self {
            connections: ConnectionStore::new(&clients, env)?,
            shards: FeedShards::from_env(env)?,
            gateway: Gateway::new(&clients, env)?,
            ledger: Mutex::default(),
            metrics: Metrics::from_env(env),
        })
    }

    /// Delivers the events of a batch of stream records, a few records at a time; what does not fit into the function's
    /// time, or cannot be told now, is handed back from the first such record on.
    ///
    /// # Errors
    /// Never: that would have the event source repeat the whole batch, also what was told.
    pub async fn handle(&self, event: LambdaEvent<Event>) -> Result<DynamoDbEventResponse, std::convert::Infallible> {
        let (until, last_calls) =
            (stop_at(event.context.deadline, RESERVE), stop_at(event.context.deadline, LAST_CALLS));
        let mut answer = DynamoDbEventResponse::default();
        let mut latencies = Vec::new();
        for records in event.payload.records.chunks(AT_ONCE) {
            let undelivered = if SystemTime::now() > until { Some(0) } else { self.tell(records, last_calls).await };
            latencies.extend(latencies_of(&records[..undelivered.unwrap_or(records.len())]));
            if let Some(record) = undelivered {
                let mut failure = DynamoDbBatchItemFailure::default();
                failure.item_identifier = Some(records[record].change.sequence_number.clone().unwrap_or_default());
                answer.batch_item_failures.push(failure);
                break;
            }
        }
        self.report(&latencies);
        Ok(answer)
    }

    fn report(&self, latencies: &[f64]) {
        #[allow(clippy::cast_precision_loss, reason = "nobody sends 2^52 frames")]
        let sent = self.gateway.take_sent() as f64;
        self.metrics.report(&[
            ("Deliveries", Unit::Count, &[sent]),
            ("MessagesSent", Unit::Count, &[sent]),
            ("DeliveryLatency", Unit::Milliseconds, latencies),
        ]);
    }

    /// Delivers the events of some records, and returns the first that must be retried.
    async fn tell(&self, records: &[EventRecord], until: SystemTime) -> Option<usize> {
        let (emissions, poisoned) = read(records);
        let members = match self.members(&emissions).await {
            Ok(members) => members,
            Err(error) => {
                error.log();
                return Some(0);
            }
        };
        for (record, emission) in &emissions {
            let sockets = members.get(&emission.room).map_or(0, Vec::len);
            let request_id = request::of_record(&records[*record]);
            tracing::info!(request_id, event = emission.name, sockets, "telling a room");
        }
        let plan = plan::per_connection(&emissions, &members);
        let undelivered = self.deliver(records, plan, until).await;
        [undelivered, poisoned].into_iter().flatten().min()
    }

    /// Everyone in the rooms of these records, each room read once. That is late enough for rule 3: every record was
    /// committed before this read, so who is not in the room yet will read the committed row when joining.
    async fn members(&self, emissions: &[(usize, Emission)]) -> Result<HashMap<Room, Vec<Member>>, Error> {
        let rooms = HashMap::<Room, ()>::from_iter(emissions.iter().map(|(_, emission)| (emission.room.clone(), ())));
        let reads = rooms.into_keys().map(|room| async {
            let members = self.connections.members(&room, self.shards).await?;
            Ok::<_, Error>((room, members))
        });
        Ok(try_join_all(reads).await?.into_iter().collect())
    }
}

/// From commit until now, in milliseconds. Streams round the time of a commit down to its second.
fn latencies_of(records: &[EventRecord]) -> impl Iterator<Item = f64> {
    let now = SystemTime::now();
    let since = move |record: &EventRecord| now.duration_since(record.change.approximate_creation_date_time.into());
    records.iter().filter_map(move |record| Some(since(record).ok()?.as_secs_f64() * 1000.0))
}

/// When to stop, so that this much of the time is left. Under `cargo lambda watch` the deadline is long past and means
/// nothing.
fn stop_at(deadline_ms: u64, reserve: Duration) -> SystemTime {
    let (now, deadline) = (SystemTime::now(), SystemTime::UNIX_EPOCH + Duration::from_millis(deadline_ms));
    if deadline > now { deadline.checked_sub(reserve).unwrap_or(now) } else { now + RESERVE }
}

/// The events of each record, up to the first record that is none of ours. What comes after that one waits for it to
/// be parked, or it would overtake.
fn read(records: &[EventRecord]) -> (Vec<(usize, Emission)>, Option<usize>) {
    let mut emissions = Vec::new();
    for (index, record) in records.iter().enumerate() {
        match Change::try_from(record) {
            Ok(change) => emissions.extend(events::from_change(&change).map(|emission| (index, emission))),
            Err(error) => {
                let request_id = request::of_record(record);
                tracing::error!(%error, request_id, event_id = record.event_id, "a poisoned record");
                return (emissions, Some(index));
            }
        }
    }
    (emissions, None)
}
