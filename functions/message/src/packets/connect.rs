//! CONNECT `40`: who is it, which rooms, then `40` or `44`.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use shared::{
    Error,
    auth::{Claims, Role},
    config::Anonymous,
    connections::{Joined, Room, Socket},
    events::NAMESPACE,
    protocol::Packet,
};
use uuid::Uuid;

use crate::{Message, Reaction};

/// How often, and how long apart, a CONNECT looks whether the socket before it has left.
const OVERTAKEN_ATTEMPTS: u32 = 6;
const OVERTAKEN_PAUSE: Duration = Duration::from_millis(60);

/// Answers every CONNECT for a connection that still exists (design rule 2).
pub(super) async fn react(
    app: &Message,
    connection_id: &str,
    namespace: String,
    auth: Option<Map<String, Value>>,
) -> Result<Reaction, Error> {
    if namespace != NAMESPACE {
        return Ok(Reaction::Answer(Packet::connect_error(namespace, "Invalid namespace")));
    }
    match join(app, connection_id, &namespace, auth).await {
        Ok(Some(sid)) => Ok(Reaction::Answer(Packet::connected(namespace, &sid))),
        // Joined twice, as the Node server reacts to it; or a connection that is gone.
        Ok(None) => Ok(Reaction::Close),
        Err(error @ Error::Internal { .. }) => Err(error),
        Err(refusal) => Ok(Reaction::Answer(Packet::connect_error(namespace, refusal.code()))),
    }
}

/// Joins first, then reads the user's status, then answers (design rule 3): a ban that is committed before the join is
/// read here, one that is committed after it finds the socket in its room. There is no third case.
async fn join(
    app: &Message,
    connection_id: &str,
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
        rooms: vec![room.to_string()],
    };
    if !enter(app, connection_id, namespace, &socket).await? {
        return Ok(None);
    }
    if let Some(id) = user
        && let Err(refusal) = standing(app, id).await
    {
        return match app.connections.leave(connection_id, namespace).await {
            Ok(_) => Err(refusal),
            Err(error) => {
                // Refused but still in the room: nothing less than closing is safe.
                error.log();
                Ok(None)
            }
        };
    }
    Ok(Some(socket.sid))
}

/// A namespace that is joined already may be about to be left: a gateway may hand over a client's `41` after the `40`
/// that followed it. So that one gets a moment; after it the client really joined twice.
async fn enter(app: &Message, connection_id: &str, namespace: &str, socket: &Socket) -> Result<bool, Error> {
    for _ in 0..OVERTAKEN_ATTEMPTS {
        match app.connections.join(connection_id, namespace, socket).await? {
            Joined::Yes => return Ok(true),
            Joined::NoConnection => return Ok(false),
            Joined::Already => tokio::time::sleep(OVERTAKEN_PAUSE).await,
        }
    }
    Ok(false)
}

/// The bearer of the token, or nobody where nobody is welcome.
fn identify(app: &Message, auth: Option<Map<String, Value>>) -> Result<Option<Claims>, Error> {
    match auth.and_then(|mut auth| auth.remove("token")) {
        Some(Value::String(token)) => app.tokens.verify(&token).map(Some),
        None | Some(Value::Null) if app.anonymous == Anonymous::Allow => Ok(None),
        _ => Err(Error::Unauthenticated),
    }
}

/// Whether the account may be connected at this moment.
async fn standing(app: &Message, id: Uuid) -> Result<(), Error> {
    match app.users.get(id).await? {
        Some(user) if user.is_banned => Err(Error::AccountBanned),
        Some(_) => Ok(()),
        None => Err(Error::Unauthenticated),
    }
}
