//! Frames by the grammar: every type of Engine.IO and Socket.IO, and every part at its limits.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use fastrand::Rng;

use super::json;

const NAMESPACES: [&str; 14] = [
    "/users,",
    "/users,",
    "/users,",
    "/users,",
    "/users,",
    "/users,",
    "",
    "/,",
    "/users",
    "/nope,",
    "/users?a=b,",
    "/é😀,",
    "/Users,",
    "//,",
];

const IDS: [&str; 14] = [
    "",
    "",
    "",
    "",
    "",
    "",
    "0",
    "1",
    "13",
    "007",
    "9007199254740991",
    "9007199254740992",
    "18446744073709551616",
    "99999999999999999999999999999999999999999",
];

const ATTACHMENTS: [&str; 12] =
    ["1-", "1-", "2-", "3-", "10-", "11-", "0-", "01-", "-", "4294967296-", "99999999999999999999-", "1"];

const EVENTS: [&str; 14] = [
    "\"msg\"",
    "\"users.updated\"",
    "\"ping\"",
    "\"\"",
    "\"connect\"",
    "\"disconnect\"",
    "\"newListener\"",
    "\"é\"",
    "0",
    "-1.5",
    "null",
    "true",
    "{}",
    "[\"msg\"]",
];

/// A frame that follows the grammar, or nearly.
pub(super) fn frame(rng: &mut Rng, tokens: &[String]) -> String {
    match rng.u8(0..100) {
        0..=3 => format!("b{}", BASE64_STANDARD.encode(bytes(rng))),
        4..=5 => format!("b{}", BASE64_STANDARD.encode(bytes(rng)).trim_end_matches('=').replace('+', "-")),
        6..=10 => (*rng.choice(&["2", "2probe", "2x", "1", "1x", "0", "0{}"]).unwrap()).to_owned(),
        11..=17 => (*rng.choice(&["3", "3", "3", "3probe", "3\u{0}", "5", "6", "6{}"]).unwrap()).to_owned(),
        _ => packet(rng, tokens),
    }
}

fn packet(rng: &mut Rng, tokens: &[String]) -> String {
    let kind = rng.u8(0..7);
    let attachments = if kind >= 5 { *rng.choice(&ATTACHMENTS).unwrap() } else { "" };
    let namespace = match rng.u8(0..30) {
        0 => format!("/{},", (0..rng.usize(0..30)).map(|_| rng.char(..)).collect::<String>()),
        1 => format!("/{},", "n".repeat(rng.usize(0..40_000))),
        _ => (*rng.choice(&NAMESPACES).unwrap()).to_owned(),
    };
    let id = *rng.choice(&IDS).unwrap();
    format!("4{kind}{attachments}{namespace}{id}{}", payload(rng, kind, tokens))
}

fn payload(rng: &mut Rng, kind: u8, tokens: &[String]) -> String {
    if rng.u8(0..12) == 0 {
        return if rng.bool() { String::new() } else { json::value(rng, 4) };
    }
    match kind {
        0 => auth(rng, tokens),
        1 => String::new(),
        2 | 5 => event(rng, kind == 5),
        4 => [json::object(rng, 2), json::string(rng)][rng.usize(0..2)].clone(),
        _ => json::array(rng, 3),
    }
}

fn auth(rng: &mut Rng, tokens: &[String]) -> String {
    match rng.u8(0..5) {
        0 => json::object(rng, 2),
        1 => format!(r#"{{"token":{}}}"#, json::value(rng, 2)),
        // Also without a token: whoever is let in has it read.
        3 => format!(
            r#"{{"recovery":{},"pid":{},"offset":{}}}"#,
            rng.choice(["true", "false", "1"]).unwrap(),
            json::value(rng, 1),
            json::value(rng, 1)
        ),
        2 => format!(
            r#"{{"token":"{}","x":{}}}"#,
            rng.choice(tokens).map_or("x.y.z", String::as_str),
            json::value(rng, 1)
        ),
        _ => String::new(),
    }
}

fn event(rng: &mut Rng, binary: bool) -> String {
    let mut event = format!("[{}", rng.choice(&EVENTS).unwrap());
    for n in 0..rng.usize(0..4) {
        event.push(',');
        if binary && rng.bool() {
            event.push_str(&format!(r#"{{"_placeholder":true,"num":{n}}}"#));
        } else {
            event.push_str(&json::value(rng, 3));
        }
    }
    event + "]"
}

fn bytes(rng: &mut Rng) -> Vec<u8> {
    (0..rng.usize(0..200)).map(|_| rng.u8(..)).collect()
}
