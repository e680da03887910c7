//! What a retry need not repeat: records whose message is out, or refused for good, of a batch that failed for others.
//!
//! Kept in memory, so it helps where the same environment sees the retry, which Lambda usually but not always does. At
//! worst a user gets a code twice.

use std::collections::VecDeque;

/// Records remembered; those of a handful of batches.
const CAPACITY: usize = 1024;

/// Sequence numbers of the records.
#[derive(Debug, Default)]
pub(crate) struct Sent(VecDeque<String>);

impl Sent {
    pub(crate) fn has(&self, record: &str) -> bool {
        self.0.iter().any(|sent| sent == record)
    }

    pub(crate) fn note(&mut self, record: &str) {
        if self.0.len() == CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back(record.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_known_until_it_is_old() {
        let mut sent = Sent::default();
        assert!(!sent.has("0"));
        for record in 0..CAPACITY {
            sent.note(&record.to_string());
        }
        assert!(sent.has("0"));
        sent.note("one more");
        assert!(!sent.has("0") && sent.has("1") && sent.has("one more"));
    }
}
