//! `users.created`: to the feed, after a registration.

use serde_json::json;

use super::{Change, Emission, Event, FEED};
use crate::{connections::Room, contract::Schemas, users::PublicUser};

pub(super) const EVENT: Event = Event {
    name: NAME,
    heard_by: FEED,
    when: "Somebody registered.",
    payload: Schemas::add::<PublicUser>,
    from_change,
};

const NAME: &str = "users.created";

fn from_change(change: &Change) -> Option<Emission> {
    let Change::Created(user) = change else { return None };
    Some(Emission::new(Room::feed(), NAME, json!(PublicUser::from(user))))
}
