//! Connections and rooms: who is behind a WebSocket, and who hears what.

mod connection;
mod delivery;
mod due;
mod keys;
mod log;
mod membership;
mod room;
mod store;
mod tasks;

pub use connection::{Connection, NewConnection, OPENS_WITHIN, Socket, may_be_opening};
pub use delivery::{DeliveryCheckpoint, RoomPage};
pub use log::{LOG_KEPT, LogEntry, LoggedEvent};
pub use membership::{Joined, Member, Renewed};
pub use room::{NAMESPACE, Room};
pub use store::{ConnectionStore, Page, Silent};
pub use tasks::{Lease, Task};
