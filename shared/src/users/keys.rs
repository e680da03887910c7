//! The keys of the users table: in which partition and under which sort key each kind of item is.

use std::fmt::Display;

use uuid::Uuid;

use super::Channel;
use crate::dynamodb::{Item, key};

/// Partitions of what one user, or the administrator, has begin with this.
const OWNER: &str = "USER#";

/// Sort keys of sessions begin with this.
pub(crate) const SESSION: &str = "SESSION#";

/// The partition of what this user has, or the administrator.
pub(crate) fn owner(subject: impl Display) -> String {
    format!("{OWNER}{subject}")
}

/// The owner of a partition; `None` if it is nobody's.
pub(crate) fn subject_of(partition: &str) -> Option<&str> {
    partition.strip_prefix(OWNER)
}

/// The key of a user's profile.
pub(super) fn profile(id: Uuid) -> Item {
    key(owner(id), "PROFILE")
}

/// The key of the item by which an e-mail address is unique, for the form the address has as a key.
pub(super) fn address(form: &str) -> Item {
    key(format!("EMAIL#{form}"), "UNIQUE")
}

/// One of the partitions of the list. Its sort keys are the places of the users.
pub(super) fn list(shard: u8) -> String {
    format!("LIST#{shard}")
}

/// The key of a session.
pub(crate) fn session(subject: &str, family: Uuid) -> Item {
    key(owner(subject), format!("{SESSION}{family}"))
}

/// The key of the code that this user was sent.
pub(crate) fn code(id: Uuid, channel: Channel) -> Item {
    key(owner(id), code_sort_key(channel))
}

/// Sort key of a code; a prefix of it is what `notify` filters the stream by.
pub(crate) fn code_sort_key(channel: Channel) -> &'static str {
    match channel {
        Channel::Email => "CODE#email",
        Channel::Phone => "CODE#phone",
    }
}

/// The key of the counter of what somebody tried.
pub(crate) fn counter(what: &str, who: &str) -> Item {
    key(format!("LIMIT#{what}#{who}"), "WINDOW")
}

/// The key of the answer that is kept under this name.
pub(crate) fn answer(name: &str) -> Item {
    key(format!("REPEAT#{name}"), "ANSWER")
}
