//! The events of the platform, one file each, derived from committed changes and from nothing else (ARCHITECTURE.md,
//! "The picture").

mod account_banned;
pub mod auth_renew;
mod change;
mod joining;
mod users_created;
mod users_deleted;
mod users_updated;

pub use account_banned::{AccountBanned, AccountBannedKind, MESSAGE as ACCOUNT_BANNED_MESSAGE};
pub use change::{Change, PoisonedRecord};
pub use joining::{AuthPayload, ConnectRefusal, ConnectRefused, Refusal};
pub use users_deleted::UserDeleted;

use std::sync::Arc;

use serde_json::Value;

use crate::{connections::Room, contract::Schemas, protocol::Packet};

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

/// Who hears the feed.
const FEED: &str = "The feed: administrators, and sockets without a token where those are allowed.";

/// An event that clients may hear: what it is called, who hears it when, and what it says.
pub struct Event {
    /// Its name.
    pub name: &'static str,
    /// Whose sockets hear it, for people.
    pub heard_by: &'static str,
    /// After what, for people.
    pub when: &'static str,
    /// Adds the schema of its one argument; the name of that.
    pub payload: fn(&mut Schemas) -> String,
    /// What it looks for in a change.
    from_change: fn(&Change) -> Option<Emission>,
}

/// All of them. The order is the order on the wire.
#[rustfmt::skip]
pub const EVENTS: &[Event] = &[
    users_created::EVENT,
    users_updated::EVENT,
    users_deleted::EVENT,
    account_banned::EVENT,
];

/// The events of a change; none if nothing public changed.
pub fn from_change(change: &Change) -> impl Iterator<Item = Emission> {
    EVENTS.iter().filter_map(move |event| (event.from_change)(change))
}

#[cfg(test)]
mod tests;
