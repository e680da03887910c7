//! `users.created`: to the feed, after a registration.

use serde_json::json;

use super::{Change, Emission, Event, FEED};
use crate::{
    connections::{LoggedEvent, Room},
    contract::Schemas,
    users::{PublicUser, User},
};

pub(super) const EVENT: Event = Event {
    name: NAME,
    heard_by: FEED,
    when: "Somebody registered.",
    payload: Schemas::add::<PublicUser>,
    has_offset: true,
    from_change,
};

const NAME: &str = "users.created";

fn from_change(change: &Change) -> Option<Emission> {
    let Change::Created(user) = change else { return None };
    Some(emission(user))
}

pub(super) fn emission(user: &User) -> Emission {
    let logged = LoggedEvent { user: user.id, is_new: true };
    let emission = Emission::new(Room::feed(), NAME, json!(PublicUser::from(user)));
    Emission { logged: Some(logged), ..emission }
}
