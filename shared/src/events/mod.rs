//! The events of the platform, one file each, derived from committed changes and from nothing else (ARCHITECTURE.md,
//! "The picture").

mod account_banned;
mod change;
mod users_created;
mod users_deleted;
mod users_updated;

pub use account_banned::MESSAGE as ACCOUNT_BANNED_MESSAGE;
pub use change::{Change, PoisonedRecord};

use std::sync::Arc;

use serde_json::Value;

use crate::{connections::Room, protocol::Packet};

/// The namespace all events are emitted on.
pub const NAMESPACE: &str = "/users";

/// One event for one room.
#[derive(Debug, Clone, PartialEq)]
pub struct Emission {
    /// Its name.
    pub name: &'static str,
    /// Who hears it.
    pub room: Room,
    /// The event as a WebSocket message, encoded once for all sockets.
    pub frame: Arc<str>,
    /// Set if the room's sockets are thrown out after hearing it (ARCHITECTURE.md, "A ban ends in a close"): those that
    /// joined in an earlier [session generation](crate::users::User::session_generation) than this. Who joined later,
    /// after an unban, neither hears it nor goes, however late the event is.
    pub kick_before: Option<u32>,
}

impl Emission {
    /// An event with its one argument.
    fn new(room: Room, name: &'static str, payload: Value) -> Self {
        Self { name, room, frame: Packet::event(NAMESPACE, name, payload).to_frame().into(), kick_before: None }
    }

    /// Whether it is for a member of its room that joined in this session generation.
    #[must_use]
    pub fn is_for(&self, generation: Option<u32>) -> bool {
        let (Some(kick_before), Some(generation)) = (self.kick_before, generation) else { return true };
        generation < kick_before
    }
}

/// What each event looks for in a change. The order is the order on the wire.
#[rustfmt::skip]
const EVENTS: &[fn(&Change) -> Option<Emission>] = &[
    users_created::from_change,
    users_updated::from_change,
    users_deleted::from_change,
    account_banned::from_change,
];

/// The events of a change; none if nothing public changed.
pub fn from_change(change: &Change) -> impl Iterator<Item = Emission> {
    EVENTS.iter().filter_map(move |event| event(change))
}

#[cfg(test)]
mod tests;
