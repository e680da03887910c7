//! What a minute has to do, from what is known of the minutes before. Pure: no I/O, and time is an argument.
//!
//! There is a task for each slot, and one for what is due. Of a slot its connections are pinged in its turn, and two
//! minutes later those that did not answer are closed. What a minute could not do is owed by the next.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shared::heartbeat::{PARTS, PONG_TIMEOUT, SLOTS, slot_at};

/// The name of the task for what is due.
pub(crate) const SWEEP: &str = "DUE";

/// How far back the first heartbeat of all looks: nobody's token has ended before, and nobody waited for a CONNECT.
const FIRST_LOOK: i64 = 20 * 60;

/// How far back it looks at the most: API Gateway has closed what is older.
const LONGEST_LOOK: i64 = 130 * 60;

/// Seconds that are looked at twice: a row may be read a moment after it was written, and clocks differ.
const OVERLAP: i64 = 5;

/// How far a task has come, as it is stored.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Progress {
    /// The progress of a slot: the minute, counted from the epoch, whose turn was the last to be finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) minute: Option<i64>,
    /// When that turn was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pinged: Option<Pinged>,
    /// Whether those that did not answer are closed.
    #[serde(default)]
    pub(crate) checked: bool,
    /// How many connections the slot had then.
    #[serde(default)]
    pub(crate) connections: u64,
    /// A turn that ran out of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) interrupted: Option<Turn>,
    /// The progress of what is due: everything until this time is done, epoch seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) swept: Option<i64>,
}

/// When a slot was pinged, epoch seconds. Who was seen since `started` is alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pinged {
    pub(crate) started: i64,
    pub(crate) ended: i64,
}

/// The turn of a slot: a walk over its connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Turn {
    /// The minute whose turn it is.
    pub(crate) minute: i64,
    /// When the turn began, epoch seconds.
    pub(crate) started: i64,
    /// How many connections were visited until now.
    pub(crate) visited: u64,
    /// The parts that are left (the key is the number), each with the connection after which it goes on.
    pub(crate) left: BTreeMap<String, Option<String>>,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Job {
    /// Ping a slot. Who did not answer the time before is closed instead.
    Ping { slot: u8, turn: Turn, before: Option<Pinged> },
    /// Close those of a slot that did not answer.
    Check { slot: u8, pinged: Pinged },
    /// Close what is due between these times, epoch seconds.
    Sweep { from: i64, until: i64 },
}

impl Job {
    /// The task it belongs to.
    pub(crate) fn task(&self) -> String {
        match self {
            Self::Ping { slot, .. } | Self::Check { slot, .. } => task_of(*slot),
            Self::Sweep { .. } => SWEEP.to_owned(),
        }
    }
}

fn task_of(slot: u8) -> String {
    format!("SLOT#{slot}")
}

/// What is to be done at this time (epoch seconds), by what is known of each task.
pub(crate) fn plan(known: &BTreeMap<String, Progress>, now: i64) -> Vec<Job> {
    let minute = now.div_euclid(60);
    let last = known.values().filter_map(|progress| progress.minute).max();
    let slots = (0..SLOTS).filter_map(|slot| of_slot(slot, known.get(&task_of(slot)), last, minute, now));
    let swept = known.get(SWEEP).and_then(|progress| progress.swept);
    let from = swept.map_or(now - FIRST_LOOK, |swept| (swept - OVERLAP).max(now - LONGEST_LOOK));
    // An invocation that comes late finds that the one after it has swept already.
    let sweep = swept.is_none_or(|swept| swept < now).then_some(Job::Sweep { from, until: now });
    sweep.into_iter().chain(slots).collect()
}

/// `last`: the latest minute of all slots. Without one nothing is owed from before.
fn of_slot(slot: u8, known: Option<&Progress>, last: Option<i64>, minute: i64, now: i64) -> Option<Job> {
    let nothing = Progress::default();
    let Progress { minute: finished, pinged, checked, interrupted, .. } = known.unwrap_or(&nothing);
    // The latest minute that was this slot's turn.
    let turn = minute - (minute - i64::from(slot)).rem_euclid(i64::from(SLOTS));
    let missed = finished.or(last).is_some_and(|before| before < turn);
    let now_its_turn = slot == slot_at(minute) && finished.is_none_or(|before| before < turn);
    if interrupted.is_some() || missed || now_its_turn {
        let of_this_turn = interrupted.clone().filter(|interrupted| interrupted.minute >= turn);
        let left = (0..PARTS).map(|part| (part.to_string(), None)).collect();
        let turn = of_this_turn.unwrap_or(Turn { minute: turn, started: now, visited: 0, left });
        return Some(Job::Ping { slot, turn, before: pinged.clone() });
    }
    let unchecked = pinged.clone().filter(|pinged| !checked && now - pinged.ended >= PONG_TIMEOUT);
    unchecked.map(|pinged| Job::Check { slot, pinged })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pings(jobs: &[Job]) -> Vec<(u8, i64)> {
        let ping = |job: &Job| if let Job::Ping { slot, turn, .. } = job { Some((*slot, turn.minute)) } else { None };
        jobs.iter().filter_map(ping).collect()
    }

    fn checks(jobs: &[Job]) -> Vec<u8> {
        jobs.iter().filter_map(|job| if let Job::Check { slot, .. } = job { Some(*slot) } else { None }).collect()
    }

    fn sweep(jobs: &[Job]) -> Option<(i64, i64)> {
        jobs.iter().find_map(|job| if let Job::Sweep { from, until } = job { Some((*from, *until)) } else { None })
    }

    /// A heartbeat does everything it has planned.
    fn beat(known: &mut BTreeMap<String, Progress>, now: i64) -> Vec<Job> {
        let jobs = plan(known, now);
        for job in &jobs {
            let progress = known.entry(job.task()).or_default();
            match job {
                Job::Ping { turn, .. } => {
                    let pinged = Some(Pinged { started: now, ended: now + 5 });
                    *progress = Progress { minute: Some(turn.minute), pinged, ..Progress::default() };
                }
                Job::Check { .. } => progress.checked = true,
                Job::Sweep { until, .. } => progress.swept = Some(*until),
            }
        }
        jobs
    }

    #[test]
    fn a_minute_pings_its_slot_and_two_minutes_later_those_that_did_not_answer_are_closed() {
        let mut known = BTreeMap::new();
        let jobs: Vec<_> = (80..90).map(|minute| beat(&mut known, minute * 60 + 7)).collect();
        for (jobs, minute) in jobs.iter().zip(80..) {
            assert_eq!(pings(jobs), [(slot_at(minute), minute)]);
            let checked = (minute >= 82).then(|| slot_at(minute - 2));
            assert_eq!(checks(jobs), Vec::from_iter(checked), "minute {minute}");
        }
    }

    #[test]
    fn a_minute_sweeps_from_where_the_one_before_it_ended() {
        let mut known = BTreeMap::new();
        assert_eq!(sweep(&beat(&mut known, 100_007)), Some((100_007 - 1200, 100_007)));
        assert_eq!(sweep(&beat(&mut known, 100_067)), Some((100_002, 100_067)));
        assert_eq!(sweep(&beat(&mut known, 100_067)), None, "a minute that comes twice");
        assert_eq!(sweep(&beat(&mut known, 100_007)), None, "a minute that comes late");
        let days_later = 100_067 + 200_000;
        assert_eq!(sweep(&beat(&mut known, days_later)), Some((days_later - 7800, days_later)));
    }

    #[test]
    fn a_minute_that_failed_or_never_came_is_made_up_for_by_the_next() {
        let mut known = BTreeMap::new();
        assert_eq!(pings(&beat(&mut known, 80 * 60)), [(0, 80)]);
        assert_eq!(pings(&beat(&mut known, 83 * 60)), [(1, 81), (2, 82), (3, 83)]);
        assert_eq!(pings(&beat(&mut known, 83 * 60)), [], "a minute that comes twice");
        assert_eq!(pings(&beat(&mut known, 82 * 60)), [], "a minute that comes late");
        let all: Vec<_> = (0..SLOTS).collect();
        let pinged: Vec<_> = pings(&beat(&mut known, 10_000 * 60)).into_iter().map(|(slot, _)| slot).collect();
        assert_eq!(pinged, all, "each slot once, however long it was");
    }

    #[test]
    fn a_turn_that_ran_out_of_time_goes_on_where_it_stopped_beside_the_next() {
        let mut known = BTreeMap::new();
        beat(&mut known, 82 * 60);
        let left = BTreeMap::from([("3".to_owned(), Some("a=".to_owned())), ("4".to_owned(), None)]);
        let turn = Turn { minute: 83, started: 83 * 60, visited: 70, left };
        known.insert(task_of(3), Progress { interrupted: Some(turn.clone()), ..Progress::default() });
        let jobs = plan(&known, 84 * 60);
        assert_eq!(pings(&jobs), [(3, 83), (4, 84)]);
        assert!(jobs.contains(&Job::Ping { slot: 3, turn, before: None }));
    }

    #[test]
    fn a_turn_that_was_never_finished_begins_anew_when_the_next_has_come() {
        let turn = Turn { minute: 83, started: 83 * 60, visited: 70, left: BTreeMap::new() };
        let known = BTreeMap::from([(task_of(3), Progress { interrupted: Some(turn), ..Progress::default() })]);
        let jobs = plan(&known, 91 * 60);
        let Some(Job::Ping { slot: 3, turn, .. }) = jobs.iter().find(|job| job.task() == task_of(3)) else {
            panic!("{jobs:?}")
        };
        assert_eq!((turn.minute, turn.started, turn.visited, turn.left.len()), (91, 91 * 60, 0, usize::from(PARTS)));
    }
}
