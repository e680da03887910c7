//! The packets a client may send, one file each, and the reaction to them: those of the Node server.

pub(crate) mod connect;
mod disconnect;
mod event;
mod pong;

use shared::{
    Error,
    protocol::{Packet, PacketData},
};

use crate::{Frame, Message, Reaction, Sender, flood::Verdict};

/// The table. What Node closes a connection for closes it here.
pub(crate) async fn react(app: &Message, from: &Sender, text: &str) -> Result<Reaction, Error> {
    let connection_id = from.id.as_str();
    match app.flood.judge(&app.connections, connection_id).await {
        Verdict::Fine => {}
        Verdict::TooMany => return Ok(Reaction::Close),
        Verdict::Late => return Ok(Reaction::Nothing),
    }
    let packet = match Frame::decode(text) {
        Ok(Frame::Message(packet)) => packet,
        // Only servers open and ping.
        Ok(Frame::Ping(_)) | Err(_) => return Ok(Reaction::Close),
        // An attachment, of an event nobody here listens to; see `event`.
        Ok(Frame::Binary(_)) => return Ok(Reaction::Nothing),
        Ok(Frame::Pong(_)) => return Ok(pong::react(app, connection_id).await),
        Ok(Frame::Open(_) | Frame::Close | Frame::Upgrade | Frame::Noop) => {
            return Ok(Reaction::Nothing);
        }
    };
    let Ok(Packet { namespace, data }) = Packet::decode(&packet) else { return Ok(Reaction::Close) };
    match data {
        PacketData::Connect(auth) => connect::react(app, from, namespace, auth).await,
        PacketData::Disconnect => disconnect::react(app, connection_id, &namespace).await,
        PacketData::Event { id, args } => event::react(app, from, namespace, id, args).await,
        // No event of a client's has binary arguments.
        PacketData::BinaryEvent { .. } => event::drop(app, connection_id, &namespace).await,
        // No event of ours asks for an acknowledgement, so each is for an unknown id: as unheard as an unknown event.
        PacketData::Ack { .. } | PacketData::BinaryAck { .. } => event::drop(app, connection_id, &namespace).await,
        // Only servers refuse.
        PacketData::ConnectError(_) => Ok(Reaction::Close),
    }
}
