//! `users.updated`: to the feed, after a change of anything public.

use serde_json::json;

use super::{Change, Emission, Event, FEED};
use crate::{
    connections::{LoggedEvent, Room},
    contract::Schemas,
    users::PublicUser,
};

pub(super) const EVENT: Event = Event {
    name: NAME,
    heard_by: FEED,
    when: "Something public of a user changed: name, photo, verification, ban or unban.",
    payload: Schemas::add::<PublicUser>,
    has_offset: true,
    from_change,
};

const NAME: &str = "users.updated";

fn from_change(change: &Change) -> Option<Emission> {
    let Change::Updated { before, after } = change else { return None };
    let user = PublicUser::from(after);
    // A new password hash or ban reason is nobody's business.
    (user != PublicUser::from(before)).then(|| emission(&user))
}

pub(super) fn emission(user: &PublicUser) -> Emission {
    let logged = LoggedEvent { user: user.id, is_new: false };
    Emission { logged: Some(logged), ..Emission::new(Room::feed(), NAME, json!(user)) }
}
