//! How many frames a client may send: enough for anything a client does, not enough to keep functions busy.
//!
//! Counting costs an ordinary client nothing. Each instance of this function counts in memory, before anything else is
//! done about a frame, and closes a client at its hundredth frame within a window: a flood that one instance sees is over
//! before it costs a call of anything. What is spread over many instances shows in the connection's row, where each of
//! them reports every twentieth frame: one small write per twenty frames (two for the first of a window), paid for floods
//! alone. Pongs come minutes apart and never get that far. Several instances may let through up to nineteen frames more
//! each.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use shared::connections::ConnectionStore;

/// Length of a window, in seconds.
const WINDOW: i64 = 10;

/// Frames of one connection within a window that an instance reports together.
const STEP: u32 = 20;

/// Frames of one connection within a window that close it.
const LIMIT: u32 = 100;

/// Users told to a client that comes back that count as a frame of its own, so that nobody recovers again and again.
const TOLD: usize = 16;

/// What to do about a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The frame is handled.
    Fine,
    /// The frame makes too many: the connection is closed.
    TooMany,
    /// The frame comes from a connection that is being closed, and costs nothing any more.
    Late,
}

/// The frames this instance has seen in the window of now.
#[derive(Default)]
pub(crate) struct Flood(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    window: i64,
    frames: HashMap<String, u32>,
    closed: HashSet<String>,
}

impl Flood {
    /// Takes note of a frame. If it cannot be known whether it makes too many, it does not.
    pub(crate) async fn judge(&self, connections: &ConnectionStore, connection_id: &str) -> Verdict {
        let window = Timestamp::now().as_second() / WINDOW;
        match self.seen(connection_id, window) {
            None => return Verdict::Late,
            Some(LIMIT..) => return self.too_many(connection_id),
            Some(frames) if !frames.is_multiple_of(STEP) => return Verdict::Fine,
            Some(_) => {}
        }
        let count = connections.count_frames(connection_id, window, STEP).await;
        let count = count.unwrap_or_else(|error| {
            error.log();
            0
        });
        if count < LIMIT { Verdict::Fine } else { self.too_many(connection_id) }
    }

    /// Counts users a connection is told of. Whoever comes back once is far from the limit then.
    pub(crate) fn tells(&self, connection_id: &str, users: usize) {
        let frames = u32::try_from(users / TOLD).unwrap_or(LIMIT);
        *self.lock().frames.entry(connection_id.to_owned()).or_default() += frames;
    }

    /// What to do about a connection that sends too much: only the first to notice closes it.
    fn too_many(&self, connection_id: &str) -> Verdict {
        if !self.lock().closed.insert(connection_id.to_owned()) {
            return Verdict::Late;
        }
        tracing::warn!(connection_id, "closing a connection that sends too much");
        Verdict::TooMany
    }

    /// How often this instance has seen the connection in this window, now included; `None` once it was closed in it.
    fn seen(&self, connection_id: &str, window: i64) -> Option<u32> {
        let mut seen = self.lock();
        if seen.window != window {
            *seen = Seen { window, ..Seen::default() };
        }
        if seen.closed.contains(connection_id) {
            return None;
        }
        let frames = seen.frames.entry(connection_id.to_owned()).or_default();
        *frames += 1;
        Some(*frames)
    }

    /// The counts; they are still right where somebody panicked over them.
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use shared::recovery::MOST;

    use super::*;

    #[test]
    fn each_connection_is_counted_for_itself_and_every_window_afresh() {
        let flood = Flood::default();
        assert_eq!([flood.seen("a=", 1), flood.seen("a=", 1), flood.seen("b=", 1)], [Some(1), Some(2), Some(1)]);
        assert_eq!(flood.seen("a=", 2), Some(1));
        assert_eq!(flood.0.lock().unwrap().frames.len(), 1, "what is over is forgotten");
    }

    #[test]
    fn one_recovery_leaves_room_for_frames_and_the_fifth_of_a_window_is_too_many() {
        let flood = Flood::default();
        let mut counts = Vec::new();
        for _ in 0..4 {
            counts.push(flood.seen("a=", 1).unwrap());
            flood.tells("a=", MOST);
        }
        assert!(counts[1] < LIMIT / 2 && counts[3] < LIMIT && flood.seen("a=", 1).unwrap() > LIMIT, "{counts:?}");
    }
}
