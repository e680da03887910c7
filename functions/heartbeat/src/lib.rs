//! Once a minute: pings the connections whose turn it is, closes those that should not be there any more, and forgets
//! those that are not.
//!
//! It reads what is due and not everything: the partitions of the slot whose turn it is, of the slot that was pinged two
//! minutes ago (those that did not answer), and of the rows that say that a connection has to be looked at now.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod due;
mod plan;
mod work;

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use futures::{FutureExt as _, StreamExt as _, future::join_all, stream};
use jiff::Timestamp;
use lambda_runtime::LambdaEvent;
use serde_json::Value;
use shared::{
    Error,
    aws::Clients,
    config::{ConfigError, Environment},
    connections::{Connection, ConnectionStore, Task},
    gateway::{Gateway, GatewayAnswer, Payload},
    lambda::{Function, stop_at},
    metrics::{Metrics, Unit},
    protocol::Frame,
};
use tokio::{
    sync::Mutex,
    time::{Interval, interval},
};

use due::Due;
use plan::{Job, Progress, plan};
use work::{Visit, Work};

/// Connections spoken to at the same time.
pub const CONCURRENCY: usize = 128;

/// Most calls of the management API in a second. An account has 10,000 for everything, of which the template's throttles
/// leave 7,000; the rest is for what happens meanwhile.
pub const CALLS_PER_SECOND: u32 = 5000;

/// Partitions read at the same time: of each there is a page in memory.
const READERS: usize = 16;

/// Left of the function's time for saving where it stopped.
pub const RESERVE: Duration = Duration::from_secs(5);

/// The function and what it needs.
pub struct Heartbeat {
    connections: ConnectionStore,
    gateway: Gateway,
    ping: Payload,
    metrics: Metrics,
}

impl Function for Heartbeat {
    type Event = EventBridgeEvent<Value>;
    type Answer = ();
    type Error = Error;

    fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        let clients = Clients::from_env(env)?;
        Ok(Self {
            connections: ConnectionStore::new(&clients, env)?,
            gateway: Gateway::new(&clients, env)?,
            ping: Payload::new(Frame::Ping("".into()).encode()),
            metrics: Metrics::from_env(env),
        })
    }

    /// Does one minute's work, and that of minutes in which this failed or never ran. What does not fit into the
    /// function's time, or cannot be read, is taken up by the next minute. What another invocation is at, or has done,
    /// is left alone.
    ///
    /// # Errors
    /// [`Error::Internal`] if something could not be read; everything else has been done.
    async fn handle(&self, event: LambdaEvent<EventBridgeEvent<Value>>) -> Result<(), Error> {
        let now = event.payload.time.map_or_else(|| Timestamp::now().as_second(), |time| time.timestamp());
        let until = stop_at(&event.context, RESERVE);
        let tasks = self.connections.tasks::<Progress>().await?;
        let mut known = tasks.iter().map(|(name, task)| (name.clone(), task.progress.clone())).collect();
        let begun: Vec<_> = plan(&known, now).into_iter().map(|job| self.begin(job, &tasks, until).boxed()).collect();
        let begun = join_all(begun).await;
        let works = begun.into_iter().filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?;
        self.visit_all(&works, now, until).await;
        let mut failed = None;
        for work in &works {
            let (progress, error) = work.progress(now);
            let saved = self.connections.end_task(&work.lease, &progress).await;
            known.insert(work.job.task(), progress);
            failed = failed.or(error).or(saved.err());
        }
        if works.iter().any(|work| matches!(work.job, Job::Ping { .. })) {
            self.report(&known);
        }
        failed.map_or(Ok(()), Err)
    }
}

impl Heartbeat {
    /// Takes the task of a job until the end of this invocation, if nobody else has it.
    async fn begin(
        &self,
        job: Job,
        tasks: &BTreeMap<String, Task<Progress>>,
        until: SystemTime,
    ) -> Result<Option<Work>, Error> {
        let name = job.task();
        let seen = tasks.get(&name);
        let until = Timestamp::try_from(until + RESERVE).map_err(Error::internal("reading the deadline"))?;
        let lease = self.connections.begin_task(&name, seen, until).await?;
        let before = seen.map(|task| task.progress.clone()).unwrap_or_default();
        Ok(lease.map(|lease| Work::new(job, lease, before)))
    }

    /// Streams the connections of all jobs to a fixed number of visits at a time.
    async fn visit_all(&self, works: &[Work], now: i64, until: SystemTime) {
        let pace = Pace::new();
        let partitions: Vec<_> = works.iter().flat_map(|work| work.partitions(&self.connections, until)).collect();
        let visits = stream::iter(partitions).flatten_unordered(READERS);
        visits.for_each_concurrent(CONCURRENCY, |visit| self.visit(visit, &pace, now).boxed()).await;
        if SystemTime::now() > until {
            tracing::warn!("the minute is over before all connections were visited; going on in the next");
        }
    }

    async fn visit(&self, visit: Visit<'_>, pace: &Pace, now: i64) {
        let due = visit.due(now);
        let connection = visit.connection;
        if due == Due::Nothing {
            return;
        }
        pace.wait().await;
        let outcome = match due {
            Due::Nothing => return,
            Due::Ping => self.ping(&connection, now).await,
            Due::Close(reason) => {
                tracing::info!(connection_id = connection.connection_id, reason, "closing a connection");
                self.close(&connection, now).await
            }
        };
        if let Err(error) = outcome {
            error.log();
        }
    }

    async fn ping(&self, connection: &Connection, now: i64) -> Result<(), Error> {
        let id = &connection.connection_id;
        match self.gateway.post(id, &self.ping).await {
            Ok(GatewayAnswer::Accepted) => Ok(()),
            Ok(GatewayAnswer::Gone) => self.connections.forget(id).await,
            Err(error) => {
                tracing::warn!(%error, connection_id = id, "could not ping");
                // Without a ping there will be no pong, which is not the client's fault.
                let spared = Timestamp::from_second(now).unwrap_or_else(|_| Timestamp::now());
                self.connections.seen(id, spared).await
            }
        }
    }

    /// Plainly, without `41`: the client comes back by itself, with a fresh token if its `auth` is a function. `$disconnect`
    /// follows and forgets the connection; should it not come, the next ping finds that it is gone. Where the gateway does
    /// not do it, the next heartbeat tries again.
    async fn close(&self, connection: &Connection, now: i64) -> Result<(), Error> {
        let id = &connection.connection_id;
        match self.gateway.close(id).await {
            Ok(GatewayAnswer::Accepted) => Ok(()),
            Ok(GatewayAnswer::Gone) => self.connections.forget(id).await,
            Err(error) => {
                tracing::warn!(%error, connection_id = id, "could not close a connection");
                self.connections.look_again(id, now).await
            }
        }
    }

    /// How many connections there are: each slot was counted within the last minutes.
    #[allow(clippy::cast_precision_loss, reason = "nobody has 2^52 sockets")]
    fn report(&self, known: &BTreeMap<String, Progress>) {
        let connections: u64 = known.values().map(|progress| progress.connections).sum();
        self.metrics.report(&[
            ("Connections", Unit::Count, &[connections as f64]),
            ("MessagesSent", Unit::Count, &[self.gateway.take_sent() as f64]),
        ]);
    }
}

/// Lets through [`CALLS_PER_SECOND`].
struct Pace(Mutex<Interval>);

impl Pace {
    fn new() -> Self {
        Self(Mutex::new(interval(Duration::from_secs(1) / CALLS_PER_SECOND)))
    }

    async fn wait(&self) {
        self.0.lock().await.tick().await;
    }
}

#[cfg(test)]
mod tests;
