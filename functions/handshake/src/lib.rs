//! The connections table's stream: greets every new connection with the Engine.IO open packet.
//!
//! `connect` cannot do it, because the WebSocket opens only after it has answered. Shortly after that the management API
//! may still say 410 (design rule 5), so this tries again for a while, each connection on its own.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::time::Duration;

use aws_lambda_events::event::{
    dynamodb::{Event, EventRecord},
    streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse},
};
use futures::{FutureExt as _, StreamExt as _, stream};
use lambda_runtime::LambdaEvent;
use shared::{
    Error,
    aws::Clients,
    config::{ConfigError, Environment},
    connections::{Connection, ConnectionStore},
    gateway::{Gateway, GatewayError, Outcome},
    heartbeat::open_packet,
    metrics::{Metrics, Unit},
};
use tokio::time::{Instant, sleep};

/// How long a connection may take from `$connect` to being open; usually it is some milliseconds.
const OPENS_WITHIN: Duration = Duration::from_millis(2500);

/// Pauses between attempts grow from this to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(15);
const MAX_PAUSE: Duration = Duration::from_millis(240);

/// Connections greeted at the same time.
const CONCURRENCY: usize = 128;

/// The function and what it needs.
pub struct Handshake {
    connections: ConnectionStore,
    gateway: Gateway,
    metrics: Metrics,
}

impl Handshake {
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

    /// Greets the new connections of a batch. Who never opens is given up quietly; the answer names the first record
    /// for which the gateway itself failed. Greeting a connection twice does no harm: clients ignore a second open.
    ///
    /// # Errors
    /// [`Error::Internal`] if a record is no connection.
    pub async fn handle(&self, event: LambdaEvent<Event>) -> Result<DynamoDbEventResponse, Error> {
        let greetings: Vec<_> = event.payload.records.iter().map(|record| self.greet(record).boxed()).collect();
        let outcomes: Vec<_> = stream::iter(greetings).buffered(CONCURRENCY).collect().await;
        let mut answer = DynamoDbEventResponse::default();
        for (record, outcome) in event.payload.records.iter().zip(outcomes) {
            if let Err(error) = outcome? {
                tracing::warn!(%error, "could not greet a connection");
                let mut failure = DynamoDbBatchItemFailure::default();
                failure.item_identifier = Some(record.change.sequence_number.clone().unwrap_or_default());
                answer.batch_item_failures.push(failure);
            }
        }
        self.report(answer.batch_item_failures.len());
        Ok(answer)
    }

    #[allow(clippy::cast_precision_loss, reason = "a batch is small")]
    fn report(&self, failures: usize) {
        let sent = self.gateway.take_sent() as f64;
        self.metrics.report(&[
            ("Handshakes", Unit::Count, &[sent]),
            ("HandshakeFailures", Unit::Count, &[failures as f64]),
            ("MessagesSent", Unit::Count, &[sent]),
        ]);
    }

    async fn greet(&self, record: &EventRecord) -> Result<Result<(), GatewayError>, Error> {
        // Only new connections have not been greeted. The event source filters too; this is what counts.
        if record.event_name != "INSERT" {
            return Ok(Ok(()));
        }
        let connection: Connection = serde_dynamo::from_item(record.change.new_image.clone())
            .map_err(Error::internal("reading a connection item"))?;
        Ok(self.open(&connection.connection_id).await)
    }

    async fn open(&self, connection_id: &str) -> Result<(), GatewayError> {
        let (frame, give_up) = (open_packet(connection_id).to_frame(), Instant::now() + OPENS_WITHIN);
        let mut pause = MIN_PAUSE;
        loop {
            // Looked at before the attempt, so that a machine that was held up in between gets one more.
            let is_last = Instant::now() > give_up;
            if self.gateway.post(connection_id, &frame).await? == Outcome::Accepted {
                break;
            }
            if is_last || self.has_ended(connection_id).await {
                tracing::debug!(connection_id, "gone before it opened");
                break;
            }
            sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
        Ok(())
    }

    /// Whether `$disconnect` was faster, so that nobody waits for a connection that is known to be dead.
    async fn has_ended(&self, connection_id: &str) -> bool {
        matches!(self.connections.get(connection_id).await, Ok(None))
    }
}
