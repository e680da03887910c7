//! Connection state recovery: what a socket that comes back has missed, without I/O.
//!
//! The protocol is Socket.IO's: the answer of a CONNECT has a `pid`, each event an offset as its last argument, and the
//! next CONNECT says both. Here no session is kept for it: the `pid` is a signed token ([`Pid`]), an offset says by itself
//! what the client has ([`Offset`]), and what it has missed is in the log of its room
//! ([`LogEntry`](crate::connections::LogEntry)) and, as it is now, in the users table.

mod asked;
mod missed;
mod offset;
mod pid;

pub use asked::Asked;
pub use missed::{MOST, Missed, Since, TooMuch};
pub use offset::Offset;
pub use pid::{Pid, Pids};

use std::time::Duration;

/// An event may reach a socket so long after it was written to the log: the time of one attempt at a delivery (the next
/// one writes it again), and of the write itself. Milliseconds.
pub const MARGIN: i64 = 2 * 60 * 1000;

/// How long a change may wait for its delivery before others may have been given up that no log has: half of what the event
/// source tries (`infra/template.yaml`), so that an invocation sees it in time.
pub const WAITS: Duration = Duration::from_secs(5 * 60);

/// What the clocks of functions may differ by, in milliseconds. Between the times that are compared there are calls that
/// take some milliseconds as well: an event is posted only when it was written and its room was read.
const SKEW: i64 = 10;

/// How far an offset may be ahead of the clock of who reads it, in milliseconds, and not be from the future.
const AHEAD: i64 = 5_000;
