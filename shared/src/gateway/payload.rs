//! A frame on its way to many connections: what is the same for all of them is computed once.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;

/// API Gateway bills a message per this many bytes, or part of them.
const BILLED_UNIT: usize = 32 * 1024;

/// A text frame to be posted, with what its signatures need. Clones share all of it.
#[derive(Debug, Clone)]
pub struct Payload(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    body: Bytes,
    hash: String,
}

impl Payload {
    /// The payload of one frame.
    #[must_use]
    pub fn new(frame: impl Into<String>) -> Self {
        let body = Bytes::from(frame.into());
        Self(Arc::new(Inner { hash: hex::encode(digest(&SHA256, &body)), body }))
    }

    pub(super) fn body(&self) -> Bytes {
        self.0.body.clone()
    }

    /// SHA-256 in lower-case hexadecimal, as a signature has it.
    pub(super) fn hash(&self) -> &str {
        &self.0.hash
    }

    /// The size in units of 32 KB, as messages are billed.
    pub(super) fn units(&self) -> u64 {
        u64::try_from(self.0.body.len().div_ceil(BILLED_UNIT).max(1)).unwrap_or(u64::MAX)
    }

    pub(super) fn len(&self) -> usize {
        self.0.body.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_billed_in_units_of_32_kilobytes() {
        let units = |length: usize| Payload::new("x".repeat(length)).units();
        assert_eq!([0, 1, 32_768, 32_769, 131_072].map(units), [1, 1, 1, 2, 4]);
    }
}
