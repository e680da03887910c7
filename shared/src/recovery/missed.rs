//! Which users a client has to be told of, and in which order.

use std::collections::HashMap;

use uuid::Uuid;

use super::{AHEAD, MARGIN, Offset, SKEW};
use crate::connections::{LOG_KEPT, LogEntry};

/// Users a client is told of at the most. One that has missed more loads the list, which is cheaper.
pub const MOST: usize = 500;

/// How far a client that comes back has heard the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    issued_at: i64,
    offset: Offset,
}

/// A user who changed while the client was away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// The user who changed.
    pub user: Uuid,
    /// Whether the client has never heard of that user.
    pub is_new: bool,
    /// The offset of the last event about that user.
    pub offset: Offset,
}

/// The client has missed more than it is told.
#[derive(Debug, PartialEq, Eq)]
pub struct TooMuch;

impl Since {
    /// `issued_at` is of the client's `pid`, `offset` what it says it has heard last, and `now` this moment, epoch
    /// milliseconds. An offset that is none of ours, or is from the future, counts as absent; without one the client has
    /// what was there when its `pid` was issued. `None` if the log does not go back so far.
    #[must_use]
    pub fn new(issued_at: i64, offset: Option<&str>, now: i64) -> Option<Self> {
        let offset =
            offset.and_then(|offset| offset.parse::<Offset>().ok()).filter(|offset| offset.at() <= now + AHEAD);
        // It may be older than the `pid`: a client keeps it when it was not recovered.
        let offset = offset.filter(|offset| offset.at() >= issued_at - SKEW);
        let since = Self { issued_at, offset: offset.unwrap_or_else(|| Offset::of_time(issued_at)) };
        let kept = i64::try_from(LOG_KEPT.as_millis()).unwrap_or(i64::MAX);
        (since.from() > now - kept).then_some(since)
    }

    /// What a client has that is given a `pid` now.
    #[must_use]
    pub fn of_pid(issued_at: i64) -> Self {
        Self { issued_at, offset: Offset::of_time(issued_at) }
    }

    /// From when on entries of the log have to be looked at, epoch milliseconds.
    #[must_use]
    pub fn from(&self) -> i64 {
        (self.issued_at - SKEW).max(self.offset.at() - MARGIN)
    }

    /// What the client says it has, or is known to have.
    #[must_use]
    pub fn offset(&self) -> &Offset {
        &self.offset
    }

    /// Who changed in these entries, which have to be in the order of the log: each user once, in the order of the last
    /// events about them.
    ///
    /// # Errors
    /// [`TooMuch`] if they are more than [`MOST`].
    pub fn missed(&self, entries: &[LogEntry]) -> Result<Vec<Missed>, TooMuch> {
        let mut missed = HashMap::<Uuid, (usize, Missed)>::new();
        let mut events = 0;
        for entry in entries.iter().filter(|entry| entry.at >= self.from()) {
            for (place, event) in entry.events.iter().enumerate() {
                if self.offset.knows(entry, place) {
                    continue;
                }
                events += 1;
                let is_new = event.is_new || missed.get(&event.user).is_some_and(|(_, missed)| missed.is_new);
                let offset = Offset::of_event(entry, place);
                missed.insert(event.user, (events, Missed { user: event.user, is_new, offset }));
            }
            if missed.len() > MOST {
                return Err(TooMuch);
            }
        }
        let mut missed: Vec<_> = missed.into_values().collect();
        missed.sort_unstable_by_key(|(last, _)| *last);
        Ok(missed.into_iter().map(|(_, missed)| missed).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::LoggedEvent;

    const NOW: i64 = 1_739_125_407_396;

    fn user(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    /// An entry with events about these users, told to everyone twenty milliseconds later.
    fn entry(at: i64, users: &[u128]) -> LogEntry {
        let events = users.iter().map(|number| LoggedEvent { user: user(*number), is_new: false }).collect();
        LogEntry { name: format!("{:08x}", at & 0xffff_ffff), at, events, told_at: Some(at + 20) }
    }

    fn users(since: &Since, entries: &[LogEntry]) -> Vec<u128> {
        since.missed(entries).unwrap().into_iter().map(|missed| missed.user.as_u128()).collect()
    }

    fn since(issued_at: i64, offset: &Offset) -> Since {
        Since::new(issued_at, Some(&offset.to_string()), NOW).unwrap()
    }

    #[test]
    fn each_user_comes_once_in_the_order_of_the_last_events() {
        let log = [entry(NOW - 3_000, &[1]), entry(NOW - 2_000, &[2, 1, 3]), entry(NOW - 1_000, &[2])];
        let heard = since(NOW - 60_000, &Offset::of_event(&log[0], 0));
        assert_eq!(users(&heard, &log), [1, 3, 2]);
        let in_the_middle = since(NOW - 60_000, &Offset::of_event(&log[1], 1));
        assert_eq!(users(&in_the_middle, &log), [3, 2]);
        assert!(users(&since(NOW - 60_000, &Offset::of_event(&log[2], 0)), &log).is_empty());
    }

    #[test]
    fn what_was_on_its_way_when_the_last_event_was_heard_is_told() {
        let mut slow = entry(NOW - 30_000, &[1]);
        let last = entry(NOW - 2_000, &[2]);
        let heard = since(NOW - 600_000, &Offset::of_event(&last, 0));
        assert!(users(&heard, &[slow.clone(), last.clone()]).is_empty());
        for told_at in [None, Some(NOW)] {
            slow.told_at = told_at;
            assert_eq!(users(&heard, &[slow.clone(), last.clone()]), [1]);
        }
    }

    #[test]
    fn without_an_offset_it_is_what_changed_since_the_pid_was_issued() {
        let log = [entry(NOW - 50_000, &[1]), entry(NOW - 30_000, &[2])];
        for absent in [None, Some("nonsense"), Some("users.updated"), Some("9999999999999"), Some("0000000000000")] {
            assert_eq!(users(&Since::new(NOW - 40_000, absent, NOW).unwrap(), &log), [2], "{absent:?}");
        }
        // What a client was told before it loaded the list it has from the list.
        let older = Offset::of_event(&entry(NOW - 55_000, &[7]), 0).to_string();
        assert_eq!(users(&Since::new(NOW - 40_000, Some(&older), NOW).unwrap(), &log), [2]);
    }

    #[test]
    fn a_clock_that_is_a_little_ahead_costs_nobody_an_offset() {
        let ahead = entry(NOW + 400, &[1]);
        let heard = since(NOW - 60_000, &Offset::of_event(&ahead, 0));
        assert!(users(&heard, &[entry(NOW - 30_000, &[2]), ahead]).is_empty());
    }

    #[test]
    fn who_was_registered_meanwhile_is_new_whatever_happened_then() {
        let mut log = [entry(NOW - 3_000, &[1, 2]), entry(NOW - 2_000, &[1])];
        log[0].events[0].is_new = true;
        let missed = Since::new(NOW - 60_000, None, NOW).unwrap().missed(&log).unwrap();
        let new: Vec<_> = missed.iter().map(|missed| (missed.user.as_u128(), missed.is_new)).collect();
        assert_eq!(new, [(2, false), (1, true)]);
    }

    #[test]
    fn more_than_five_hundred_users_are_too_much_and_more_events_are_not() {
        let since = Since::new(NOW - 60_000, None, NOW).unwrap();
        let log = |users: u128| (0..5_000).map(|n| entry(NOW - 50_000 + n, &[n as u128 % users])).collect::<Vec<_>>();
        assert_eq!(since.missed(&log(500)).unwrap().len(), 500);
        assert_eq!(since.missed(&log(501)), Err(TooMuch));
    }

    #[test]
    fn an_offset_or_a_pid_older_than_the_log_is_not_recovered() {
        let day = 24 * 60 * 60 * 1000;
        assert!(Since::new(NOW - day, None, NOW).is_none());
        assert!(Since::new(NOW - day + 1_000, None, NOW).is_some());
        let offset = |age| Offset::of_time(NOW - age).to_string();
        assert!(Since::new(NOW - 9 * day, Some(&offset(day)), NOW).is_none());
        assert!(Since::new(NOW - 9 * day, Some(&offset(day - 180_000)), NOW).is_some());
    }

    #[test]
    fn who_was_told_all_that_was_read_is_told_none_of_it_again() {
        let mut log = vec![entry(NOW - 3_000, &[1]), entry(NOW - 10, &[2])];
        log[1].told_at = None;
        let told = since(NOW - 60_000, &Offset::of_reading(&log, NOW));
        assert!(users(&told, &log).is_empty());
        log[1].told_at = Some(NOW + 30);
        log.push(entry(NOW + 40, &[3]));
        assert_eq!(users(&told, &log), [3]);
    }
}
