//! Once a minute: pings the connections whose turn it is, closes those that should not be there any more, and forgets
//! those that are not.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod due;
mod state;

use std::time::{Duration, SystemTime};

use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use futures::{FutureExt as _, StreamExt as _, stream};
use jiff::Timestamp;
use lambda_runtime::LambdaEvent;
use serde_json::Value;
use shared::{
    Error,
    aws::Clients,
    config::{ConfigError, Environment},
    connections::{Connection, ConnectionStore},
    gateway::{Gateway, Outcome},
    metrics::{Metrics, Unit},
    protocol::Frame,
};

use due::{Due, due};
use state::{Pass, State};

/// Connections spoken to at the same time.
pub const CONCURRENCY: usize = 64;

/// Left of the function's time for saving where it stopped.
pub const RESERVE: Duration = Duration::from_secs(5);

/// How long to go on where the deadline makes no sense, which is so under `cargo lambda watch`.
const FALLBACK: Duration = Duration::from_secs(45);

/// The function and what it needs.
pub struct Heartbeat {
    connections: ConnectionStore,
    gateway: Gateway,
    metrics: Metrics,
}

impl Heartbeat {
    /// # Errors
    /// [`ConfigError`] names the variable that is missing.
    pub fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        let clients = Clients::from_env(env)?;
        Ok(Self {
            connections: ConnectionStore::new(&clients, env)?,
            gateway: Gateway::new(&clients, env)?,
            metrics: Metrics::from_env(env),
        })
    }

    /// One minute's work, and that of minutes in which this failed or never ran. What does not fit into the function's
    /// time is taken up by the next minute.
    ///
    /// # Errors
    /// [`Error::Internal`] if the connections cannot be read.
    pub async fn handle(&self, event: LambdaEvent<EventBridgeEvent<Value>>) -> Result<(), Error> {
        let time = event.payload.time.map_or_else(|| Timestamp::now().as_second(), |time| time.timestamp());
        let until = stop_at(event.context.deadline);
        let mut state: State = self.connections.heartbeat_state().await?;
        for pass in state.begin(time.div_euclid(60)) {
            let stopped = self.run(pass, &mut state, time, until).await?;
            if stopped {
                break;
            }
        }
        #[allow(clippy::cast_precision_loss, reason = "nobody sends 2^52 pings")]
        self.metrics.report(&[("MessagesSent", Unit::Count, &[self.gateway.take_sent() as f64])]);
        self.connections.save_heartbeat_state(&state).await
    }

    /// Visits all connections from where the pass begins; true if the time ran out first.
    async fn run(&self, mut pass: Pass, state: &mut State, now: i64, until: SystemTime) -> Result<bool, Error> {
        let started = pass.started.unwrap_or(now);
        pass.started = Some(started);
        loop {
            if SystemTime::now() > until {
                tracing::warn!("the minute is over before all connections were visited; going on in the next");
                state.stopped(pass);
                return Ok(true);
            }
            let (connections, next) = self.connections.page(pass.from.take()).await?;
            let visits: Vec<_> = connections.iter().map(|c| self.visit(c, &pass, state, now).boxed()).collect();
            stream::iter(visits).buffer_unordered(CONCURRENCY).for_each(async |()| ()).await;
            pass.visited += connections.len() as u64;
            pass.from = next;
            if pass.from.is_none() {
                #[allow(clippy::cast_precision_loss, reason = "nobody has 2^52 sockets")]
                self.metrics.report(&[("Connections", Unit::Count, &[pass.visited as f64])]);
                state.finished(&pass, started, now);
                return Ok(false);
            }
        }
    }

    async fn visit(&self, connection: &Connection, pass: &Pass, state: &State, now: i64) {
        let outcome = match due(connection, &pass.slots, &state.pinged, now) {
            Due::Nothing => return,
            Due::Ping => self.ping(connection, now).await,
            Due::Close(reason) => {
                tracing::info!(connection_id = connection.connection_id, reason, "closing a connection");
                self.close(connection).await
            }
        };
        if let Err(error) = outcome {
            error.log();
        }
    }

    async fn ping(&self, connection: &Connection, now: i64) -> Result<(), Error> {
        let id = &connection.connection_id;
        match self.gateway.post(id, &Frame::Ping("".into()).encode()).await {
            Ok(Outcome::Accepted) => Ok(()),
            Ok(Outcome::Gone) => self.connections.forget(id).await,
            Err(error) => {
                tracing::warn!(%error, connection_id = id, "could not ping");
                // Without a ping there will be no pong, which is not the client's fault.
                let spared = Timestamp::from_second(now).unwrap_or_else(|_| Timestamp::now());
                self.connections.seen(id, spared).await
            }
        }
    }

    /// Plainly, without `41`: the client comes back by itself, with a fresh token if its `auth` is a function.
    async fn close(&self, connection: &Connection) -> Result<(), Error> {
        let id = &connection.connection_id;
        self.gateway.close(id).await.map_err(Error::internal("closing a connection"))?;
        self.connections.forget(id).await
    }
}

fn stop_at(deadline_ms: u64) -> SystemTime {
    let deadline = SystemTime::UNIX_EPOCH + Duration::from_millis(deadline_ms);
    let now = SystemTime::now();
    if deadline > now { deadline - RESERVE } else { now + FALLBACK }
}
