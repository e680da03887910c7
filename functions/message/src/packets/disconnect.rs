//! DISCONNECT `41`: the socket leaves its namespace; the connection stays and may CONNECT again. Leaving what was not
//! joined closes the connection, as with the Node server.

use shared::Error;

use crate::{Message, Reaction};

pub(super) async fn react(app: &Message, connection_id: &str, namespace: &str) -> Result<Reaction, Error> {
    let left = app.connections.leave(connection_id, namespace).await?;
    Ok(if left { Reaction::Nothing } else { Reaction::Close })
}
