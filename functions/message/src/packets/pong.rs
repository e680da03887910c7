//! Pong `3`: proof of life, for the heartbeat.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use crate::{Message, Reaction};

/// Below that of the whole message, which closes the connection.
const LIMIT: Duration = Duration::from_secs(5);

/// A pong that cannot be noted is no reason to end the connection; the next one is eight minutes away, and the heartbeat
/// decides.
pub(super) async fn react(app: &Message, connection_id: &str) -> Reaction {
    match timeout(LIMIT, app.connections.seen(connection_id, Timestamp::now())).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => error.log(),
        Err(elapsed) => tracing::warn!(error = %elapsed, connection_id, "could not note a pong"),
    }
    Reaction::Nothing
}
