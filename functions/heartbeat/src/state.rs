//! What the heartbeat remembers from one minute to the next: where it was interrupted, and when each slot was pinged.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use shared::{
    connections::PageKey,
    heartbeat::{SLOTS, slot_at},
};

/// Stored in the connections table.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The last minute that came to an end, counted from the epoch. Whatever fails saves nothing, so it is owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    minute: Option<i64>,
    /// A pass that ran out of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interrupted: Option<Pass>,
    /// Slots whose minute came while an interrupted pass was being finished.
    #[serde(default)]
    owed: BTreeSet<u8>,
    /// The last complete pass of each slot (the key is its number).
    #[serde(default)]
    pub(crate) pinged: BTreeMap<String, Pinged>,
}

/// A walk over all connections that pings some slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pass {
    /// Whom it pings.
    pub(crate) slots: BTreeSet<u8>,
    /// Where it goes on; at the beginning if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<PageKey>,
    /// When it began, epoch seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) started: Option<i64>,
    /// How many connections there were until now.
    #[serde(default)]
    pub(crate) visited: u64,
}

/// When a slot was pinged, epoch seconds. Who was seen since `started` is alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pinged {
    pub(crate) started: i64,
    pub(crate) ended: i64,
}

impl State {
    /// The passes of a minute: the rest of an interrupted one, then that of the slots whose turn it is or was since the
    /// last minute.
    pub(crate) fn begin(&mut self, minute: i64) -> Vec<Pass> {
        // An invocation may come twice, or late.
        let before = self.minute.filter(|last| *last < minute).unwrap_or(minute - 1);
        self.minute = self.minute.max(Some(minute));
        let mut slots = std::mem::take(&mut self.owed);
        slots.extend((before + 1..=minute).rev().take(SLOTS.into()).map(slot_at));
        // Until a pass is finished or interrupted, its slots are owed.
        self.owed.clone_from(&slots);
        let rest = self.interrupted.take();
        rest.into_iter().chain([Pass { slots, from: None, started: None, visited: 0 }]).collect()
    }

    /// A pass ran out of time. If it had visited somebody, it goes on; otherwise its slots stay owed.
    pub(crate) fn stopped(&mut self, pass: Pass) {
        if pass.from.is_some() {
            self.owed.retain(|slot| !pass.slots.contains(slot));
            self.interrupted = Some(pass);
        } else {
            self.owed.extend(pass.slots);
        }
    }

    /// A pass visited everybody.
    pub(crate) fn finished(&mut self, pass: &Pass, started: i64, ended: i64) {
        for slot in &pass.slots {
            self.owed.remove(slot);
            self.pinged.insert(slot.to_string(), Pinged { started, ended });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> PageKey {
        serde_json::from_value(serde_json::json!({"pk": "CONNECTION#a=", "sk": "META"})).unwrap()
    }

    #[test]
    fn a_minute_pings_its_slot() {
        let mut state = State::default();
        let passes = state.begin(3);
        assert_eq!(passes.iter().map(|pass| pass.slots.clone()).collect::<Vec<_>>(), [BTreeSet::from([3])]);
        state.finished(&passes[0], 100, 101);
        assert_eq!(state.pinged["3"], Pinged { started: 100, ended: 101 });
        assert_eq!(state.begin(4).len(), 1, "nothing is left over");
    }

    #[test]
    fn a_minute_that_failed_or_never_came_is_made_up_for_by_the_next() {
        let slots = |passes: Vec<Pass>| passes.into_iter().map(|pass| pass.slots).collect::<Vec<_>>();
        let mut state = State::default();
        let first = state.begin(80).remove(0);
        state.finished(&first, 4800, 4801);
        assert_eq!(slots(state.begin(83)), [BTreeSet::from([1, 2, 3])]);
        let mut again = State { minute: Some(83), ..State::default() };
        assert_eq!(slots(again.begin(83)), [BTreeSet::from([3])], "a minute that comes twice");
        assert_eq!(slots(again.begin(82)), [BTreeSet::from([2, 3])], "the slot of an unfinished minute stays owed");
        let mut late = State { minute: Some(83), ..State::default() };
        assert_eq!(slots(late.begin(10_000)), [(0..SLOTS).collect()], "each slot once, however long it was");
    }

    #[test]
    fn an_interrupted_pass_goes_on_where_it_stopped_before_the_next_begins() {
        let mut state = State::default();
        let mut pass = state.begin(3).remove(0);
        pass.from = Some(key());
        state.stopped(pass.clone());
        let passes = state.begin(4);
        assert_eq!(passes, [pass, Pass { slots: BTreeSet::from([4]), from: None, started: None, visited: 0 }]);
    }

    #[test]
    fn a_slot_whose_minute_was_lost_is_pinged_with_the_next() {
        let mut state = State::default();
        let mut pass = state.begin(3).remove(0);
        pass.from = Some(key());
        state.stopped(pass);
        let mut rest = state.begin(4).remove(0);
        rest.from = Some(key());
        // Again out of time: the pass of slot 4 never began.
        state.stopped(rest);
        let passes = state.begin(5);
        assert_eq!(passes[0].slots, BTreeSet::from([3]));
        assert_eq!(passes[1].slots, BTreeSet::from([4, 5]));
    }
}
