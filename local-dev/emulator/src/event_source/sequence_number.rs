//! Where a record stands in its shard.

use std::{cmp::Ordering, fmt, sync::Arc};

/// Up to 40 decimal digits: more than any integer type holds, and not always of the same length.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SequenceNumber(Arc<str>);

impl SequenceNumber {
    /// A sequence number as the service spells it.
    pub(super) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text, as the service spells it.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        let (own, others) = (self.0.trim_start_matches('0'), other.0.trim_start_matches('0'));
        own.len().cmp(&others.len()).then_with(|| own.cmp(others))
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_compare_as_numbers() {
        let numbers = ["2", "10", "99", "100000000000000000000", "0999999999999999999999999999999999999999"];
        for pair in numbers.windows(2) {
            assert!(SequenceNumber::new(pair[0]) < SequenceNumber::new(pair[1]), "{pair:?}");
        }
    }
}
