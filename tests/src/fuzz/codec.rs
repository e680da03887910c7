//! The codec: never panics, survives its own encoding, and agrees with socketioxide's parsers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use shared::protocol::{Frame, Packet};

use super::{Budget, Finding, inputs::Inputs, oracle, parts::Parts};

/// Longer than any message a gateway hands over.
const LONGEST: usize = 130 * 1024;

/// Tries texts until the budget is used up.
///
/// # Errors
/// The first finding.
pub fn run(budget: &Budget, seed: u64) -> Result<(), Finding> {
    let mut inputs = Inputs::new(seed, Vec::new(), LONGEST);
    while budget.take().is_some() {
        let text = inputs.text();
        check(&text).map_err(|what| Finding { what, seed, texts: vec![text] })?;
    }
    Ok(())
}

/// Tries one text, as a frame and as what a frame carries.
///
/// # Errors
/// What must not happen, in words.
pub fn check(text: &str) -> Result<(), String> {
    let judged = catch_unwind(AssertUnwindSafe(|| {
        frame(text)?;
        packet(text)?;
        text.strip_prefix('4').map_or(Ok(()), packet)
    }));
    judged.unwrap_or_else(|_| Err("the codec panicked".to_owned()))
}

fn frame(text: &str) -> Result<(), String> {
    let frame = Frame::decode(text);
    if let Ok(frame) = &frame {
        let encoded = frame.encode();
        let again = Frame::decode(&encoded);
        if again.as_ref() != Ok(frame) {
            return Err(format!("{frame:?} is encoded as {encoded:?}, which is read as {again:?}"));
        }
    }
    oracle::agrees_on_frame(text, frame.as_ref().ok())
}

fn packet(text: &str) -> Result<(), String> {
    let Ok(packet) = Packet::decode(text) else { return Ok(()) };
    let encoded = packet.encode();
    let again = Packet::decode(&encoded);
    let same =
        |again: &Packet| again.namespace == packet.namespace && Parts::of(again).are_those_of(&Parts::of(&packet));
    if !again.as_ref().is_ok_and(same) {
        return Err(format!("{packet:?} is encoded as {encoded:?}, which is read as {again:?}"));
    }
    oracle::agrees_on_packet(text, &packet)
}
