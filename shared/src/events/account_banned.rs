//! `account.banned`: to the user's own sockets, after a ban or a delete. They are thrown out after it.

use serde_json::json;

use super::{Change, Emission};
use crate::{connections::Room, users::iso_millis};

/// What the user is told. Never the reason, which is for administrators.
pub const MESSAGE: &str = "Your account has been disabled by an administrator.";

pub(super) fn from_change(change: &Change) -> Option<Emission> {
    let (kind, user, at, kick_before) = match change {
        Change::Updated { before, after } if after.is_banned && !before.is_banned => {
            ("banned", after, after.banned_at.clone().unwrap_or_default(), after.session_generation)
        }
        // Nobody joins after it.
        Change::Deleted { user, at } => ("deleted", user, iso_millis(*at), u32::MAX),
        _ => return None,
    };
    let payload = json!({ "kind": kind, "message": MESSAGE, "at": at });
    let emission = Emission::new(Room::user(user.id), "account.banned", payload);
    Some(Emission { kick_before: Some(kick_before), ..emission })
}
