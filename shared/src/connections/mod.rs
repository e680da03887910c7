//! Connections and rooms: who is behind a WebSocket, and who hears what.

mod connection;
mod delivery;
mod membership;
mod room;
mod store;

pub use connection::{Connection, Socket};
pub use delivery::{DeliveryCheckpoint, RoomPage};
pub use membership::{Joined, Member, Renewed};
pub use room::Room;
pub use store::{ConnectionStore, PageKey};
