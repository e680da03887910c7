//! `users.deleted`: to the feed, after a user is gone.

use serde_json::json;

use super::{Change, Emission};
use crate::connections::Room;

pub(super) fn from_change(change: &Change) -> Option<Emission> {
    let Change::Deleted { user, .. } = change else { return None };
    Some(Emission::new(Room::feed(), "users.deleted", json!({ "id": user.id })))
}
