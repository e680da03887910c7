//! How far a shard has been delivered, over all its lanes.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, watch};

use super::sequence_number::SequenceNumber;

/// How many records of one shard may be read but not delivered. A lane that is stuck stops the others only when this
/// many records wait behind it.
pub(super) const MAXIMUM_OPEN: usize = 4096;

/// The open records of one shard, and from them the position a restart may safely begin after.
#[derive(Debug)]
pub(super) struct Progress {
    state: Mutex<State>,
    changed: Notify,
    safe: watch::Sender<Option<SequenceNumber>>,
}

#[derive(Debug, Default)]
struct State {
    /// Undelivered records, each with the one that was read just before it.
    open: BTreeMap<SequenceNumber, Option<SequenceNumber>>,
    last_read: Option<SequenceNumber>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { state: Mutex::default(), changed: Notify::new(), safe: watch::Sender::new(None) }
    }

    /// A record was read and is now on its way.
    pub(super) fn opened(&self, number: &SequenceNumber) {
        let mut state = self.state();
        let before = state.last_read.replace(number.clone());
        state.open.insert(number.clone(), before);
    }

    /// A record was read that nobody has to see.
    pub(super) fn skipped(&self, number: SequenceNumber) {
        let mut state = self.state();
        state.last_read = Some(number);
        self.publish(&state);
    }

    /// Records were delivered or given up.
    pub(super) fn closed<'a>(&self, numbers: impl Iterator<Item = &'a SequenceNumber>) {
        let mut state = self.state();
        for number in numbers {
            state.open.remove(number);
        }
        self.publish(&state);
        self.changed.notify_one();
    }

    /// Waits until at most `limit` records are open. For one waiter.
    pub(super) async fn at_most(&self, limit: usize) {
        while self.state().open.len() > limit {
            self.changed.notified().await;
        }
    }

    /// The last position before which everything is delivered; `None` as long as there is none.
    pub(super) fn safe(&self) -> watch::Receiver<Option<SequenceNumber>> {
        self.safe.subscribe()
    }

    fn publish(&self, state: &State) {
        let safe = match state.open.first_key_value() {
            Some((_, before)) => before,
            None => &state.last_read,
        };
        self.safe.send_if_modified(|published| {
            let moved = published != safe;
            if moved {
                published.clone_from(safe);
            }
            moved
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half way, so a poisoned state is still a good one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: u32) -> SequenceNumber {
        SequenceNumber::new(&value.to_string())
    }

    fn safe(progress: &Progress) -> Option<String> {
        progress.safe().borrow().as_ref().map(ToString::to_string)
    }

    #[test]
    fn a_checkpoint_never_passes_an_undelivered_record() {
        let progress = Progress::new();
        for value in [8, 9, 10, 11] {
            progress.opened(&number(value));
        }
        progress.closed([number(9), number(11)].iter());
        assert_eq!(safe(&progress), None);
        progress.closed([number(8)].iter());
        assert_eq!(safe(&progress).as_deref(), Some("9"));
        progress.closed([number(10)].iter());
        assert_eq!(safe(&progress).as_deref(), Some("11"));
    }

    #[test]
    fn skipped_records_count_as_delivered() {
        let progress = Progress::new();
        progress.skipped(number(1));
        assert_eq!(safe(&progress).as_deref(), Some("1"));
        progress.opened(&number(2));
        progress.skipped(number(3));
        assert_eq!(safe(&progress).as_deref(), Some("1"));
        progress.closed([number(2)].iter());
        assert_eq!(safe(&progress).as_deref(), Some("3"));
    }

    #[tokio::test]
    async fn a_reader_waits_for_room() {
        let progress = Progress::new();
        progress.opened(&number(1));
        tokio::join!(progress.at_most(0), async { progress.closed([number(1)].iter()) });
    }
}
