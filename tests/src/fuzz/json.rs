//! JSON as text, so that it can also be what no encoder writes: numbers at limits, repeated keys, lone surrogates.

use fastrand::Rng;

const NUMBERS: [&str; 24] = [
    "0",
    "-0",
    "-0.0",
    "1",
    "0.1",
    "1e0",
    "1E+2",
    "1e-7",
    "5e-324",
    "2.2250738585072011e-308",
    "1.7976931348623157e308",
    "1e309",
    "-1e400",
    "1e-400",
    "9007199254740991",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "-9223372036854775809",
    "0.1234567890123456789012345678901234567890",
    "123456789012345678901234567890123456789012345678901234567890",
];

const STRINGS: [&str; 18] = [
    "",
    "x",
    "users.updated",
    "تهران",
    "e\u{301}\u{200f}",
    "👩‍👩‍👧‍👦",
    "\u{2028}\u{feff}",
    "\\u0000",
    "\\ud83d\\ude00",
    "\\ud800",
    "\\udc00x",
    "\\\\\\\"",
    "\\n\\t\\/",
    "__proto__",
    "_placeholder",
    "toString",
    "${x}",
    "4\u{1e}2",
];

const KEYS: [&str; 10] = ["token", "sid", "message", "_placeholder", "num", "__proto__", "", "a", "é", "\\u0061"];

/// A value, nested at most this deep; now and then far deeper, or wide.
pub(super) fn value(rng: &mut Rng, depth: usize) -> String {
    match rng.u8(0..100) {
        0..=1 => deep(rng),
        2 => format!("\"{}\"", "x".repeat(rng.usize(0..40_000))),
        3 => format!("[{}0]", "0,".repeat(rng.usize(0..4_000))),
        4..=29 if depth > 0 => array(rng, depth - 1),
        30..=54 if depth > 0 => object(rng, depth - 1),
        55..=69 => number(rng),
        70..=84 => string(rng),
        85..=89 => format!(" {} \n", number(rng)),
        _ => (*rng.choice(&["null", "true", "false"]).unwrap()).to_owned(),
    }
}

/// An array of values.
pub(super) fn array(rng: &mut Rng, depth: usize) -> String {
    let items = (0..rng.usize(0..4)).map(|_| value(rng, depth)).collect::<Vec<_>>();
    format!("[{}]", items.join(","))
}

/// An object, keys of which may repeat.
pub(super) fn object(rng: &mut Rng, depth: usize) -> String {
    let pairs = (0..rng.usize(0..4)).map(|_| {
        let key = *rng.choice(&KEYS).unwrap();
        format!("\"{key}\":{}", value(rng, depth))
    });
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

/// A string, some of which no Rust string can hold.
pub(super) fn string(rng: &mut Rng) -> String {
    match rng.u8(0..4) {
        0 => format!("\"{}\"", rng.char(' '..).escape_default().to_string().replace("\\u{", "\\u")),
        1 => serde_json::Value::from((0..rng.usize(0..20)).map(|_| rng.char(..)).collect::<String>()).to_string(),
        _ => format!("\"{}\"", rng.choice(&STRINGS).unwrap()),
    }
}

fn number(rng: &mut Rng) -> String {
    match rng.u8(0..4) {
        0 => rng.i64(..).to_string(),
        1 => Some(f64::from_bits(rng.u64(..))).filter(|n| n.is_finite()).unwrap_or(0.5).to_string(),
        2 => format!("{}.{}e{}", rng.u32(..), rng.u64(..), rng.i32(-320..320)),
        _ => (*rng.choice(&NUMBERS).unwrap()).to_owned(),
    }
}

/// Around the depth parsers stop at, or a tower of brackets.
fn deep(rng: &mut Rng) -> String {
    let depth = if rng.bool() { rng.usize(120..135) } else { rng.usize(1..8_000) };
    let (open, close) = *rng.choice(&[("[", "]"), ("{\"a\":", "}"), ("[[0],", "]")]).unwrap();
    let core = if open.ends_with(',') || rng.bool() { "0" } else { "\"\"" };
    format!("{}{core}{}", open.repeat(depth), close.repeat(depth))
}
