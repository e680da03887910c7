//! `users.created`: to the feed, after a registration.

use serde_json::json;

use super::{Change, Emission};
use crate::{connections::Room, users::PublicUser};

pub(super) fn from_change(change: &Change) -> Option<Emission> {
    let Change::Created(user) = change else { return None };
    Some(Emission::new(Room::feed(), "users.created", json!(PublicUser::from(user))))
}
