//! How far a delivery came: which record has to come again, and where its next attempt goes on.

use std::collections::BTreeMap;

use shared::connections::DeliveryCheckpoint;

use super::{
    Delivery,
    room::{Queue, Room},
};

/// What to do about the checkpoint of a partition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Checkpoint {
    /// An earlier attempt left this checkpoint, and it is not needed any more.
    Delete(String),
    /// The next attempt goes on from this checkpoint.
    Save(DeliveryCheckpoint),
}

impl Delivery {
    /// The first record that was not told to everyone; the event source has to bring it again.
    pub(crate) fn undelivered(&self) -> Option<usize> {
        self.rooms.iter().filter_map(|room| Some(room.steps.get(room.unfinished()?)?.record)).min()
    }

    /// What becomes of checkpoints: index of the room, of its partition, and what to do.
    pub(crate) fn checkpoints(&self) -> Vec<(usize, usize, Checkpoint)> {
        let again = self.undelivered();
        let rooms = self.rooms.iter().enumerate();
        let all = rooms.flat_map(|(index, room)| {
            (0..room.resumed.len())
                .filter_map(move |partition| Some((index, partition, room.checkpoint(partition, again)?)))
        });
        all.collect()
    }
}

impl Room {
    /// The first step that somebody was not told.
    fn unfinished(&self) -> Option<usize> {
        let behind = self.queues.values().map(Queue::told).min();
        let is_read = self.unread == 0 && !self.is_unreadable;
        let handed_out = if !is_read {
            // Members that were not read have heard nothing, unless an earlier attempt told them.
            Some(0)
        } else if self.index < self.audience.len() {
            Some(self.pass)
        } else {
            Some(self.pass + 1).filter(|next| *next < self.steps.len())
        };
        behind.into_iter().chain(handed_out).min()
    }

    /// What to do about the checkpoint of a partition. `again`: the first record of the batch that comes again, if one
    /// does.
    fn checkpoint(&self, partition: usize, again: Option<usize>) -> Option<Checkpoint> {
        let before = self.resumed.get(partition)?.as_ref();
        let first = again.and_then(|record| self.steps.iter().position(|step| step.record >= record));
        let Some(first) = first else {
            // None of these steps comes again; but later ones that the earlier attempt told already may.
            let before = before?;
            let told = before.offset + self.steps.len();
            return Some(if told >= before.checkpoint.changes.len() {
                Checkpoint::Delete(before.checkpoint.id.clone())
            } else {
                Checkpoint::Save(DeliveryCheckpoint { laggards: BTreeMap::new(), ..before.checkpoint.clone() })
            });
        };
        let (pass, position) = self.furthest(partition)?;
        if pass < first || self.audience.len() == 0 {
            return None;
        }
        let changes = &self.steps[first..=pass];
        let mut checkpoint = DeliveryCheckpoint {
            id: before.map_or_else(
                || DeliveryCheckpoint::id_of(&changes[0].sequence_number),
                |before| before.checkpoint.id.clone(),
            ),
            changes: changes.iter().map(|step| step.sequence_number.to_string()).collect(),
            position,
            laggards: BTreeMap::new(),
        };
        checkpoint.laggards = self.laggards(partition, first, &checkpoint);
        Some(Checkpoint::Save(checkpoint))
    }

    /// Members that were told less than the checkpoint says of all others, and how many of its changes they were told.
    fn laggards(&self, partition: usize, first: usize, checkpoint: &DeliveryCheckpoint) -> BTreeMap<String, usize> {
        let mut laggards = BTreeMap::new();
        if let Some(Some(before)) = self.resumed.get(partition)
            && (self.unread > 0 || self.is_unreadable)
        {
            // Some of these may not have been read again.
            let told = |told: &usize| told.saturating_sub(before.offset + first);
            laggards.extend(before.checkpoint.laggards.iter().map(|(id, told_then)| (id.clone(), told(told_then))));
        }
        for member in 0..self.audience.len() {
            if self.audience.partition(member) != partition {
                continue;
            }
            let id = self.audience.id(member);
            let told = self.told(member).saturating_sub(first);
            if self.audience.has_ended(member) || told >= checkpoint.told(id) {
                laggards.remove(id);
            } else {
                laggards.insert(id.to_owned(), told);
            }
        }
        laggards
    }

    /// How many steps a member was told.
    fn told(&self, member: u32) -> usize {
        let now = match self.queues.get(&member) {
            Some(queue) => queue.told(),
            None if member < self.index => self.pass + 1,
            None => self.pass,
        };
        now.max(self.told_before(member))
    }

    /// The last step that was told to members of a partition, by this attempt or by one before, and up to which member;
    /// `None` if nobody was told anything.
    fn furthest(&self, partition: usize) -> Option<(usize, Option<String>)> {
        let position = self.audience.last_before(partition, self.index).map(|last| self.audience.id(last).to_owned());
        let Some(Some(before)) = self.resumed.get(partition) else {
            let begun = self.pass > 0 || position.is_some();
            return begun.then_some((self.pass, position));
        };
        let last =
            (before.checkpoint.changes.len().min(before.offset + self.steps.len())).checked_sub(before.offset + 1)?;
        // A batch of fewer records than the earlier attempt had: everyone was told all of them already.
        let covers = before.offset + self.steps.len() >= before.checkpoint.changes.len();
        let old = if covers { before.checkpoint.position.clone() } else { Some(char::MAX.to_string()) };
        Some(match self.pass.cmp(&last) {
            std::cmp::Ordering::Less => (last, old),
            std::cmp::Ordering::Equal => (last, old.max(position)),
            std::cmp::Ordering::Greater => (self.pass, position),
        })
    }
}
