//! Whose fault a refused post is: the socket's, or the gateway's.
//!
//! The management API answers 429 both to a socket whose buffer is full and to an account that makes too many calls, so
//! the answer alone says nothing. What tells them apart is how posts to *other* sockets fared. There are two comparisons,
//! and a socket is blamed only if both speak against it:
//! - at the same moments: the first attempts at sockets that are in good order, called controls here. They tell a gateway
//!   that begins to refuse from a socket that does.
//! - since the last outage: how often those were refused that were accepted in the end. That tells a gateway that refuses
//!   most of what it is asked from a socket that takes nothing, also when only few sockets are left to be told, and few
//!   controls with them.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// An attempt is compared only with controls that were answered within this time before it.
const SAME_MOMENT: Duration = Duration::from_secs(2);

/// A socket is closed when a sound one would have been refused as often once in this many events.
const ODDS: f64 = 100_000.0;

/// Refusals in a row, of whichever sockets, that count as an outage. Refusals during an outage are not counted against
/// a socket afterwards.
const OUTAGE: u32 = 64;

/// Posts since the last outage that are taken into account. If there are more, the older ones count half.
const MOST_SOUND: u64 = 8192;

/// Most controls that are kept; the oldest are dropped first.
const MOST: usize = 16_384;

/// The refusals that one socket has met since the last outage.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Refusals {
    /// How many outages there were before these refusals.
    outages: u32,
    count: u32,
}

/// How many posts were accepted and refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Posts {
    accepted: u64,
    refused: u64,
}

/// What is known of posts to all sockets.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// The controls of the last moments: when each was answered, and how many there had been before it.
    answers: VecDeque<(Instant, Posts)>,
    all: Posts,
    /// Posts since the last outage to sockets that are sound: each of them was accepted in the end.
    sound: Posts,
    outages: u32,
    /// Refusals since a post was accepted last.
    refused_in_a_row: u32,
}

impl Evidence {
    /// Counts a control that was answered.
    pub(super) fn answered(&mut self, now: Instant, accepted: bool) {
        self.answers.push_back((now, self.all));
        *(if accepted { &mut self.all.accepted } else { &mut self.all.refused }) += 1;
        let is_over = |at: Instant| now.saturating_duration_since(at) > SAME_MOMENT * 2;
        while self.answers.len() > MOST || self.answers.front().is_some_and(|(at, _)| is_over(*at)) {
            self.answers.pop_front();
        }
    }

    /// Counts a post to a socket that was accepted after these refusals.
    pub(super) fn accepted(&mut self, before: Refusals) {
        if self.refused_in_a_row >= OUTAGE {
            self.outages = self.outages.wrapping_add(1);
            self.sound = Posts::default();
        }
        self.refused_in_a_row = 0;
        self.sound.accepted += 1;
        self.sound.refused += if before.outages == self.outages { before.count.into() } else { 0 };
        if self.sound.accepted + self.sound.refused > MOST_SOUND {
            self.sound = Posts { accepted: self.sound.accepted / 2, refused: self.sound.refused / 2 };
        }
    }

    /// Counts a refused post to a socket that has met these refusals; returns them with the new one.
    pub(super) fn refused(&mut self, before: Refusals) -> Refusals {
        self.refused_in_a_row = self.refused_in_a_row.saturating_add(1);
        let count = if before.outages == self.outages { before.count } else { 0 };
        Refusals { outages: self.outages, count: count + 1 }
    }

    /// Whether a sound socket, one of so many, may meet as many refusals by chance.
    pub(super) fn may_be_chance(&self, refusals: Refusals, sockets: u32) -> bool {
        let Posts { accepted, refused } = self.sound;
        let by_chance = (count(refused) + 1.0) / (count(refused) + count(accepted) + 2.0);
        -by_chance.ln() * f64::from(refusals.count) <= (ODDS * f64::from(sockets.max(1))).ln()
    }

    /// Whether anything was accepted since the last outage.
    pub(super) fn accepts(&self) -> bool {
        self.sound.accepted > 0 && self.refused_in_a_row < OUTAGE
    }

    /// The controls that were answered after this time. One that was answered before an attempt began is over by then,
    /// and no comparison.
    fn after(&self, time: Instant) -> Posts {
        let first = self.answers.partition_point(|(at, _)| *at <= time);
        let before = self.answers.get(first).map_or(self.all, |(_, before)| *before);
        Posts { accepted: self.all.accepted - before.accepted, refused: self.all.refused - before.refused }
    }

    /// The controls to compare an attempt with, and whether the socket's own first attempt is among them.
    fn others(&self, since: Instant, began: Instant) -> (Posts, bool) {
        let from = began.checked_sub(SAME_MOMENT).map_or(since, |moment| moment.max(since));
        (self.after(from), from == since)
    }

    /// How much a refusal speaks against a socket: the more, the rarer others were refused at the same moments. Nothing
    /// if no other was accepted.
    ///
    /// `since`: when the socket's first refused attempt began, which is among the controls itself; `began`: when this
    /// one did.
    pub(super) fn against(&self, since: Instant, began: Instant) -> f64 {
        let (others, has_own) = self.others(since, began);
        if others.accepted == 0 {
            return 0.0;
        }
        let (accepted, refused) = (count(others.accepted), count(others.refused.saturating_sub(u64::from(has_own))));
        let by_chance = (refused + 1.0) / (refused + accepted + 2.0);
        -by_chance.ln()
    }

    /// Whether so much evidence is enough to blame a socket. The more sockets there are, the likelier is it that one of
    /// them is refused several times in a row by chance. The gateway is at fault where as many controls are refused as
    /// accepted, or where as many members are `failing` now as controls are accepted. `members`: how many the room has.
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
                // The socket's own first attempt is one of the controls.
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

    /// Counts so many sockets as accepted, each after so many refusals.
    fn accepted_after(evidence: &mut Evidence, sockets: u32, refusals: u32) {
        for _ in 0..sockets {
            let before = (0..refusals).fold(Refusals::default(), |before, _| evidence.refused(before));
            evidence.accepted(before);
        }
    }

    /// How many refusals are too many to be chance, for one of a thousand sockets.
    fn too_many(evidence: &mut Evidence) -> u32 {
        let mut refusals = Refusals::default();
        (1..)
            .find(|_| {
                refusals = evidence.refused(refusals);
                !evidence.may_be_chance(refusals, 1000)
            })
            .unwrap()
    }

    #[test]
    fn who_is_refused_more_often_than_chance_allows_is_not_like_the_others() {
        for (refusals, expected) in [(0, 3), (1, 27), (4, 83)] {
            let mut evidence = Evidence::default();
            accepted_after(&mut evidence, 1000, refusals);
            assert_eq!(too_many(&mut evidence), expected, "others met {refusals}");
        }
    }

    #[test]
    fn what_was_refused_in_an_outage_says_nothing_about_the_time_after_it() {
        let mut evidence = Evidence::default();
        accepted_after(&mut evidence, 10, 0);
        assert!(evidence.accepts());
        // Everyone is refused ten times, and accepted then.
        let refused: Vec<_> =
            (0..1000).map(|_| (0..10).fold(Refusals::default(), |before, _| evidence.refused(before))).collect();
        assert!(!evidence.accepts());
        let (dead, sound) = refused.split_first().unwrap();
        sound.iter().for_each(|before| evidence.accepted(*before));
        assert!(evidence.accepts());
        let again = evidence.refused(*dead);
        assert!(evidence.may_be_chance(again, 1000), "one refusal since the outage is nothing");
        assert_eq!(too_many(&mut evidence), 3);
    }

    #[test]
    fn a_gateway_that_has_become_better_is_noticed() {
        let mut evidence = Evidence::default();
        accepted_after(&mut evidence, 4000, 4);
        accepted_after(&mut evidence, 100_000, 0);
        assert!(too_many(&mut evidence) <= 4);
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
