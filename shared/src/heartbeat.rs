//! How sockets are kept alive and found dead: the numbers that the open packet announces and the heartbeat keeps.
//!
//! The heartbeat runs once a minute. Every connection belongs to one of [`SLOTS`] slots and is pinged in the minutes of
//! its slot, so the work of a ping interval is spread over its minutes. API Gateway ends a connection after ten idle
//! minutes; a ping and its pong every eight keep it. What has to be looked at in between has a row in the minute in which
//! that is due.

use crate::protocol::Open;

/// Minutes of a ping interval.
pub const SLOTS: u8 = 8;

/// Seconds between two pings of a connection.
pub const PING_INTERVAL: i64 = SLOTS as i64 * 60;

/// Seconds the client waits beyond [`PING_INTERVAL`] before it gives the connection up. Tolerates two minutes without a heartbeat
/// (the gateway's own idle limit tolerates one), and some more for the way.
pub const PING_TIMEOUT: i64 = 150;

/// Seconds until a client without a pong is given up.
pub const PONG_TIMEOUT: i64 = 110;

/// Seconds a client may take from its handshake to its first CONNECT; the Node server's `connectTimeout`.
pub const CONNECT_TIMEOUT: i64 = 45;

// API Gateway ends a connection after ten idle minutes, and a late minute must not matter; a pong is missed before the
// next ping is due.
const _: () = assert!(PING_INTERVAL + 60 < 600 && PONG_TIMEOUT < PING_INTERVAL);

/// Partitions of the connections table over which the connections of a slot are spread, and what is due in a minute.
///
/// DynamoDB takes about 1,000 writes and 3,000 reads a second for one partition key. A million connections are 125,000 in
/// a slot. Their pongs, a write each, come as fast as the pings go, at most 5,000 a second: 625 for each of eight parts.
/// With tokens of 15 minutes 1,100 of them connect in a second: with one row that is due for the CONNECT and one, of two
/// writes in a transaction, for the token, that is 420 writes for each. More parts would cost a small service more: each
/// minute reads a few pages of each, however empty.
pub const PARTS: u8 = 8;

/// Seconds before the end of its token from which on a connection is closed: the heartbeat, which comes once a minute and
/// may come a little late, closes what ends before it comes again.
pub const CLOSES_EARLY: i64 = 65;

/// Largest message of API Gateway, in bytes.
const MAX_PAYLOAD: u64 = 128 * 1024;

/// The slot of a connection, the same for everyone who asks.
#[must_use]
pub fn slot_of(connection_id: &str) -> u8 {
    u8::try_from((hash(connection_id) >> 32) % u64::from(SLOTS)).unwrap_or_default()
}

/// The part of its slot that a connection is in, the same for everyone who asks.
#[must_use]
pub fn part_of(connection_id: &str) -> u8 {
    u8::try_from((hash(connection_id) >> 40) % u64::from(PARTS)).unwrap_or_default()
}

/// FNV-1a. Neighbouring ids differ in few characters, so only its high bits are used.
pub(crate) fn hash(connection_id: &str) -> u64 {
    connection_id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
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
    fn connections_spread_over_all_slots_and_their_parts() {
        let mut counts = [0; SLOTS as usize * PARTS as usize];
        for _ in 0..64_000 {
            let mut id = uuid::Uuid::new_v4().simple().to_string();
            id.truncate(15);
            id += "=";
            counts[usize::from(slot_of(&id)) * usize::from(PARTS) + usize::from(part_of(&id))] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }

    /// The slot and the part must not change: they make rows findable that another version of the program wrote.
    #[test]
    fn a_connection_always_has_the_same_slot_and_part() {
        assert_eq!((slot_of("QQFxqeZfIAMCKRA="), part_of("QQFxqeZfIAMCKRA=")), (0, 6));
    }

    #[test]
    fn every_slot_comes_once_in_a_ping_interval() {
        let slots: std::collections::BTreeSet<_> = (28_985_423..).take(8).map(slot_at).collect();
        assert_eq!(slots.len(), usize::from(SLOTS));
    }
}
