//! Frames that break a rule, each sent by a socket that is in `/users`.

use crate::table::{
    Reaction::{self, Closed, Silence},
    RecordedSession, Step, joined, send,
};

const NOT_CHECKED: &str = "it looks into no payload that nobody asked for";
const NONE: &str = "it takes 0 attachments for a complete packet";
const NUMBERS: &str = "serde_json reads neither lone surrogates nor numbers beyond a double nor more than 127 levels, \
    which JSON.parse does; no event of the platform has them";
const IDS: &str = "JavaScript counts no further than 2^53 - 1, so no client has such an id";

/// All sessions with malformed messages.
pub(crate) fn all() -> Vec<RecordedSession> {
    let steps = [engine(), packets(), payloads(), attachments(), lenient()];
    steps.into_iter().flatten().map(|step| joined("a malformed frame", [step])).collect()
}

fn closes(frame: &'static [&'static str]) -> Step {
    send(frame, Closed)
}

fn closes_but_socketioxide(frame: &'static [&'static str], reaction: Reaction, reason: &'static str) -> Step {
    send(frame, Closed).but_socketioxide(reaction, reason)
}

fn engine() -> Vec<Step> {
    vec![
        closes(&[""]),
        closes(&["hello"]),
        closes(&["7"]),
        closes(&["{}"]),
        closes(&[r#"{"message":"Internal server error"}"#]),
        closes(&[" 3"]),
        closes(&["é"]),
        closes(&["b*"]),
    ]
}

fn packets() -> Vec<Step> {
    vec![closes(&["4"]), closes(&["47"]), closes(&["4x"]), closes(&["4-"]), closes(&["4é"]), closes(&["4\u{0}"])]
}

fn payloads() -> Vec<Step> {
    vec![
        closes(&["42/users,{}"]),
        closes(&["42/users,[]"]),
        closes(&["42/users,[null]"]),
        closes(&["42/users,[["]),
        closes(&["42/users,null"]),
        closes_but_socketioxide(&[r#"42/users,["connect"]"#], Silence, NOT_CHECKED),
        closes_but_socketioxide(&[r#"42/users,["disconnecting"]"#], Silence, NOT_CHECKED),
        closes(&[r#"42/users,["a""#]),
        closes_but_socketioxide(&[r#"42/users,["a"]x"#], Silence, NOT_CHECKED),
        closes_but_socketioxide(&["43/users,1{}"], Silence, NOT_CHECKED),
        closes_but_socketioxide(&["41/users,{}"], Silence, NOT_CHECKED),
        closes_but_socketioxide(&["40/nope,["], NOPE, NOT_CHECKED),
        closes_but_socketioxide(&["40/nope,[]"], NOPE, NOT_CHECKED),
        closes_but_socketioxide(&["40/nope,null"], NOPE, NOT_CHECKED),
        closes_but_socketioxide(&[r#"40/nope,"x""#], NOPE, NOT_CHECKED),
        closes(&["44/users,[]"]),
    ]
}

const ELEVEN: &str = r#"4511-/users,["up"]"#;
const NOPE: Reaction = Reaction::Answers(&[r#"44/nope,{"message":"Invalid namespace"}"#]);

fn attachments() -> Vec<Step> {
    vec![
        closes(&[r#"45/users,["up"]"#]),
        closes(&[r#"45-/users,["up"]"#]),
        closes(&[r#"45x-/users,["up"]"#]),
        closes_but_socketioxide(&[r#"450-/users,["up"]"#], Silence, NONE),
        // socketioxide takes 10 000 attachments, but wants them next.
        closes(&[ELEVEN, "43/users,1[]"]),
        closes(&["451-/users,{}", "bAQID"]),
    ]
}

fn lenient() -> Vec<Step> {
    vec![
        send(&[r#"42/users,["x","\ud800"]"#], Silence).but_we(Closed, NUMBERS),
        send(&[r#"42/users,["x",1e999]"#], Silence).but_we(Closed, NUMBERS),
        send(&[DEEP], Silence).but_we(Closed, NUMBERS),
        send(&[r#"42/users,9007199254740992["x"]"#], Silence).but_we(Closed, IDS),
    ]
}

const DEEP: &str = concat!(
    r#"42/users,["x","#,
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "]",
);
