//! Connections and rooms: who is behind a WebSocket, and who hears what.

mod room;
mod store;

pub use room::Room;
pub use store::{Connection, ConnectionStore, Joined, PageKey, Socket};
