//! What is known of a connection: the item of the table.

use std::collections::BTreeMap;

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
    /// Whether it ever joined a namespace. Leaving all of them later does not change that.
    #[serde(default)]
    pub joined: bool,
    /// The Socket.IO sockets on this connection, by namespace.
    #[serde(default)]
    pub namespaces: BTreeMap<String, Socket>,
    /// TTL, epoch seconds.
    pub expires_at: i64,
}

/// A connection that waits for its open packet: what `connect` tells `handshake`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewConnection {
    /// API Gateway's connection id; ends with `=`.
    pub connection_id: String,
}

/// One joined namespace of a connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Socket {
    /// Socket.IO id, new with every CONNECT.
    pub sid: String,
    /// The user or administrator behind it; absent for anonymous sockets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What that one may be; absent for anonymous sockets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// When the token it has now expires, epoch seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expires_at: Option<i64>,
    /// Partition keys of the rooms it is in.
    pub rooms: Vec<String>,
}
