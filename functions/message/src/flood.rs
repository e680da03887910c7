//! How many frames a client may send: enough for anything a client does, not enough to keep functions busy.
//!
//! Counting costs an ordinary client nothing. Each instance of this function counts in memory and reports every
//! twentieth frame of a connection within a window to where all instances see it, the connection's row: one small write
//! per twenty frames (two for the first of a window), paid for floods alone. Pongs come minutes apart and never get that
//! far. One instance closes a client at its hundredth frame; several may let through up to nineteen more each.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use shared::connections::ConnectionStore;

/// Length of a window, in seconds.
const WINDOW: i64 = 10;

/// Frames of one connection within a window that an instance reports together.
const STEP: u32 = 20;

/// Reported frames of one connection within a window that close it.
const LIMIT: u32 = 100;

/// The frames this instance has seen in the window of now.
#[derive(Default)]
pub(crate) struct Flood(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    window: i64,
    frames: HashMap<String, u32>,
}

impl Flood {
    /// Takes note of a frame; true if that makes too many. If it cannot be known, it does not.
    pub(crate) async fn reached(&self, connections: &ConnectionStore, connection_id: &str) -> bool {
        let window = Timestamp::now().as_second() / WINDOW;
        if !self.seen(connection_id, window).is_multiple_of(STEP) {
            return false;
        }
        let count = connections.count_frames(connection_id, window, STEP).await;
        let count = count.unwrap_or_else(|error| {
            error.log();
            0
        });
        if count >= LIMIT {
            tracing::warn!(connection_id, "closing a connection that sends too much");
        }
        count >= LIMIT
    }

    /// How often this instance has seen the connection in this window, now included.
    fn seen(&self, connection_id: &str, window: i64) -> u32 {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.window != window {
            *seen = Seen { window, frames: HashMap::new() };
        }
        let frames = seen.frames.entry(connection_id.to_owned()).or_default();
        *frames += 1;
        *frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_is_counted_for_itself_and_every_window_afresh() {
        let flood = Flood::default();
        assert_eq!([flood.seen("a=", 1), flood.seen("a=", 1), flood.seen("b=", 1)], [1, 2, 1]);
        assert_eq!(flood.seen("a=", 2), 1);
        assert_eq!(flood.0.lock().unwrap().frames.len(), 1, "what is over is forgotten");
    }
}
