//! The events a client may emit on a namespace it joined, one file each.

mod auth_renew;

use serde_json::Value;
use shared::{Error, connections::Socket, events::auth_renew::NAME};

use crate::{Message, Sender};

/// The table: what the client's acknowledgement is given, or `None` for an event nobody listens to.
pub(crate) async fn handle(
    app: &Message,
    from: &Sender,
    namespace: &str,
    socket: Socket,
    args: &[Value],
) -> Result<Option<Value>, Error> {
    let (name, args) = args.split_first().map_or((None, args), |(name, args)| (name.as_str(), args));
    match name {
        Some(NAME) => auth_renew::handle(app, from, namespace, socket, args).await.map(Some),
        _ => Ok(None),
    }
}
