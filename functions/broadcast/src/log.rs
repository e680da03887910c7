//! The log of a room, for those who are away: written before its members are read, and noted when all of them were told.

use std::time::Duration;

use futures::future::try_join;
use shared::{
    Error,
    connections::{LogEntry, LoggedEvent, Room},
    recovery::Offset,
};
use tokio::time::timeout;

use crate::{
    Broadcast,
    batch::{Batch, RoomEvents},
};

/// How long writing to a log may take. Sockets that are thrown out wait as long; a log that takes longer counts as one
/// that cannot be written.
const WRITE_LIMIT: Duration = Duration::from_secs(2);

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
            let begun = self.begin_anew(&room.room, &entry, batch.has_waited);
            let written = try_join(begun, self.connections.log(&room.room, &entry));
            if let Err(error) = in_time(written).await {
                error.log();
                logs.unwritten.push(index);
                continue;
            }
            give_offsets(room, &entry);
            logs.written.push((room.room.clone(), entry));
        }
        logs
    }

    /// Changes may have been given up that were in no batch, and that the log does not have.
    async fn begin_anew(&self, room: &Room, entry: &LogEntry, has_waited: bool) -> Result<(), Error> {
        if has_waited { self.connections.begin_log_anew(room, entry.at).await } else { Ok(()) }
    }

    /// Notes that everyone was told. Without that who comes back is told some events once more.
    pub(crate) async fn note_told(&self, logs: Logs) {
        for (room, mut entry) in logs.written {
            entry.told();
            if let Err(error) = in_time(self.connections.log(&room, &entry)).await {
                error.log();
            }
        }
    }
}

async fn in_time<T>(write: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(WRITE_LIMIT, write)
        .await
        .unwrap_or_else(|elapsed| Err(Error::internal("writing to the log of a room")(elapsed)))
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
