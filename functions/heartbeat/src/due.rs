//! What a connection is due, from what is known of it. A pure function of its item and time.

use shared::{
    connections::Connection,
    heartbeat::{CLOSES_EARLY, CONNECT_TIMEOUT, PONG_TIMEOUT},
};

use crate::plan::Pinged;

/// A connection this young may not have been greeted yet; it is pinged in the next round, well before clients expect it,
/// and until then owes no pong.
pub(crate) const YOUNG: i64 = 30;

/// What to do about a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Ping,
    /// Why the connection is closed.
    Close(&'static str),
}

/// `pings`: whether it is its slot's turn. `pinged`: when its slot was pinged before. `now`: epoch seconds.
pub(crate) fn due(connection: &Connection, pings: bool, pinged: Option<&Pinged>, now: i64) -> Due {
    let age = now - connection.connected_at / 1000;
    if connection.has_expired(now + CLOSES_EARLY) {
        return Due::Close("its token ends before the next heartbeat");
    }
    if !connection.joined && age > CONNECT_TIMEOUT {
        return Due::Close("it never sent CONNECT");
    }
    if let Some(Pinged { started, ended }) = pinged
        && connection.connected_at / 1000 + YOUNG <= *started
        && connection.last_seen / 1000 < *started
        && now - ended >= PONG_TIMEOUT
    {
        return Due::Close("it did not answer a ping");
    }
    if pings && age >= YOUNG { Due::Ping } else { Due::Nothing }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use shared::connections::Socket;

    use super::*;

    const NOW: i64 = 1_739_125_380;

    fn connection() -> Connection {
        let socket = Socket { sid: "s".into(), subject: None, role: None, token_expires_at: None, rooms: vec![] };
        Connection {
            connection_id: "QQFxqeZfIAMCKRA=".into(),
            connected_at: (NOW - 1000) * 1000,
            origin: None,
            last_seen: (NOW - 100) * 1000,
            joined: true,
            namespaces: BTreeMap::from([("/users".to_owned(), socket)]),
            expires_at: NOW + 5000,
        }
    }

    fn of(connection: &Connection, pinged: Option<(i64, i64)>) -> Due {
        let pinged = pinged.map(|(started, ended)| Pinged { started: NOW + started, ended: NOW + ended });
        due(connection, true, pinged.as_ref(), NOW)
    }

    #[test]
    fn a_healthy_connection_is_pinged_in_the_turn_of_its_slot_only() {
        assert_eq!(of(&connection(), None), Due::Ping);
        assert_eq!(due(&connection(), false, None, NOW), Due::Nothing);
    }

    #[test]
    fn a_connection_that_may_not_be_open_yet_is_not_pinged() {
        let young = Connection { connected_at: (NOW - 5) * 1000, ..connection() };
        assert_eq!(of(&young, None), Due::Nothing);
    }

    #[test]
    fn who_never_connects_is_closed_after_the_connect_timeout() {
        let never = |age| Connection {
            joined: false,
            connected_at: (NOW - age) * 1000,
            namespaces: BTreeMap::new(),
            ..connection()
        };
        assert_eq!(due(&never(45), false, None, NOW), Due::Nothing);
        assert_eq!(due(&never(46), false, None, NOW), Due::Close("it never sent CONNECT"));
        let left = Connection { joined: true, ..never(46) };
        assert_eq!(due(&left, false, None, NOW), Due::Nothing, "who connected once and left again may stay");
    }

    #[test]
    fn a_missing_pong_closes_only_after_a_ping_and_a_while() {
        let silent = Connection { last_seen: (NOW - 700) * 1000, ..connection() };
        assert_eq!(of(&silent, None), Due::Ping, "without a ping nobody owes a pong");
        assert_eq!(of(&silent, Some((-60, -60))), Due::Ping, "it may still come");
        assert_eq!(of(&silent, Some((-120, -115))), Due::Close("it did not answer a ping"));
        let answered = Connection { last_seen: (NOW - 119) * 1000, ..silent };
        assert_eq!(of(&answered, Some((-120, -115))), Due::Ping);
    }

    #[test]
    fn who_was_too_young_to_be_pinged_owes_no_pong() {
        let opened = |before_the_pass| {
            let at = (NOW - 120 - before_the_pass) * 1000;
            Connection { connected_at: at, last_seen: at, ..connection() }
        };
        assert_eq!(of(&opened(29), Some((-120, -115))), Due::Ping);
        assert_eq!(of(&opened(30), Some((-120, -115))), Due::Close("it did not answer a ping"));
    }

    #[test]
    fn a_token_that_ends_before_the_next_heartbeat_closes() {
        let ending = |at| {
            let mut ending = connection();
            ending.namespaces.get_mut("/users").unwrap().token_expires_at = Some(at);
            ending
        };
        let close = Due::Close("its token ends before the next heartbeat");
        assert_eq!(of(&ending(NOW), None), close);
        assert_eq!(of(&ending(NOW + 65), None), close);
        assert_eq!(of(&ending(NOW + 66), None), Due::Ping);
    }
}
