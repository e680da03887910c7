//! How many posts may be under way at the same time: more while the gateway takes them, half as many when it does not.

use std::time::{Duration, Instant};

use super::CONCURRENCY;

/// The limit changes at most once in so much time, so that the answers to what was begun under the old one are in.
const PERIOD: Duration = Duration::from_millis(100);

/// What a good period adds.
const INCREASE: usize = 8;

/// The limit never gets below this.
const LEAST: usize = 2;

/// A period is bad if more than one in this many posts was refused. Single sockets that refuse are no reason to slow down.
const BAD: u32 = 10;

/// Additive increase, multiplicative decrease.
#[derive(Debug)]
pub(super) struct Pace {
    limit: usize,
    period: Instant,
    accepted: u32,
    refused: u32,
    /// Milliseconds an accepted post takes, smoothed.
    latency: Option<f64>,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { limit: CONCURRENCY, period: now, accepted: 0, refused: 0, latency: None }
    }

    /// Posts that may be under way.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// How long an accepted post takes.
    pub(super) fn latency(&self) -> Option<Duration> {
        self.latency.map(|milliseconds| Duration::from_secs_f64(milliseconds / 1000.0))
    }

    /// Notes that a post which was given up was accepted after all.
    pub(super) fn answered_late(&mut self, began: Instant, now: Instant) {
        let took = now.saturating_duration_since(began).as_secs_f64() * 1000.0;
        self.latency = Some(self.latency.map_or(took, |before| before + (took - before) / 16.0));
    }

    /// Notes that a control was answered; see [`super::evidence`].
    pub(super) fn answered(&mut self, began: Instant, now: Instant, accepted: bool) {
        if accepted {
            self.accepted += 1;
            self.answered_late(began, now);
        } else {
            self.refused += 1;
        }
        if now.saturating_duration_since(self.period) < PERIOD {
            return;
        }
        if self.refused * BAD > self.accepted + self.refused {
            self.limit = (self.limit / 2).max(LEAST);
        } else {
            self.limit = (self.limit + INCREASE).min(CONCURRENCY);
        }
        (self.period, self.accepted, self.refused) = (now, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_refuses_is_asked_half_as_much_and_then_a_little_more_again() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut period = |number: u32, accepted: u32, refused: u32| {
            for index in 1..=accepted + refused {
                let now = start + PERIOD * number + PERIOD * index / (accepted + refused);
                pace.answered(now, now, index <= accepted);
            }
            pace.limit()
        };
        assert_eq!(period(0, 100, 0), CONCURRENCY);
        assert_eq!(period(1, 95, 5), CONCURRENCY, "single sockets that refuse are no reason");
        assert_eq!(period(2, 80, 20), CONCURRENCY / 2);
        assert_eq!(period(3, 0, 100), CONCURRENCY / 4);
        assert_eq!(period(4, 100, 0), CONCURRENCY / 4 + INCREASE);
        for bad in 5..20 {
            period(bad, 0, 10);
        }
        assert_eq!(period(20, 0, 10), LEAST);
    }

    #[test]
    fn the_latency_follows_what_accepted_posts_take() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert_eq!(pace.latency(), None);
        for _ in 0..100 {
            pace.answered(start, start + Duration::from_millis(10), true);
            pace.answered(start, start + Duration::from_secs(1), false);
        }
        assert_eq!(pace.latency().unwrap().as_millis(), 10);
    }
}
