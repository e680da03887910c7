//! CONNECT `40`: who is it, which rooms, then `40` or `44`.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize as _;
use serde_json::{Map, Value};
use shared::{
    Error,
    auth::{Claims, Role},
    config::Anonymous,
    connections::{Joined, Member, NAMESPACE, Room, Socket},
    events::{AuthPayload, ConnectRefusal, Refusal},
    protocol::Packet,
    recovery::Asked,
};
use uuid::Uuid;

use crate::{Message, Reaction, Sender, recovery};

/// How often a CONNECT tries to join.
const ATTEMPTS: u32 = 6;

/// How long it waits for the socket before it to leave.
const OVERTAKEN_PAUSE: Duration = Duration::from_millis(60);

/// A socket that has joined.
pub(crate) struct Admitted {
    pub(crate) socket: Socket,
    pub(crate) room: Room,
    /// The session generation of its user.
    pub(crate) generation: Option<u32>,
    /// Whether the socket asked for recovery.
    recovers: bool,
}

/// Accepts a CONNECT, or refuses it where that is final. What may be different a moment later is no refusal: the
/// connection is closed, and the client comes back (ARCHITECTURE.md, "A CONNECT is always answered").
pub(super) async fn react(
    app: &Message,
    from: &Sender,
    namespace: String,
    auth: Option<Map<String, Value>>,
) -> Result<Reaction, Error> {
    if namespace != NAMESPACE {
        return Ok(Reaction::Answer(Packet::connect_error(namespace, ConnectRefusal::InvalidNamespace.text())));
    }
    let auth = auth.unwrap_or_default();
    match join(app, from, &namespace, &auth).await {
        Ok(Some(admitted)) if admitted.recovers => {
            recovery::answer(app, from, namespace, admitted, &Asked::read(&auth)).await
        }
        Ok(Some(admitted)) => Ok(Reaction::Answer(Packet::connected(namespace, &admitted.socket.sid))),
        // Joined twice, as the Node server reacts to it; or a connection that is gone.
        Ok(None) => Ok(Reaction::Close),
        Err(error) => {
            let refusal = ConnectRefusal::from(Refusal::of(error)?);
            Ok(Reaction::Answer(Packet::connect_error(namespace, refusal.text())))
        }
    }
}

/// Reads the user's standing and joins in one transaction with it as a condition (ARCHITECTURE.md, "Joining depends on
/// the account's standing"): a ban that is committed before the join makes it fail, one that is committed after it
/// finds the socket in its room. There is no third case, and no moment in which a banned user is in a room.
async fn join(
    app: &Message,
    from: &Sender,
    namespace: &str,
    auth: &Map<String, Value>,
) -> Result<Option<Admitted>, Error> {
    let AuthPayload { token, recovery: recovers } =
        AuthPayload::deserialize(auth).map_err(|_| Error::Unauthenticated)?;
    let claims = identify(app, token)?;
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
        role: claims.as_ref().map(|claims| claims.role),
        token_expires_at: claims.as_ref().map(|claims| claims.exp),
        rooms: vec![room.partition_of(&from.id, app.shards)],
    };
    for _ in 0..ATTEMPTS {
        let account_status = match user {
            Some(id) => Some(app.users.account_status(id).await?),
            None => None,
        };
        let member = Member {
            connection_id: from.id.clone(),
            generation: account_status.as_ref().map(|status| status.generation),
            token_expires_at: socket.token_expires_at,
            connected_at: Some(from.connected_at),
            recovers,
        };
        match app.connections.join(&member, namespace, &socket, account_status.as_ref()).await? {
            Joined::Yes => return Ok(Some(Admitted { socket, room, generation: member.generation, recovers })),
            Joined::NoConnection => return Ok(None),
            // Banned a moment ago, or banned and unbanned: read again, which says what it is.
            Joined::AccountChanged => {}
            // It may be about to be left: a gateway may hand over a client's `41` after the `40` that followed it. So
            // that one gets a moment; after it the client really joined twice.
            Joined::Already => tokio::time::sleep(OVERTAKEN_PAUSE).await,
        }
    }
    Ok(None)
}

/// The bearer of the token, or nobody where nobody is welcome.
fn identify(app: &Message, token: Option<String>) -> Result<Option<Claims>, Error> {
    match token {
        Some(token) => app.tokens.verify(&token).map(Some),
        None if app.anonymous == Anonymous::Allow => Ok(None),
        None => Err(Error::Unauthenticated),
    }
}
