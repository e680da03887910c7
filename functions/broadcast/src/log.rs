//! The log of a room, for those who are away: written before its members are read, and noted when all of them were told.

use shared::{
    connections::{LogEntry, LoggedEvent, Room},
    recovery::Offset,
};

use crate::{
    Broadcast,
    batch::{Batch, RoomEvents},
};

/// What became of the logs of a batch.
#[derive(Default)]
pub(crate) struct Logs {
    written: Vec<(Room, LogEntry)>,
    /// Rooms whose log could not be written, by their index: nobody is told there, as who is away would never hear of it.
    pub(crate) unwritten: Vec<usize>,
}

impl Broadcast {
    /// Writes what rooms are about to be told, and gives each event that is in a log its message with the offset there.
    pub(crate) async fn log(&self, batch: &mut Batch) -> Logs {
        let mut logs = Logs::default();
        for (index, room) in batch.rooms.iter_mut().enumerate() {
            let events: Vec<_> = events(room).collect();
            if events.is_empty() {
                continue;
            }
            let entry = LogEntry::new(events);
            if let Err(error) = self.connections.log(&room.room, &entry).await {
                error.log();
                logs.unwritten.push(index);
                continue;
            }
            give_offsets(room, &entry);
            logs.written.push((room.room.clone(), entry));
        }
        logs
    }

    /// Notes that everyone was told. Without that who comes back is told some events once more.
    pub(crate) async fn note_told(&self, logs: Logs) {
        for (room, mut entry) in logs.written {
            entry.told();
            if let Err(error) = self.connections.log(&room, &entry).await {
                error.log();
            }
        }
    }
}

fn events(room: &RoomEvents) -> impl Iterator<Item = LoggedEvent> {
    room.steps.iter().filter_map(|step| step.emission.logged)
}

fn give_offsets(room: &mut RoomEvents, entry: &LogEntry) {
    let logged = room.steps.iter_mut().filter(|step| step.emission.logged.is_some());
    for (place, step) in logged.enumerate() {
        step.frame_with_offset = Some(step.emission.frame_with(&Offset::of_event(entry, place)));
    }
}

#[cfg(test)]
mod tests;
