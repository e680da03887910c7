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
use uuid::Uuid;

use crate::{
    connections::{LoggedEvent, NAMESPACE, Room},
    contract::Schemas,
    protocol::Packet,
    recovery::Offset,
    users::{PublicUser, User},
};

/// One event for one room.
#[derive(Debug, Clone, PartialEq)]
pub struct Emission {
    /// The name of the event.
    pub name: &'static str,
    /// Who hears the event.
    pub room: Room,
    /// The event as a WebSocket message, encoded once for all sockets.
    pub frame: Arc<str>,
    /// Set if the room's sockets are thrown out after hearing it (ARCHITECTURE.md, "A ban ends in a close"): those that
    /// joined in an earlier [session generation](crate::users::User::session_generation) than this. Who joined later,
    /// after an unban, neither hears it nor goes, however late the event is.
    pub kick_before: Option<u32>,
    /// What the log of the room keeps of it; `None` for what nobody is told later.
    pub logged: Option<LoggedEvent>,
}

impl Emission {
    /// An event with its one argument.
    fn new(room: Room, name: &'static str, payload: Value) -> Self {
        Self {
            name,
            room,
            frame: Packet::event(NAMESPACE, name, payload).to_frame().into(),
            kick_before: None,
            logged: None,
        }
    }

    /// The message with an offset as second argument, for sockets that asked for recovery.
    #[must_use]
    pub fn frame_with(&self, offset: &Offset) -> Arc<str> {
        let arguments = self.frame.strip_suffix(']').unwrap_or(&self.frame);
        // An offset has no character that JSON would escape.
        format!("{arguments},\"{offset}\"]").into()
    }

    /// Whether the event is for a member of its room that joined in this session generation.
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
    /// The name of the event.
    pub name: &'static str,
    /// Whose sockets hear the event, for people.
    pub heard_by: &'static str,
    /// After what the event is heard, for people.
    pub when: &'static str,
    /// Adds the schema of its one argument; the name of that.
    pub payload: fn(&mut Schemas) -> String,
    /// Whether sockets that asked for recovery are told an offset with it.
    pub has_offset: bool,
    /// The emission that a change leads to, if the event is about such a change.
    from_change: fn(&Change) -> Option<Emission>,
}

/// All events, in their order on the wire.
#[rustfmt::skip]
pub const EVENTS: &[Event] = &[
    users_created::EVENT,
    users_updated::EVENT,
    users_deleted::EVENT,
    account_banned::EVENT,
];

/// What a user has become, for a client that was away meanwhile: as if it had just become so. `user` is `None` for one who
/// is gone, and `is_new` says whether the client never heard of that user.
#[must_use]
pub fn newest(id: Uuid, user: Option<&User>, is_new: bool) -> Emission {
    match user {
        None => users_deleted::emission(id),
        Some(user) if is_new => users_created::emission(user),
        Some(user) => users_updated::emission(&PublicUser::from(user)),
    }
}

/// The events of a change; none if nothing public changed.
pub fn from_change(change: &Change) -> impl Iterator<Item = Emission> {
    EVENTS.iter().filter_map(move |event| (event.from_change)(change))
}

#[cfg(test)]
mod tests;
