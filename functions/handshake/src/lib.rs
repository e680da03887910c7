//! Invoked by `connect` for every new connection: sends it the Engine.IO open packet.
//!
//! `connect` cannot do it, because the WebSocket opens only after it has answered. Shortly after that the management
//! API may still say 410 (ARCHITECTURE.md, "An early 410 means not open yet"), so this tries again for a while. Each
//! connection is an invocation of its own: one that never opens delays no other.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::time::Duration;

use lambda_runtime::LambdaEvent;
use shared::{
    Error,
    aws::Clients,
    config::{ConfigError, Environment},
    connections::{ConnectionStore, NewConnection, OPENS_WITHIN},
    gateway::{Gateway, GatewayAnswer, Payload},
    heartbeat::open_packet,
    lambda::Function,
};
use tokio::time::{Instant, sleep};

/// How long a gateway that refuses or does not answer is tried. A client waits for 20 seconds, and then makes a new
/// connection.
const ACCEPTS_WITHIN: Duration = Duration::from_secs(8);

/// Pauses between attempts grow from this to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(15);
const MAX_PAUSE: Duration = Duration::from_millis(240);

/// The function and what it needs.
pub struct Handshake {
    connections: ConnectionStore,
    gateway: Gateway,
}

impl Function for Handshake {
    type Event = NewConnection;
    type Answer = ();
    type Error = Error;

    fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        let clients = Clients::from_env(env)?;
        Ok(Self { connections: ConnectionStore::new(&clients, env)?, gateway: Gateway::new(&clients, env)? })
    }

    /// Greets a new connection. One that never opens is given up quietly. A repeated invocation greets one twice: clients
    /// ignore a second open packet, but for `rust_socketio`, whose thread panics (CLIENTS.md).
    ///
    /// # Errors
    /// [`Error::Internal`] if the gateway itself failed for [`ACCEPTS_WITHIN`].
    async fn handle(&self, event: LambdaEvent<NewConnection>) -> Result<(), Error> {
        let NewConnection { connection_id } = event.payload;
        let payload = Payload::new(open_packet(&connection_id).to_frame());
        let (started, mut pause) = (Instant::now(), MIN_PAUSE);
        loop {
            // Looked at before the attempt, so that a machine that was held up in between gets one more.
            let age = started.elapsed();
            match self.gateway.post(&connection_id, &payload).await {
                Ok(GatewayAnswer::Accepted) => return Ok(()),
                Ok(GatewayAnswer::Gone) if age > OPENS_WITHIN || self.has_ended(&connection_id).await => {
                    tracing::debug!(connection_id, "gone before it opened");
                    return Ok(());
                }
                Ok(GatewayAnswer::Gone) => {}
                Err(error) if age > ACCEPTS_WITHIN => return Err(Error::internal("greeting a connection")(error)),
                Err(error) => tracing::debug!(connection_id, %error, "greeting a connection again"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }
}

impl Handshake {
    /// Whether `$disconnect` was faster, so that nobody waits for a connection that is known to be dead.
    async fn has_ended(&self, connection_id: &str) -> bool {
        matches!(self.connections.get(connection_id).await, Ok(None))
    }
}
