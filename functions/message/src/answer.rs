//! How an answer reaches the client, and what becomes of a connection that cannot be answered: a client that waits for
//! the answer of a CONNECT has no timer for it, so it gets the answer or a closed connection (ARCHITECTURE.md, "A
//! CONNECT is always answered").

use std::time::Duration;

use jiff::Timestamp;
use shared::{
    connections::may_be_opening,
    gateway::{GatewayAnswer, GatewayError, Payload},
    protocol::Packet,
};
use tokio::time::{Instant, sleep, timeout};

use crate::{Message, Sender};

/// A call of the management API that has no answer after this long has failed.
pub(crate) const CALL_LIMIT: Duration = Duration::from_secs(1);

/// How long the gateway may take to accept an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// How long closing a connection may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(3);

/// How long removing a connection's rows may take. Rows that are left are found by who reads a room, and by the
/// heartbeat.
const FORGET_LIMIT: Duration = Duration::from_secs(2);

/// Pauses between attempts grow from this to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(25);
const MAX_PAUSE: Duration = Duration::from_millis(400);

impl Message {
    /// Sends a packet to whoever sent the message. A connection that does not take it is ended.
    pub(crate) async fn answer(&self, to: &Sender, packet: &Packet) {
        // One that is gone for certain, or of which nobody can say: its rows are of no use either way.
        if !self.tell(to, &packet.to_frame()).await {
            self.end(to).await;
        }
    }

    /// Sends a frame; whether the gateway has taken it.
    pub(crate) async fn tell(&self, to: &Sender, frame: &str) -> bool {
        let payload = Payload::new(frame);
        insist(to, ANSWER_LIMIT, || self.gateway.post(&to.id, &payload)).await == Some(GatewayAnswer::Accepted)
    }

    /// Closes a connection and forgets it, in that order: who is forgotten and not closed would look connected and hear
    /// nothing. One that cannot be closed now is left to the heartbeat, out of all rooms.
    pub(crate) async fn end(&self, connection: &Sender) {
        let id = connection.id.as_str();
        let closed = insist(connection, CLOSE_LIMIT, || self.gateway.close(id)).await;
        let forgotten = async {
            if closed.is_some() { self.connections.forget(id).await } else { self.connections.abandon(id).await }
        };
        match timeout(FORGET_LIMIT, forgotten).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error.log(),
            Err(elapsed) => tracing::warn!(error = %elapsed, connection_id = id, "could not forget a connection"),
        }
    }
}

/// Repeats a call of the management API until the gateway has done it, or says about a connection that is not opening any
/// more that it is gone; `None` if neither happens in time.
async fn insist<Call>(about: &Sender, within: Duration, call: impl Fn() -> Call) -> Option<GatewayAnswer>
where
    Call: Future<Output = Result<GatewayAnswer, GatewayError>>,
{
    let give_up = Instant::now() + within;
    let mut pause = MIN_PAUSE;
    loop {
        // Looked at before the attempt, so that a machine that was held up in between gets one more.
        let is_last = Instant::now() + pause > give_up;
        match call().await {
            Ok(GatewayAnswer::Accepted) => return Some(GatewayAnswer::Accepted),
            Ok(GatewayAnswer::Gone) if !about.may_be_opening() => return Some(GatewayAnswer::Gone),
            Ok(GatewayAnswer::Gone) => {}
            Err(error) => {
                tracing::warn!(%error, connection_id = about.id, "the gateway did not do what it was asked");
            }
        }
        if is_last {
            return None;
        }
        sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

impl Sender {
    fn may_be_opening(&self) -> bool {
        may_be_opening(self.connected_at, Timestamp::now().as_millisecond())
    }
}
