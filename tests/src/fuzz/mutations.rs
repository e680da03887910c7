//! Valid texts, a little broken.

use std::ops::Range;

use fastrand::Rng;

/// What a parser might stumble over.
const PIECES: [&str; 20] = [
    "4",
    "b",
    "/",
    ",",
    "-",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "\\",
    "\\u",
    "\u{0}",
    "\u{1e}",
    "é",
    "😀",
    " ",
    "e",
    "null",
    "999999999",
];

/// The text after one to four mutations; `other` lends pieces.
pub(super) fn mutate(rng: &mut Rng, text: &str, other: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..rng.usize(1..5) {
        let (start, end) = range(rng, bytes.len());
        match rng.u8(0..8) {
            0 => drop(bytes.drain(start..end)),
            1 => insert(&mut bytes, start, rng.choice(&PIECES).unwrap().as_bytes()),
            2 => insert(&mut bytes, start, rng.char(..).to_string().as_bytes()),
            3 => {
                let copy = bytes[start..end].to_vec();
                insert(&mut bytes, end, &copy);
            }
            4 => swap(&mut bytes, rng, start..end),
            5 if start < bytes.len() => bytes[start] ^= 1 << rng.u8(0..8),
            6 => bytes.truncate(start),
            _ => {
                let (from, to) = range(rng, other.len());
                insert(&mut bytes, start, &other.as_bytes()[from..to]);
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Short ones more often than long ones: the interesting characters are at the front.
fn range(rng: &mut Rng, length: usize) -> (usize, usize) {
    let start = if rng.bool() { rng.usize(0..=length.min(12)) } else { rng.usize(0..=length) };
    let end = if rng.bool() { (start + 1 + rng.usize(0..4)).min(length) } else { rng.usize(start..=length) };
    (start, end)
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}

/// A piece changes places with the one of the same length somewhere else.
fn swap(bytes: &mut [u8], rng: &mut Rng, piece: Range<usize>) {
    let to = rng.usize(0..=bytes.len() - piece.len());
    for n in 0..piece.len() {
        bytes.swap(piece.start + n, to + n);
    }
}
