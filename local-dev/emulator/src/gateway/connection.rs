//! One connection of the gateway: how frames reach its client, and what waits for its end.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::Client;

/// Messages of one connection that are handled at the same time. Beyond them the gateway reads no further: the client has
/// to wait, as behind any TCP connection the other end of which is busy.
pub(super) const MESSAGES_AT_ONCE: usize = 64;

/// How frames get from the gateway to one client. Each edge has its own.
pub trait Wire: Send + Sync {
    /// Hands over one text frame without waiting.
    ///
    /// # Errors
    /// [`BufferFull`] if the client is to read first.
    fn send(&self, frame: &str) -> Result<(), BufferFull>;

    /// Closes the connection.
    fn close(&self);
}

/// The client does not read as fast as frames come: 429 on the management API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BufferFull;

/// A connection between its `$connect` and its end.
pub(crate) struct OpenConnection {
    pub(super) client: Client,
    pub(super) connected_at: Timestamp,
    pub(super) last_active_at: RwLock<Timestamp>,
    pub(super) wire: Arc<dyn Wire>,
    /// A permit for each message that may be handled at the same time.
    pub(super) turns: Arc<Semaphore>,
    /// Held until `$disconnect` was answered.
    pub(super) _unfinished: Unfinished,
}

/// The right to have one message handled; held until it is.
pub(crate) struct Turn {
    pub(super) _permit: OwnedSemaphorePermit,
}

/// Something that the end waits for: a connection, or saying goodbye to one.
pub(crate) struct Unfinished(watch::Sender<usize>);

impl Unfinished {
    pub(super) fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl OpenConnection {
    pub(super) fn touch(&self) {
        *self.last_active_at.write().unwrap_or_else(PoisonError::into_inner) = Timestamp::now();
    }

    pub(super) fn is_younger_than(&self, time: Duration) -> bool {
        Timestamp::now().duration_since(self.connected_at).unsigned_abs() < time
    }

    pub(super) fn last_active_at(&self) -> Timestamp {
        *self.last_active_at.read().unwrap_or_else(PoisonError::into_inner)
    }
}
