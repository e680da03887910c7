//! `users.updated`: to the feed, after a change of anything public.

use serde_json::json;

use super::{Change, Emission};
use crate::{connections::Room, users::PublicUser};

pub(super) fn from_change(change: &Change) -> Option<Emission> {
    let Change::Updated { before, after } = change else { return None };
    let user = PublicUser::from(after);
    // A new password hash or ban reason is nobody's business.
    (user != PublicUser::from(before)).then(|| Emission::new(Room::feed(), "users.updated", json!(user)))
}
