//! What is known of a connection: the item of the table.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::auth::Role;

/// A `SLOT#<slot>#<part>`/`CONNECTION#<id>` item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// API Gateway's connection id; ends with `=`.
    pub connection_id: String,
    /// Epoch milliseconds.
    pub connected_at: i64,
    /// The browser origin. Later events do not carry it, so it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// When the client gave its last proof of life, epoch milliseconds.
    pub last_seen: i64,
    /// Whether the connection ever joined a namespace. Leaving all of them later does not change that.
    #[serde(default)]
    pub joined: bool,
    /// The Socket.IO sockets on this connection, by namespace.
    #[serde(default)]
    pub namespaces: BTreeMap<String, Socket>,
    /// TTL, epoch seconds.
    pub expires_at: i64,
}

impl Connection {
    /// Whether a token that it joined a namespace with has ended at this time, epoch seconds.
    #[must_use]
    pub fn has_expired(&self, at: i64) -> bool {
        self.namespaces.values().any(|socket| socket.token_expires_at.is_some_and(|end| end <= at))
    }
}

/// A connection that waits for its open packet: what `connect` tells `handshake`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewConnection {
    /// API Gateway's connection id; ends with `=`.
    pub connection_id: String,
}

/// How long API Gateway may answer 410 about a connection that is only just being opened, counted from its `$connect`;
/// after that a 410 means that it is gone.
///
/// That it does so until `$connect` has been answered is documented, and that it may for a moment more is what
/// everybody sees who posts at once; for how long nobody says (the probe measures it). `$connect` itself takes
/// milliseconds, and two seconds or so after a cold start that meets a database which has to be asked twice. So this is
/// long rather than short: a connection that is gone and taken for one that opens costs a few calls and delays nobody,
/// while one that opens and is taken for gone is closed under a client that did nothing wrong.
pub const OPENS_WITHIN: Duration = Duration::from_secs(5);

/// Whether API Gateway may not know a connection yet. Both are epoch milliseconds.
#[must_use]
pub fn may_be_opening(connected_at: i64, now: i64) -> bool {
    // Clocks differ: a connection may seem to begin after this moment. It counts as new.
    Duration::from_millis(u64::try_from(now.saturating_sub(connected_at)).unwrap_or(0)) < OPENS_WITHIN
}

/// One joined namespace of a connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Socket {
    /// New with every CONNECT. The Socket.IO id, unless the socket was recovered: its client keeps the id it had.
    pub sid: String,
    /// The user or administrator behind it; absent for anonymous sockets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What that one may be; absent for anonymous sockets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// When the token that the socket has now expires, epoch seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expires_at: Option<i64>,
    /// Partition keys of the rooms it is in.
    pub rooms: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_may_be_opening_for_five_seconds() {
        let at = |passed| may_be_opening(1_739_125_380_000, 1_739_125_380_000 + passed);
        assert_eq!([at(-50), at(0), at(4_999), at(5_000), at(i64::MAX / 2)], [true, true, true, false, false]);
        assert!(!may_be_opening(0, 1_739_125_380_000), "one that says nothing of its age is old");
    }
}
