//! Counters a process has seen closed. For a second it takes that for granted, so that a flood of logins costs the table
//! one look a second.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

/// For how long, in seconds, and how many counters are remembered.
const REMEMBERED_SECONDS: i64 = 1;
const REMEMBERED: usize = 1000;

/// Counters that were seen closed, by their names.
#[derive(Default)]
pub(super) struct Closed(Mutex<HashMap<String, Sight>>);

/// A counter that is closed. Times are epoch seconds.
#[derive(Clone, Copy)]
struct Sight {
    /// When the counter was seen closed.
    seen: i64,
    until: i64,
}

impl Closed {
    /// Until when a counter is closed, if that was just seen.
    pub(super) fn known(&self, name: &str) -> Option<i64> {
        let closed = *self.counters().get(name)?;
        let now = Timestamp::now().as_second();
        (closed.seen + REMEMBERED_SECONDS >= now && closed.until > now).then_some(closed.until)
    }

    pub(super) fn remember(&self, name: String, until: i64) {
        let mut closed = self.counters();
        if closed.len() == REMEMBERED {
            closed.clear();
        }
        closed.insert(name, Sight { seen: Timestamp::now().as_second(), until });
    }

    fn counters(&self) -> MutexGuard<'_, HashMap<String, Sight>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
