//! `users.deleted`: to the feed, after a user is gone.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Change, Emission, Event, FEED};
use crate::{connections::Room, contract::Schemas};

pub(super) const EVENT: Event = Event {
    name: NAME,
    heard_by: FEED,
    when: "A user was deleted.",
    payload: Schemas::add::<UserDeleted>,
    from_change,
};

const NAME: &str = "users.deleted";

/// Who is gone.
#[derive(Serialize, ToSchema)]
pub struct UserDeleted {
    /// UUID.
    pub id: Uuid,
}

fn from_change(change: &Change) -> Option<Emission> {
    let Change::Deleted { user, .. } = change else { return None };
    Some(Emission::new(Room::feed(), NAME, json!(UserDeleted { id: user.id })))
}
