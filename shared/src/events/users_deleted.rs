//! `users.deleted`: to the feed, after a user is gone.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Change, Emission, Event, FEED};
use crate::{
    connections::{LoggedEvent, Room},
    contract::Schemas,
};

pub(super) const EVENT: Event = Event {
    name: NAME,
    heard_by: FEED,
    when: "A user was deleted.",
    payload: Schemas::add::<UserDeleted>,
    has_offset: true,
    from_change,
};

const NAME: &str = "users.deleted";

/// The user who is gone.
#[derive(Serialize, ToSchema)]
pub struct UserDeleted {
    /// UUID.
    pub id: Uuid,
}

fn from_change(change: &Change) -> Option<Emission> {
    let Change::Deleted { user, .. } = change else { return None };
    Some(emission(user.id))
}

pub(super) fn emission(id: Uuid) -> Emission {
    let logged = LoggedEvent { user: id, is_new: false };
    Emission { logged: Some(logged), ..Emission::new(Room::feed(), NAME, json!(UserDeleted { id })) }
}
