//! `account.banned`: to the user's own sockets, after a ban or a delete. They are thrown out after it.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{Change, Emission, Event};
use crate::{connections::Room, contract::Schemas, users::iso_millis};

/// What the user is told. Never the reason, which is for administrators.
pub const MESSAGE: &str = "Your account has been disabled by an administrator.";

pub(super) const EVENT: Event = Event {
    name: NAME,
    heard_by: "The user's own sockets, which are disconnected after it.",
    when: "A user was banned or deleted.",
    payload: Schemas::add::<AccountBanned>,
    has_offset: false,
    from_change,
};

const NAME: &str = "account.banned";

/// That an account is disabled, for its user.
#[derive(Serialize, ToSchema)]
pub struct AccountBanned {
    /// What was done to the account.
    pub kind: AccountBannedKind,
    /// For people, in English.
    #[schema(example = "Your account has been disabled by an administrator.")]
    pub message: &'static str,
    /// ISO 8601 with milliseconds and Z.
    #[schema(format = DateTime, pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$")]
    pub at: String,
}

/// What was done to an account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccountBannedKind {
    /// The account is disabled until it is unbanned.
    Banned,
    /// The account is gone.
    Deleted,
}

fn from_change(change: &Change) -> Option<Emission> {
    let (kind, user, at, kick_before) = match change {
        Change::Updated { before, after } if after.is_banned && !before.is_banned => {
            let at = after.banned_at.clone().unwrap_or_default();
            (AccountBannedKind::Banned, after, at, after.session_generation)
        }
        // Nobody joins after it.
        Change::Deleted { user, at } => (AccountBannedKind::Deleted, user, iso_millis(*at), u32::MAX),
        _ => return None,
    };
    let payload = json!(AccountBanned { kind, message: MESSAGE, at });
    let emission = Emission::new(Room::user(user.id), NAME, payload);
    Some(Emission { kick_before: Some(kick_before), ..emission })
}
