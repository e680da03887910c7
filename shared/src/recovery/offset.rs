//! Offsets: what a client has, as the last argument of the last event it has heard.

use std::{fmt, str::FromStr};

use super::SKEW;
use crate::connections::LogEntry;

/// Entries an offset names at the most.
const MOST_KNOWN: usize = 32;

/// A time and entries of the log. Who was given it knows all entries that had been told to everyone before that time, and
/// those it names. Written as `<epoch milliseconds>-<entry>.<place>-<entry>`: of an entry with a place all events up to
/// there, of one without all.
///
/// An offset that goes with an event names the entry the event is in: its events are told to each socket in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offset {
    at: i64,
    known: Vec<Known>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    entry: String,
    up_to: Option<usize>,
}

impl Offset {
    /// What an offset looks like, as a regular expression.
    pub const PATTERN: &str = "^[0-9]{13}(-[0-9a-f]{8}(\\.[0-9]{1,4})?)*$";

    /// The offset of a client that has everything from before this time, epoch milliseconds.
    #[must_use]
    pub fn of_time(at: i64) -> Self {
        Self { at, known: Vec::new() }
    }

    /// The offset of the event at this place in an entry of the log.
    #[must_use]
    pub fn of_event(entry: &LogEntry, place: usize) -> Self {
        Self { at: entry.at, known: vec![Known { entry: entry.name.clone(), up_to: Some(place) }] }
    }

    /// The offset of a client that was told all of these entries, which were read at this time, epoch milliseconds.
    #[must_use]
    pub fn of_reading(entries: &[LogEntry], at: i64) -> Self {
        let mut offset = Self::of_time(at);
        let newest_first = entries.iter().rev();
        // More at a time than it may name would be told again.
        let unnamed: Vec<_> = newest_first.filter(|entry| !offset.knows(entry, 0)).take(MOST_KNOWN).collect();
        offset.known = unnamed.iter().map(|entry| Known { entry: entry.name.clone(), up_to: None }).collect();
        offset
    }

    /// The time of the offset, epoch milliseconds.
    #[must_use]
    pub fn at(&self) -> i64 {
        self.at
    }

    /// Whether the event at this place in an entry is known to the client.
    pub(super) fn knows(&self, entry: &LogEntry, place: usize) -> bool {
        match self.known.iter().find(|known| known.entry == entry.name) {
            Some(Known { up_to, .. }) => up_to.is_none_or(|up_to| place <= up_to),
            None => entry.told_at.is_some_and(|told_at| told_at + SKEW < self.at),
        }
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:013}", self.at)?;
        for Known { entry, up_to } in &self.known {
            write!(f, "-{entry}")?;
            if let Some(up_to) = up_to {
                write!(f, ".{up_to}")?;
            }
        }
        Ok(())
    }
}

/// A text that is no offset of ours.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an offset")]
pub struct NotAnOffset;

impl FromStr for Offset {
    type Err = NotAnOffset;

    fn from_str(text: &str) -> Result<Self, NotAnOffset> {
        let digits = |text: &str, most: usize| {
            let is_number = (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then_some(()).ok_or(NotAnOffset)
        };
        let mut parts = text.split('-');
        let at = parts.next().filter(|at| at.len() == 13).ok_or(NotAnOffset)?;
        digits(at, 13)?;
        let at = at.parse().map_err(|_| NotAnOffset)?;
        let known = parts.map(|part| {
            let (entry, up_to) = part.split_once('.').map_or((part, None), |(entry, up_to)| (entry, Some(up_to)));
            if !LogEntry::is_name(entry) {
                return Err(NotAnOffset);
            }
            up_to.map_or(Ok(()), |up_to| digits(up_to, 4))?;
            let up_to = up_to.map(str::parse).transpose().map_err(|_| NotAnOffset)?;
            Ok(Known { entry: entry.to_owned(), up_to })
        });
        let known: Vec<_> = known.collect::<Result<_, _>>()?;
        if known.len() > MOST_KNOWN { Err(NotAnOffset) } else { Ok(Self { at, known }) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_739_125_407_396;

    fn entry(name: &str, at: i64, told_at: Option<i64>) -> LogEntry {
        LogEntry { name: name.to_owned(), at, events: Vec::new(), told_at }
    }

    #[test]
    fn an_offset_is_read_as_it_was_written() {
        let entry = entry("0badcafe", NOW, None);
        for (offset, text) in [
            (Offset::of_event(&entry, 12), "1739125407396-0badcafe.12"),
            (Offset::of_time(NOW), "1739125407396"),
            (Offset::of_reading(&[entry], NOW + 1), "1739125407397-0badcafe"),
        ] {
            assert_eq!(offset.to_string(), text);
            assert_eq!(text.parse(), Ok(offset));
        }
    }

    #[test]
    fn anything_else_is_no_offset() {
        for text in [
            "",
            "users.updated",
            "a good friend",
            "173912540739",
            "17391254073960",
            "+739125407396",
            "1739125407396-",
            "1739125407396-0badcafe.",
            "1739125407396-0badcafe.-1",
            "1739125407396-0BADCAFE",
            "1739125407396-0badcafe.12345",
            "1739125407396-0badcafe.1.1",
            " 1739125407396",
            "1739125407396\n",
            "१७३९१२५४०७३९६",
        ] {
            assert_eq!(text.parse::<Offset>(), Err(NotAnOffset), "{text:?}");
        }
        let many = format!("{NOW}{}", "-0badcafe".repeat(MOST_KNOWN + 1));
        assert_eq!(many.parse::<Offset>(), Err(NotAnOffset));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[0-9a-f.-]{0,40}|\\PC*") {
            if let Ok(offset) = text.parse::<Offset>() {
                prop_assert_eq!(offset.to_string().parse(), Ok(offset));
            }
        }
    }

    #[test]
    fn who_heard_an_event_knows_those_before_it_in_its_entry_and_what_all_were_told_before() {
        let offset = Offset::of_event(&entry("0badcafe", NOW, None), 2);
        let own = entry("0badcafe", NOW, None);
        assert_eq!([1, 2, 3].map(|place| offset.knows(&own, place)), [true, true, false]);
        let knows = |told_at| offset.knows(&entry("00000001", NOW - 5_000, told_at), 0);
        assert_eq!([knows(Some(NOW - SKEW - 1)), knows(Some(NOW - SKEW)), knows(None)], [true, false, false]);
    }

    #[test]
    fn who_was_told_a_whole_reading_knows_also_what_was_on_its_way_then() {
        let read = [entry("00000001", NOW - 9_000, Some(NOW - 8_000)), entry("00000002", NOW - 10, None)];
        let offset = Offset::of_reading(&read, NOW);
        assert!(read.iter().all(|entry| offset.knows(entry, 7)));
        assert_eq!(offset.to_string(), format!("{NOW}-00000002"), "and names no more than it has to");
        assert!(!offset.knows(&entry("00000003", NOW - 10, Some(NOW + 50)), 0), "one that was written late");
    }
}
