//! Fuzzing: texts no client would send, for the codec and for a running cloud.
//!
//! Everything follows from a seed. The command is `cargo run -p tests --bin fuzz`; `tests/suites/fuzz.rs` is a short run of it.

pub mod codec;
mod complaints;
mod grammar;
mod inputs;
mod json;
pub mod messages;
mod mutations;
mod oracle;
mod parts;
mod session;

use std::{
    fmt::{self, Display, Formatter},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// How much to try: a number of cases, or as many as fit into a time.
#[derive(Debug)]
pub struct Budget {
    taken: AtomicU64,
    cases: u64,
    end: Option<Instant>,
}

impl Budget {
    /// A budget of this many cases.
    pub fn cases(cases: u64) -> Self {
        Self { taken: AtomicU64::new(0), cases, end: None }
    }

    /// A budget of as many cases as fit into this time.
    pub fn time(time: Duration) -> Self {
        Self { taken: AtomicU64::new(0), cases: u64::MAX, end: Some(Instant::now() + time) }
    }

    /// Cases so far.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Whether there is a next case.
    fn is_left(&self) -> bool {
        self.end.is_none_or(|end| Instant::now() < end) && self.taken() < self.cases
    }

    /// The number of the next case, if there is one.
    fn take(&self) -> Option<u64> {
        if !self.is_left() {
            return None;
        }
        let taken = |taken| (taken < self.cases).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).ok()
    }
}

/// Something that must not happen, and what led to it.
#[derive(Debug)]
pub struct Finding {
    /// What happened.
    pub what: String,
    /// The seed of the run.
    pub seed: u64,
    /// The texts, oldest first; the last one or the last few are the case.
    pub texts: Vec<String>,
}

impl Display for Finding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "finding: {}\nseed: {}\ntexts, the last one last:", self.what, self.seed)?;
        self.texts.iter().try_for_each(|text| writeln!(f, "    {text:?},"))
    }
}
