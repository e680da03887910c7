//! CONNECT `40`: who is it, which rooms, then `40` or `44`.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use shared::{
    Error,
    auth::{Claims, Role},
    config::Anonymous,
    connections::{Joined, Member, Room, Socket},
    events::NAMESPACE,
    protocol::Packet,
};
use uuid::Uuid;

use crate::{Message, Reaction, Sender};

/// How often a CONNECT tries to join.
const ATTEMPTS: u32 = 6;

/// How long it waits for the socket before it to leave.
const OVERTAKEN_PAUSE: Duration = Duration::from_millis(60);

/// Answers every CONNECT for a connection that still exists (design rule 2).
pub(super) async fn react(
    app: &Message,
    from: &Sender,
    namespace: String,
    auth: Option<Map<String, Value>>,
) -> Result<Reaction, Error> {
    if namespace != NAMESPACE {
        return Ok(Reaction::Answer(Packet::connect_error(namespace, "Invalid namespace")));
    }
    match join(app, from, &namespace, auth).await {
        Ok(Some(sid)) => Ok(Reaction::Answer(Packet::connected(namespace, &sid))),
        // Joined twice, as the Node server reacts to it; or a connection that is gone.
        Ok(None) => Ok(Reaction::Close),
        Err(error @ Error::Internal { .. }) => Err(error),
        Err(refusal) => Ok(Reaction::Answer(Packet::connect_error(namespace, refusal.code()))),
    }
}

/// Joins first, then reads the user's standing, then answers (design rule 3): a ban that is committed before the join is
/// read here, one that is committed after it finds the socket in its room. There is no third case.
///
/// The standing is read before the join as well. Whoever is banned already is then refused without ever having been in
/// the room, where the ban, which may still be on its way, would find the socket and throw it out before it has its answer.
async fn join(
    app: &Message,
    from: &Sender,
    namespace: &str,
    auth: Option<Map<String, Value>>,
) -> Result<Option<String>, Error> {
    let claims = identify(app, auth)?;
    let (room, user) = match &claims {
        Some(claims @ Claims { role: Role::User, .. }) => {
            let id = claims.user_id()?;
            (Room::user(id), Some(id))
        }
        Some(Claims { role: Role::Admin, .. }) | None => (Room::feed(), None),
    };
    let socket = Socket {
        sid: BASE64_URL_SAFE_NO_PAD.encode(Uuid::new_v4().as_bytes()),
        subject: claims.as_ref().map(|claims| claims.sub.clone()),
        token_expires_at: claims.as_ref().map(|claims| claims.exp),
        rooms: vec![room.partition_of(&from.id, app.shards)],
    };
    for _ in 0..ATTEMPTS {
        let before = standing(app, user).await?;
        let member = Member {
            connection_id: from.id.clone(),
            generation: before,
            token_expires_at: socket.token_expires_at,
            connected_at: Some(from.connected_at),
        };
        match app.connections.join(&member, namespace, &socket).await? {
            Joined::Yes => {
                let after = standing(app, user).await;
                if after.as_ref().is_ok_and(|after| *after == before) {
                    return Ok(Some(socket.sid));
                }
                if let Err(error) = app.connections.leave(&from.id, namespace).await {
                    // Refused but still in the room: nothing less than closing is safe.
                    error.log();
                    return Ok(None);
                }
                after?;
            }
            Joined::NoConnection => return Ok(None),
            // It may be about to be left: a gateway may hand over a client's `41` after the `40` that followed it. So
            // that one gets a moment; after it the client really joined twice.
            Joined::Already => tokio::time::sleep(OVERTAKEN_PAUSE).await,
        }
    }
    Ok(None)
}

/// The bearer of the token, or nobody where nobody is welcome.
fn identify(app: &Message, auth: Option<Map<String, Value>>) -> Result<Option<Claims>, Error> {
    match auth.and_then(|mut auth| auth.remove("token")) {
        Some(Value::String(token)) => app.tokens.verify(&token).map(Some),
        None | Some(Value::Null) if app.anonymous == Anonymous::Allow => Ok(None),
        _ => Err(Error::Unauthenticated),
    }
}

/// The session generation of an account that may be connected at this moment; `None` for sockets that are no user's.
async fn standing(app: &Message, user: Option<Uuid>) -> Result<Option<u32>, Error> {
    let Some(id) = user else { return Ok(None) };
    match app.users.get(id).await? {
        Some(user) if user.is_banned => Err(Error::AccountBanned),
        Some(user) => Ok(Some(user.session_generation)),
        None => Err(Error::Unauthenticated),
    }
}
