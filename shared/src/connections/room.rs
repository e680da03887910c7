//! Rooms: the audiences of events.

use uuid::Uuid;

use crate::events::NAMESPACE;

/// A room of a namespace; its text form is the partition its members are stored in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Room {
    namespace: &'static str,
    name: String,
}

impl Room {
    /// Everyone who follows all users: administrators, and anonymous sockets where they are allowed.
    #[must_use]
    pub fn feed() -> Self {
        Self { namespace: NAMESPACE, name: "feed".to_owned() }
    }

    /// The sockets of one user.
    #[must_use]
    pub fn user(id: Uuid) -> Self {
        Self { namespace: NAMESPACE, name: format!("user:{id}") }
    }
}

impl std::fmt::Display for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ROOM#{}#{}", self.namespace, self.name)
    }
}
