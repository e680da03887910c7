//! Whose fault a refused post is: the socket's, or the gateway's.
//!
//! The management API answers 429 both to a socket whose buffer is full and to an account that makes too many calls, so
//! the answer alone says nothing. What tells them apart is how posts to *other* sockets fared at the same moments. The
//! first attempts at sockets that are in good order are those comparisons, called controls here.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Controls that were answered longer than this before an attempt say nothing about it.
const SAME_MOMENT: Duration = Duration::from_secs(2);

/// A socket is closed when a sound one would have been refused as often once in this many events.
const ODDS: f64 = 100_000.0;

/// Controls that are kept. Of more than that in a moment the latest tell as much.
const MOST: usize = 16_384;

/// How many controls were accepted and refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Controls {
    accepted: u64,
    refused: u64,
}

/// The controls of the last moments.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// When each was answered, and how many there had been before it.
    answers: VecDeque<(Instant, Controls)>,
    all: Controls,
}

impl Evidence {
    /// A control was answered.
    pub(super) fn answered(&mut self, now: Instant, accepted: bool) {
        self.answers.push_back((now, self.all));
        *(if accepted { &mut self.all.accepted } else { &mut self.all.refused }) += 1;
        let is_over = |at: Instant| now.saturating_duration_since(at) > SAME_MOMENT * 2;
        while self.answers.len() > MOST || self.answers.front().is_some_and(|(at, _)| is_over(*at)) {
            self.answers.pop_front();
        }
    }

    /// The controls that were answered after this time. One that was answered before an attempt began is over by then,
    /// and no comparison.
    fn after(&self, time: Instant) -> Controls {
        let first = self.answers.partition_point(|(at, _)| *at <= time);
        let before = self.answers.get(first).map_or(self.all, |(_, before)| *before);
        Controls { accepted: self.all.accepted - before.accepted, refused: self.all.refused - before.refused }
    }

    /// The controls to compare an attempt with, and whether the socket's own first attempt is among them.
    fn others(&self, since: Instant, began: Instant) -> (Controls, bool) {
        let from = began.checked_sub(SAME_MOMENT).map_or(since, |moment| moment.max(since));
        (self.after(from), from == since)
    }

    /// How much a refusal speaks against a socket: the more, the rarer others were refused at the same moments. Nothing
    /// if no other was accepted.
    ///
    /// `since`: when the socket's first refused attempt began, which is among the controls itself; `began`: when this one
    /// did.
    pub(super) fn against(&self, since: Instant, began: Instant) -> f64 {
        let (others, has_own) = self.others(since, began);
        if others.accepted == 0 {
            return 0.0;
        }
        let (accepted, refused) = (count(others.accepted), count(others.refused.saturating_sub(u64::from(has_own))));
        let by_chance = (refused + 1.0) / (refused + accepted + 2.0);
        -by_chance.ln()
    }

    /// Whether so much evidence is enough. The more sockets there are, the likelier is it that one of them is refused
    /// several times in a row by chance. Where as many are refused as accepted, of the controls or with the members that are
    /// `failing` now, it is the gateway. `members`: how many the room has.
    pub(super) fn is_enough(&self, score: f64, since: Instant, began: Instant, failing: usize, members: u32) -> bool {
        let (others, has_own) = self.others(since, began);
        let refused = others.refused.saturating_sub(u64::from(has_own));
        let others_failing = u64::try_from(failing.saturating_sub(1)).unwrap_or(u64::MAX);
        let works = others.accepted > refused.max(others_failing);
        let sockets = (others.accepted + others.refused).max(members.into()).max(1);
        works && score > (ODDS * count(sockets)).ln()
    }

    /// Whether of the posts that were answered since then nearly all were accepted, and few others hang.
    pub(super) fn others_are_accepted(&self, began: Instant, others_that_hang: usize) -> bool {
        let others = self.after(began);
        let trouble = others.refused + u64::try_from(others_that_hang).unwrap_or(u64::MAX);
        others.accepted > 0 && trouble.saturating_mul(4) <= others.accepted
    }
}

#[allow(clippy::cast_precision_loss, reason = "nobody sends 2^52 frames")]
fn count(number: u64) -> f64 {
    number as f64
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
        let (mut evidence, mut score) = (Evidence::default(), 0.0);
        for attempt in 0..100 {
            let began = ms(start, u64::from(attempt) * 40);
            if each_moment || attempt == 0 {
                // Its own first attempt is one of them.
                for index in 0..accepted + refused + u32::from(attempt == 0) {
                    evidence.answered(ms(began, 5), index < accepted);
                }
            }
            score += evidence.against(start, began);
            if evidence.is_enough(score, start, began, 1, accepted + refused) {
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
        assert_eq!(refusals(1, 0, false), Some(12));
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
        let mut evidence = Evidence::default();
        for _ in 0..50 {
            evidence.answered(ms(start, 5), true);
        }
        assert!(evidence.against(ms(start, 5), ms(start, 5)).abs() < f64::EPSILON);
        assert!(evidence.against(start, start) > 3.0);
    }

    #[test]
    fn one_that_hangs_among_others_that_do_not_is_told_from_a_gateway_that_hangs() {
        let start = Instant::now();
        let hangs = |accepted: u32, others: usize| {
            let mut evidence = Evidence::default();
            for _ in 0..accepted {
                evidence.answered(ms(start, 5), true);
            }
            evidence.others_are_accepted(start, others)
        };
        assert!(hangs(3, 0) && hangs(100, 3));
        assert!(!hangs(0, 0) && !hangs(64, 63) && !hangs(2, 2));
    }

    #[test]
    fn what_is_kept_does_not_grow() {
        let start = Instant::now();
        let mut evidence = Evidence::default();
        for second in 0..3600 {
            evidence.answered(ms(start, second * 1000), true);
        }
        assert!(evidence.answers.len() <= 5, "{}", evidence.answers.len());
    }
}
