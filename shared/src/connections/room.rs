//! Rooms: the audiences of events, and the partitions of the connections table their members are stored in.

use uuid::Uuid;

use super::keys::ROOM;
use crate::{config::FeedShards, heartbeat::hash};

/// The one namespace there is: sockets join it, and all events are emitted on it.
pub const NAMESPACE: &str = "/users";

const FEED: &str = "feed";

/// A room of a namespace; its text form is the (first) partition its members are stored in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Room {
    namespace: &'static str,
    name: String,
}

impl Room {
    /// Everyone who follows all users: administrators, and anonymous sockets where they are allowed.
    #[must_use]
    pub fn feed() -> Self {
        Self { namespace: NAMESPACE, name: FEED.to_owned() }
    }

    /// The sockets of one user.
    #[must_use]
    pub fn user(id: Uuid) -> Self {
        Self { namespace: NAMESPACE, name: format!("user:{id}") }
    }

    /// Whether what it is told is kept for members that are away. What a user's own room is told is never told later.
    #[must_use]
    pub fn has_log(&self) -> bool {
        self.name == FEED
    }

    /// The name of the room with that of its namespace.
    pub(super) fn of_namespace(&self) -> String {
        format!("{}#{}", self.namespace, self.name)
    }

    /// The partition in which a connection that joins the room now is stored.
    #[must_use]
    pub fn partition_of(&self, connection_id: &str, shards: FeedShards) -> String {
        self.partition(shard_of(connection_id, self.shards(shards)))
    }

    /// All partitions in which its members may be stored.
    pub fn partitions(&self, shards: FeedShards) -> impl Iterator<Item = String> {
        (0..self.shards(shards)).map(|shard| self.partition(shard))
    }

    /// How many partitions the room has: only the feed grows with the number of sockets.
    fn shards(&self, shards: FeedShards) -> u8 {
        if self.name == FEED { shards.count() } else { 1 }
    }

    /// The key of a partition. The first one has the plain name, which it had before there were others.
    fn partition(&self, shard: u8) -> String {
        if shard == 0 { self.to_string() } else { format!("{self}#{shard}") }
    }
}

impl std::fmt::Display for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{ROOM}{}", self.of_namespace())
    }
}

/// The partition of a connection, from its id alone. It must stay the same in every version of the program, so that
/// each version finds the rows that another one wrote.
fn shard_of(connection_id: &str, shards: u8) -> u8 {
    u8::try_from((hash(connection_id) >> 32) % u64::from(shards)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards(count: u8) -> FeedShards {
        FeedShards::new(count).unwrap()
    }

    #[test]
    fn one_partition_has_the_plain_name_and_the_others_a_number() {
        let partitions = |room: &Room, count| room.partitions(shards(count)).collect::<Vec<_>>();
        assert_eq!(partitions(&Room::feed(), 1), ["ROOM#/users#feed"]);
        assert_eq!(partitions(&Room::feed(), 3), ["ROOM#/users#feed", "ROOM#/users#feed#1", "ROOM#/users#feed#2"]);
        let user = Room::user(Uuid::nil());
        assert_eq!(partitions(&user, 64), ["ROOM#/users#user:00000000-0000-0000-0000-000000000000"]);
        assert_eq!(user.partition_of("QQFxqeZfIAMCKRA=", shards(64)), user.to_string());
    }

    /// Otherwise rows that another version of the program wrote could not be found.
    #[test]
    fn a_connection_always_has_the_same_partition() {
        assert_eq!(Room::feed().partition_of("L0SM9cOFvHcCIhw=", shards(8)), "ROOM#/users#feed#7");
    }

    #[test]
    fn connections_spread_over_all_partitions_of_the_feed() {
        let mut counts = std::collections::BTreeMap::<String, u32>::new();
        for _ in 0..8000 {
            let mut id = Uuid::new_v4().simple().to_string();
            id.truncate(15);
            *counts.entry(Room::feed().partition_of(&(id + "="), shards(8))).or_default() += 1;
        }
        assert_eq!(counts.keys().cloned().collect::<Vec<_>>(), Room::feed().partitions(shards(8)).collect::<Vec<_>>());
        assert!(counts.values().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
