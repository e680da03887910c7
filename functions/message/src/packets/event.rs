//! EVENT `42` and BINARY_EVENT `45`: what a client emits, handed to the table of [`events`].
//!
//! As with the Node server, an event nobody listens to is dropped and its acknowledgement never comes, while one for a
//! namespace that was not joined closes the connection. Attachments of a binary event are dropped one by one; whether
//! each belongs to a header is not checked, because messages of one connection may overtake each other on a gateway.

use serde_json::Value;
use shared::{
    Error,
    connections::Socket,
    protocol::{Packet, PacketData},
};

use crate::{Message, Reaction, Sender, events};

/// Has the event handled, and acknowledges it if the client wants that.
pub(super) async fn react(
    app: &Message,
    from: &Sender,
    namespace: String,
    id: Option<u64>,
    args: Vec<Value>,
) -> Result<Reaction, Error> {
    let Some(socket) = joined(app, &from.id, &namespace).await? else { return Ok(Reaction::Close) };
    let Some(outcome) = events::handle(app, from, &namespace, socket, &args).await? else {
        return Ok(Reaction::Nothing);
    };
    Ok(match id {
        Some(_) => Reaction::Answer(Packet::new(namespace, PacketData::Ack { id, args: vec![outcome] })),
        None => Reaction::Nothing,
    })
}

/// Drops what nobody listens to.
pub(super) async fn drop(app: &Message, connection_id: &str, namespace: &str) -> Result<Reaction, Error> {
    Ok(if joined(app, connection_id, namespace).await?.is_some() { Reaction::Nothing } else { Reaction::Close })
}

async fn joined(app: &Message, connection_id: &str, namespace: &str) -> Result<Option<Socket>, Error> {
    let connection = app.connections.get(connection_id).await?;
    Ok(connection.and_then(|mut connection| connection.namespaces.remove(namespace)))
}
