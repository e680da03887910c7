//! EVENT `42` and BINARY_EVENT `45`: the platform has no events from clients, so nobody listens.
//!
//! As with the Node server, an event nobody listens to is dropped and its acknowledgement never comes, while one for a
//! namespace that was not joined closes the connection. Attachments of a binary event are dropped one by one; whether
//! each belongs to a header is not checked, because messages of one connection may overtake each other on a gateway.

use shared::Error;

use crate::{Message, Reaction};

pub(super) async fn react(app: &Message, connection_id: &str, namespace: &str) -> Result<Reaction, Error> {
    let connection = app.connections.get(connection_id).await?;
    let joined = connection.is_some_and(|connection| connection.namespaces.contains_key(namespace));
    Ok(if joined { Reaction::Nothing } else { Reaction::Close })
}
