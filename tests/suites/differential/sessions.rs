//! Sessions of well-formed frames: namespaces, joining and leaving, events, acknowledgements, attachments, heartbeats.

use crate::table::{
    HEARD,
    Reaction::{Answers, Closed, Silence, TooBig},
    RecordedSession, join, joined, rename, send, send_long, session,
};

const NO_ORDER: &str = "a gateway hands messages over at the same time and in no order, so whether an attachment \
    belongs to a header is not known; nobody listens to events, so all parts are dropped";
const ONE_NAMESPACE: &str = "the platform has one namespace, and so has the reference; Node always has /";
const SAME_ID: &str = "it uses the id of the connection for every socket of it";
const IGNORES_CONNECT: &str = "it ignores a second CONNECT";
const IGNORES_UNKNOWN: &str = "it ignores packets for a namespace nobody defined";
const ENGINE: &str = "engineioxide takes 1 as the end, and no other such packet on a WebSocket";
const PING_AS_PONG: &str = "engineioxide takes a ping for a pong";
const ACK_WITHOUT_ID: &str = "it refuses an acknowledgement without id";
const BINARY: &str = "engineioxide takes b frames on polling only; a WebSocket has binary frames for it";
const NAMELESS: &str = "it refuses an event without name";

/// All sessions of this file.
pub(crate) fn all() -> Vec<RecordedSession> {
    [namespaces(), leaving(), unjoined(), events(), attachments(), engine()].into_iter().flatten().collect()
}

const INVALID: &str = r#"44/nope,{"message":"Invalid namespace"}"#;

fn namespaces() -> Vec<RecordedSession> {
    vec![
        joined("joins and hears", [rename(HEARD), rename(HEARD)]),
        session(
            "joins without the comma",
            [send(&["40/users"], Answers(&[r#"40/users,{"sid":"<1>"}"#])), rename(HEARD)],
        ),
        session(
            "joins with auth data nobody asked for",
            [send(&[r#"40/users,{"a":[1,{"b":null}]}"#], Answers(&[r#"40/users,{"sid":"<1>"}"#])), rename(HEARD)],
        ),
        session(
            "asks for namespaces nobody has, and still joins",
            [
                rename(Silence),
                send(&["40/nope,"], Answers(&[INVALID])),
                send(&["40/nope,{}"], Answers(&[INVALID])),
                send(&["40/users?a=b,"], Answers(&[r#"44/users?a=b,{"message":"Invalid namespace"}"#])),
                send(&["40/Users,"], Answers(&[r#"44/Users,{"message":"Invalid namespace"}"#])),
                send(&["40/users/,"], Answers(&[r#"44/users/,{"message":"Invalid namespace"}"#])),
                send(&["40/é😀,"], Answers(&[r#"44/é😀,{"message":"Invalid namespace"}"#])),
                join(),
                rename(HEARD),
            ],
        ),
        session(
            "two CONNECTs at once",
            [send(&["40/nope,", "40/users,"], Answers(&[INVALID, r#"40/users,{"sid":"<1>"}"#])), rename(HEARD)],
        ),
        session(
            "the root namespace",
            [send(&["40"], Answers(&[r#"40{"sid":"<1>"}"#]))
                .but_we(Answers(&[r#"44{"message":"Invalid namespace"}"#]), ONE_NAMESPACE)
                .but_socketioxide(Answers(&[r#"44{"message":"Invalid namespace"}"#]), ONE_NAMESPACE)],
        ),
        joined("joins twice", [send(&["40/users,"], Closed).but_socketioxide(Silence, IGNORES_CONNECT)]),
    ]
}

fn leaving() -> Vec<RecordedSession> {
    vec![
        joined(
            "leaves and joins again",
            [
                send(&["41/users,"], Silence),
                rename(Silence),
                send(&["40/users,"], Answers(&[r#"40/users,{"sid":"<2>"}"#]))
                    .but_socketioxide(Answers(&[r#"40/users,{"sid":"<1>"}"#]), SAME_ID),
                rename(HEARD),
            ],
        ),
        joined("leaves without the comma", [send(&["41/users"], Silence), rename(Silence)]),
        joined("leaves with an id", [send(&["41/users,5"], Silence), rename(Silence)]),
        joined("leaves twice", [send(&["41/users,"], Silence), send(&["41/users,"], Closed)]),
        session("leaves before joining", [send(&["41/users,"], Closed)]),
        joined("sends an event after leaving", [send(&["41/users,"], Silence), send(&[r#"42/users,["x"]"#], Closed)]),
    ]
}

fn unjoined() -> Vec<RecordedSession> {
    vec![
        session("an event before CONNECT", [send(&[r#"42/users,["x"]"#], Closed)]),
        session("an event with an id before CONNECT", [send(&[r#"42/users,1["x"]"#], Closed)]),
        session("an acknowledgement before CONNECT", [send(&["43/users,1[]"], Closed)]),
        joined(
            "an event for a namespace that was not joined",
            [send(&[r#"42/nope,["x"]"#], Closed).but_socketioxide(Silence, IGNORES_UNKNOWN)],
        ),
        joined(
            "an event for the root namespace",
            [send(&[r#"42["x"]"#], Closed).but_socketioxide(Silence, IGNORES_UNKNOWN)],
        ),
        session(
            "an event after a refused CONNECT",
            [
                send(&["40/nope,"], Answers(&[INVALID])),
                send(&[r#"42/nope,["x"]"#], Closed).but_socketioxide(Silence, IGNORES_UNKNOWN),
            ],
        ),
        joined("a CONNECT_ERROR", [send(&[r#"44/users,{"message":"x"}"#], Closed)]),
        session("a CONNECT_ERROR before CONNECT", [send(&[r#"44{"message":"x"}"#], Closed)]),
    ]
}

fn events() -> Vec<RecordedSession> {
    vec![
        joined(
            "events nobody listens to, with and without an id",
            [
                send(&[r#"42/users,["x"]"#], Silence),
                send(&[r#"42/users,0["x",{"a":[1,2.5,null,"é"]}]"#], Silence),
                send(&[r#"42/users,9007199254740991["x"]"#], Silence),
                send(&[r#"42/users,["a"]"#, r#"42/users,["b"]"#, r#"42/users,7["c"]"#], Silence),
                rename(HEARD),
            ],
        ),
        joined(
            "events with numbers for names",
            [send(&["42/users,[7]"], Silence).but_socketioxide(Closed, "it wants a string for a name")],
        ),
        joined("an event without name", [send(&["42/users,"], Silence).but_socketioxide(Closed, NAMELESS)]),
        joined(
            "an event without name, with an id",
            [send(&["42/users,5"], Silence).but_socketioxide(Closed, NAMELESS)],
        ),
        joined(
            "acknowledgements of nothing",
            [send(&["43/users,99[]"], Silence), send(&[r#"43/users,0["x"]"#], Silence), rename(HEARD)],
        ),
        joined(
            "an acknowledgement without id",
            [send(&["43/users,[]"], Silence).but_socketioxide(Closed, ACK_WITHOUT_ID)],
        ),
        joined(
            "an event beyond the limit",
            [send_long(40 * 1024, TooBig).but_socketioxide(Closed, "it closes without the code")],
        ),
        joined("an event just below the limit", [send_long(32 * 1024, Silence), rename(HEARD)]),
    ]
}

fn attachments() -> Vec<RecordedSession> {
    const HEADER: &str = r#"451-/users,["up",{"_placeholder":true,"num":0}]"#;
    const TWO: &str = r#"452-/users,3["up",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
    vec![
        joined("a binary event", [send(&[HEADER, "bAQID"], Silence).but_socketioxide(Closed, BINARY), rename(HEARD)]),
        joined(
            "two attachments with a pong in between",
            [send(&[TWO, "bAQID", "3", "b"], Silence).but_socketioxide(Closed, BINARY), rename(HEARD)],
        ),
        joined(
            "a binary acknowledgement of nothing",
            [
                send(&[r#"461-/users,5[{"_placeholder":true,"num":0}]"#, "bAQID"], Silence)
                    .but_socketioxide(Closed, BINARY),
                rename(HEARD),
            ],
        ),
        joined("an attachment without header", [send(&["bAQID"], Closed).but_we(Silence, NO_ORDER)]),
        session("an attachment before CONNECT", [send(&["bAQID"], Closed).but_we(Silence, NO_ORDER)]),
        joined("one attachment too many", [send(&[HEADER, "bAQID", "bAQID"], Closed).but_we(Silence, NO_ORDER)]),
        joined(
            "an event between header and attachment",
            [send(&[HEADER, r#"42/users,["x"]"#], Closed).but_we(Silence, NO_ORDER)],
        ),
        session("a binary event before CONNECT", [send(&[HEADER, "bAQID"], Closed)]),
    ]
}

fn engine() -> Vec<RecordedSession> {
    vec![
        joined("pongs nobody asked for", [send(&["3"], Silence), send(&["3", "3"], Silence), rename(HEARD)]),
        joined("a ping", [send(&["2"], Closed).but_socketioxide(Silence, PING_AS_PONG)]),
        joined("a probe", [send(&["2probe"], Closed)]),
        joined("an open packet", [send(&["0{}"], Silence).but_socketioxide(Closed, ENGINE)]),
        joined("a close packet", [send(&["1"], Silence).but_socketioxide(Closed, ENGINE)]),
        joined("an upgrade packet", [send(&["5"], Silence).but_socketioxide(Closed, ENGINE)]),
        joined("a noop", [send(&["6"], Silence).but_socketioxide(Closed, ENGINE)]),
    ]
}
