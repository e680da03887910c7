//! The keys of the connections table: in which partition and under which sort key each kind of item is.
//!
//! The members of a room, and the checkpoints of deliveries to it, are in the partitions that
//! [`Room::partitions`](super::Room::partitions) names.

use super::Room;
use crate::{
    dynamodb::{Item, key},
    heartbeat,
};

/// The names of rooms, and so the partitions of their members, begin with this.
pub(super) const ROOM: &str = "ROOM#";

/// Sort keys of checkpoints begin with this. It sorts before every connection id, so that checkpoints are on the first
/// page of their partition and cost no read of their own.
pub(super) const CHECKPOINT: char = '!';

/// Sort key of the row that says since when a log is complete. It sorts behind all entries, so that whoever reads any of
/// them reads it too.
pub(super) const COMPLETE: &str = "~";

/// The partition of the heartbeat's tasks. Their sort keys are their names.
pub(super) const TASKS: &str = "HEARTBEAT";

/// Sort keys of connections begin with this.
const CONNECTION: &str = "CONNECTION#";

/// The key of a connection's item, derived from its id alone: reading one is a GetItem, though all of a slot are a Query.
pub(super) fn connection(connection_id: &str) -> Item {
    let partition = slot(heartbeat::slot_of(connection_id), heartbeat::part_of(connection_id));
    key(partition, connection_sort_key(connection_id))
}

/// The partition of the connections of a slot's part.
pub(super) fn slot(slot: u8, part: u8) -> String {
    format!("SLOT#{slot}#{part}")
}

/// Sort key of a connection.
pub(super) fn connection_sort_key(connection_id: &str) -> String {
    format!("{CONNECTION}{connection_id}")
}

/// The connection that has this sort key; `None` for another one.
pub(super) fn connection_of(sort_key: &str) -> Option<&str> {
    sort_key.strip_prefix(CONNECTION)
}

/// The partition of what is due in a minute, of a part. Its sort keys are connection ids.
pub(super) fn due(minute: i64, part: u8) -> String {
    format!("DUE#{minute}#{part}")
}

/// The partition of a room's log.
pub(super) fn log(room: &Room) -> String {
    format!("LOG#{}", room.of_namespace())
}
