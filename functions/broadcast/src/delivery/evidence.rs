//! Whose fault a refused post is: the socket's, or the gateway's.
//!
//! The management API answers 429 both to a socket whose buffer is full and to an account that makes too many calls, so
//! the answer alone says nothing. What tells them apart is how posts to *other* sockets fared at the same moments. The
//! first attempts at sockets that are in good order are those comparisons, called controls here.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Controls are counted together per so much time.
const BUCKET: Duration = Duration::from_millis(25);

/// Controls that began longer than this before an attempt say nothing about it.
const SAME_MOMENT: Duration = Duration::from_secs(1);

/// A socket is closed when a sound one would have been refused as often once in this many events.
const ODDS: f64 = 100_000.0;

/// How many posts to other sockets were accepted and refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Controls {
    pub(super) accepted: u32,
    pub(super) refused: u32,
    /// Those without an answer yet.
    pub(super) unanswered: u32,
}

/// The controls of the last moments.
#[derive(Debug)]
pub(super) struct Evidence {
    start: Instant,
    /// The number of the first bucket's time, counted from `start`, and the buckets.
    first: u128,
    buckets: VecDeque<Controls>,
}

impl Evidence {
    pub(super) fn new(now: Instant) -> Self {
        Self { start: now, first: 0, buckets: VecDeque::new() }
    }

    /// A control began.
    pub(super) fn began(&mut self, now: Instant) {
        if let Some(bucket) = self.bucket(now) {
            bucket.unanswered += 1;
        }
    }

    /// A control that began then was answered.
    pub(super) fn answered(&mut self, began: Instant, accepted: bool) {
        if let Some(bucket) = self.bucket(began) {
            bucket.unanswered = bucket.unanswered.saturating_sub(1);
            *(if accepted { &mut bucket.accepted } else { &mut bucket.refused }) += 1;
        }
    }

    /// The controls that began in a span of time, to the accuracy of a bucket.
    fn between(&self, from: Instant, to: Instant) -> Controls {
        let (from, to) = (self.number(from), self.number(to));
        let mut sum = Controls::default();
        for (number, bucket) in (self.first..).zip(&self.buckets) {
            if (from..=to).contains(&number) {
                sum.accepted += bucket.accepted;
                sum.refused += bucket.refused;
                sum.unanswered += bucket.unanswered;
            }
        }
        sum
    }

    /// How much a refusal speaks against a socket: the more, the rarer others were refused at the same moments. Nothing
    /// if no other was accepted.
    ///
    /// `since`: when the socket's first refused attempt began, which is among the controls itself; `began`: when this one
    /// did.
    pub(super) fn against(&self, since: Instant, began: Instant, now: Instant) -> f64 {
        let from = since.max(began.checked_sub(SAME_MOMENT).unwrap_or(since));
        let others = self.between(from, now);
        if others.accepted == 0 {
            return 0.0;
        }
        let own = u32::from(self.number(from) == self.number(since));
        let refused = f64::from(others.refused.saturating_sub(own));
        let by_chance = (refused + 1.0) / (refused + f64::from(others.accepted) + 2.0);
        -by_chance.ln()
    }

    /// Whether so much evidence is enough. The more sockets there are, the likelier is it that one of them is refused
    /// several times in a row by chance.
    pub(super) fn is_enough(&self, score: f64, since: Instant, now: Instant) -> bool {
        let others = self.between(since.max(now.checked_sub(SAME_MOMENT).unwrap_or(since)), now);
        score > (ODDS * f64::from((others.accepted + others.refused).max(1))).ln()
    }

    /// Whether posts that began together with one that still has no answer, and until shortly before now, were accepted,
    /// nearly all of them.
    pub(super) fn only_this_one_hangs(&self, began: Instant, now: Instant) -> bool {
        let until = now.checked_sub(BUCKET * 2).unwrap_or(began).max(began);
        let others = self.between(began, until);
        others.accepted > 0 && (others.refused + others.unanswered.saturating_sub(1)) * 4 <= others.accepted
    }

    /// Whether the gateway takes most of what others are sent at this moment.
    pub(super) fn gateway_works(&self, now: Instant) -> bool {
        let others = self.between(now.checked_sub(SAME_MOMENT).unwrap_or(self.start), now);
        others.accepted > others.refused
    }

    fn number(&self, at: Instant) -> u128 {
        at.saturating_duration_since(self.start).as_millis() / BUCKET.as_millis()
    }

    /// The bucket of a time; `None` if that is long over.
    fn bucket(&mut self, at: Instant) -> Option<&mut Controls> {
        let number = self.number(at);
        if self.buckets.is_empty() {
            self.first = number;
        }
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let kept = (SAME_MOMENT * 2).as_millis() / BUCKET.as_millis();
        if index >= self.buckets.len() {
            // After a long silence nothing of before counts any more.
            if index as u128 > 2 * kept {
                self.buckets.clear();
                self.first = number;
                self.buckets.push_back(Controls::default());
                return self.buckets.back_mut();
            }
            self.buckets.resize(index + 1, Controls::default());
        }
        while self.buckets.len() as u128 > kept {
            self.buckets.pop_front();
            self.first += 1;
        }
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.buckets.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    /// How often a socket that is tried every 40 ms is refused before it is blamed, if at each of these moments others
    /// fare like this. `None`: never within a hundred times.
    fn refusals(accepted: u32, refused: u32, each_moment: bool) -> Option<u32> {
        let start = Instant::now();
        let (mut evidence, mut score) = (Evidence::new(start), 0.0);
        for attempt in 0..100 {
            let now = ms(start, u64::from(attempt) * 40);
            if each_moment || attempt == 0 {
                // Its own first attempt is one of them.
                for index in 0..accepted + refused + u32::from(attempt == 0) {
                    evidence.began(now);
                    evidence.answered(now, index < accepted);
                }
            }
            score += evidence.against(start, now, now);
            if evidence.is_enough(score, start, now) {
                return Some(attempt + 1);
            }
        }
        None
    }

    #[test]
    fn who_is_refused_where_nobody_else_is_needs_only_a_few_attempts() {
        assert_eq!(refusals(1000, 0, false), Some(3));
        assert_eq!(refusals(100, 0, false), Some(4));
        assert_eq!(refusals(3, 0, false), Some(9));
        assert_eq!(refusals(1, 0, false), Some(11));
    }

    #[test]
    fn where_many_are_refused_by_chance_it_takes_more_than_chance() {
        assert_eq!(refusals(600, 400, true), Some(24));
        assert_eq!(refusals(150, 50, false), Some(13));
    }

    #[test]
    fn without_another_that_was_accepted_nobody_is_blamed() {
        assert_eq!(refusals(0, 0, true), None);
        assert_eq!(refusals(0, 100, true), None);
    }

    #[test]
    fn others_that_were_accepted_before_the_trouble_began_are_no_evidence() {
        let start = Instant::now();
        let mut evidence = Evidence::new(start);
        for _ in 0..50 {
            evidence.began(start);
            evidence.answered(start, true);
        }
        let since = ms(start, 30);
        assert!(evidence.against(since, since, ms(start, 40)).abs() < f64::EPSILON);
        assert!(evidence.against(start, start, ms(start, 40)) > 3.0);
    }

    #[test]
    fn one_that_hangs_among_others_that_do_not_is_told_from_a_gateway_that_hangs() {
        let start = Instant::now();
        let hangs = |accepted: u32, unanswered: u32| {
            let mut evidence = Evidence::new(start);
            for index in 0..=accepted + unanswered {
                evidence.began(start);
                if index < accepted {
                    evidence.answered(start, true);
                }
            }
            evidence.only_this_one_hangs(start, ms(start, 200))
        };
        assert!(hangs(3, 0) && hangs(100, 3));
        assert!(!hangs(0, 0) && !hangs(64, 63) && !hangs(2, 2));
    }

    #[test]
    fn what_is_kept_does_not_grow() {
        let start = Instant::now();
        let mut evidence = Evidence::new(start);
        for second in 0..3600 {
            evidence.began(ms(start, second * 1000));
            evidence.answered(ms(start, second * 1000), true);
        }
        assert!(evidence.buckets.len() <= 80, "{}", evidence.buckets.len());
        evidence.answered(start, true);
        assert!(evidence.gateway_works(ms(start, 3_599_000)));
        assert!(!evidence.gateway_works(ms(start, 3_610_000)));
    }
}
