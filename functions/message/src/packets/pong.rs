//! Pong `3`: proof of life, for the heartbeat.

use jiff::Timestamp;

use crate::{Message, Reaction};

/// A pong that cannot be noted is no reason to end the connection; the next one is eight minutes away, and the heartbeat
/// decides.
pub(super) async fn react(app: &Message, connection_id: &str) -> Reaction {
    if let Err(error) = app.connections.seen(connection_id, Timestamp::now()).await {
        error.log();
    }
    Reaction::Nothing
}
