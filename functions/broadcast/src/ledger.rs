//! What a retry need not repeat: which connections already got the events of a record that failed for others.
//!
//! Kept in memory, so it helps where the same environment sees the retry, which Lambda usually but not always does.
//! Delivery stays at least once; this makes "twice" rare.

use std::collections::{HashSet, VecDeque};

/// Failed records remembered; those of a handful of batches.
const CAPACITY: usize = 1024;

/// Per failed record (by sequence number) the connections that are done with it.
#[derive(Debug, Default)]
pub(crate) struct Ledger(VecDeque<(String, HashSet<String>)>);

impl Ledger {
    /// Whether this connection got this record's events in an earlier attempt.
    pub(crate) fn has(&self, record: &str, connection: &str) -> bool {
        self.0.iter().any(|(sequence_number, done)| sequence_number == record && done.contains(connection))
    }

    /// Notes that this connection is done with a record that will come again.
    pub(crate) fn note(&mut self, record: &str, connection: &str) {
        if let Some((_, done)) = self.0.iter_mut().find(|(sequence_number, _)| sequence_number == record) {
            done.insert(connection.to_owned());
            return;
        }
        if self.0.len() == CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back((record.to_owned(), HashSet::from([connection.to_owned()])));
    }

    /// Forgets a record that will not come again.
    pub(crate) fn settle(&mut self, record: &str) {
        self.0.retain(|(sequence_number, _)| sequence_number != record);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_done_with_what_was_noted_and_only_that() {
        let mut ledger = Ledger::default();
        ledger.note("1", "a=");
        ledger.note("1", "b=");
        assert!(ledger.has("1", "a=") && ledger.has("1", "b="));
        assert!(!ledger.has("2", "a=") && !ledger.has("1", "c="));
        ledger.settle("1");
        assert!(!ledger.has("1", "a=") && ledger.is_empty());
    }

    #[test]
    fn records_that_never_come_again_do_not_pile_up() {
        let mut ledger = Ledger::default();
        for record in 0..=CAPACITY {
            ledger.note(&record.to_string(), "a=");
        }
        assert!(!ledger.has("0", "a=") && ledger.has("1", "a="));
    }
}
