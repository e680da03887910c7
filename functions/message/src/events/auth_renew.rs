//! `auth.renew` with `{ token }`: the socket stays until that token ends, instead of being closed at the end of the one it
//! joined with. Acknowledged with `{ "ok": true, "expiresAt": … }`, or `{ "ok": false, "message": … }`.

use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::{Value, json};
use shared::{
    Error,
    auth::{Claims, Role},
    connections::{Renewed, Socket},
    events::{
        Refusal,
        auth_renew::{AuthRenew, AuthRenewAnswer},
    },
    users::iso_millis,
};

use crate::{Message, Sender};

/// How often a renewal is tried that something came in between of.
const ATTEMPTS: u32 = 6;

pub(super) async fn handle(
    app: &Message,
    from: &Sender,
    namespace: &str,
    socket: Socket,
    args: &[Value],
) -> Result<Value, Error> {
    match renew(app, from, namespace, socket, args).await {
        Ok(end) => {
            let end = Timestamp::from_second(end).map_err(Error::internal("writing the end of a token"))?;
            Ok(json!(AuthRenewAnswer::renewed(iso_millis(end))))
        }
        Err(error) => Ok(json!(AuthRenewAnswer::refused(Refusal::of(error)?))),
    }
}

/// Until when the socket may stay now, epoch seconds.
async fn renew(
    app: &Message,
    from: &Sender,
    namespace: &str,
    mut socket: Socket,
    args: &[Value],
) -> Result<i64, Error> {
    let renewal = args.first().and_then(Value::as_object).and_then(|argument| AuthRenew::deserialize(argument).ok());
    let claims = app.tokens.verify(&renewal.ok_or(Error::Unauthenticated)?.token)?;
    for _ in 0..ATTEMPTS {
        if !is_of(&claims, &socket) {
            break;
        }
        let account_status = match claims.role {
            Role::User => Some(app.users.account_status(claims.user_id()?).await?),
            Role::Admin => None,
        };
        // The token it has, or one that a later message has brought.
        if let Some(end) = socket.token_expires_at.filter(|end| *end >= claims.exp) {
            return Ok(end);
        }
        match app.connections.renew(&from.id, namespace, &socket, claims.exp, account_status.as_ref()).await? {
            Renewed::Yes => return Ok(claims.exp),
            Renewed::AccountChanged => {}
            Renewed::SocketChanged => {
                let connection = app.connections.get(&from.id).await?;
                let now = connection.and_then(|mut connection| connection.namespaces.remove(namespace));
                let Some(now) = now.filter(|now| now.sid == socket.sid) else { break };
                socket = now;
            }
        }
    }
    // Another one's token, or a socket that is no longer there to be renewed.
    Err(Error::Unauthenticated)
}

/// Whether the token's bearer is who the socket joined as. Nobody joined as an anonymous one.
fn is_of(claims: &Claims, socket: &Socket) -> bool {
    socket.subject.as_ref() == Some(&claims.sub) && socket.role == Some(claims.role)
}
