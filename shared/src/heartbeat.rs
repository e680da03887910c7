//! How sockets are kept alive and found dead: the numbers that the open packet announces and the heartbeat keeps.
//!
//! The heartbeat runs once a minute. Every connection belongs to one of [`SLOTS`] slots and is pinged in the minutes of
//! its slot, so the work of a ping interval is spread over its minutes. API Gateway ends a connection after ten idle
//! minutes; a ping and its pong every eight keep it.

use crate::protocol::Open;

/// Minutes of a ping interval.
pub const SLOTS: u8 = 8;

/// Seconds between two pings of a connection.
pub const PING_INTERVAL: i64 = SLOTS as i64 * 60;

/// Seconds the client waits beyond that before it gives the connection up. Tolerates two minutes without a heartbeat
/// (the gateway's own idle limit tolerates one), and some more for the way.
pub const PING_TIMEOUT: i64 = 150;

/// Seconds until a client without a pong is given up.
pub const PONG_TIMEOUT: i64 = 110;

/// Seconds a client may take from its handshake to its first CONNECT; the Node server's `connectTimeout`.
pub const CONNECT_TIMEOUT: i64 = 45;

// API Gateway ends a connection after ten idle minutes, and a late minute must not matter; a pong is missed before the
// next ping is due.
const _: () = assert!(PING_INTERVAL + 60 < 600 && PONG_TIMEOUT < PING_INTERVAL);

/// Largest message of API Gateway, in bytes.
const MAX_PAYLOAD: u64 = 128 * 1024;

/// The slot of a connection, the same for everyone who asks.
#[must_use]
pub fn slot_of(connection_id: &str) -> u8 {
    let sum = connection_id.bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    // The low bits of the last characters vary little, since the last one is always `=`.
    (sum >> 3) % SLOTS
}

/// The slot whose connections are pinged in a minute, counted from the epoch.
#[must_use]
pub fn slot_at(minute: i64) -> u8 {
    u8::try_from(minute.rem_euclid(i64::from(SLOTS))).unwrap_or_default()
}

/// The first frame of a session. The session id is the connection id: nothing is asked for by it.
#[must_use]
pub fn open_packet(connection_id: &str) -> Open {
    Open {
        sid: connection_id.to_owned(),
        upgrades: vec![],
        ping_interval: PING_INTERVAL.unsigned_abs() * 1000,
        ping_timeout: PING_TIMEOUT.unsigned_abs() * 1000,
        max_payload: MAX_PAYLOAD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_spread_over_all_slots() {
        let mut counts = [0; SLOTS as usize];
        for _ in 0..8000 {
            let mut id = uuid::Uuid::new_v4().simple().to_string();
            id.truncate(15);
            counts[usize::from(slot_of(&(id + "=")))] += 1;
        }
        assert!(counts.iter().all(|count| (700..1300).contains(count)), "{counts:?}");
    }

    #[test]
    fn every_slot_comes_once_in_a_ping_interval() {
        let slots: std::collections::BTreeSet<_> = (28_985_423..).take(8).map(slot_at).collect();
        assert_eq!(slots.len(), usize::from(SLOTS));
    }
}
