//! Everybody reconnects at once, and the gateway lets in so many a second.
//!
//! Not client by client but as amounts: how many try in each tenth of a second, by how often they were refused before.

use std::collections::VecDeque;

/// Seconds of a step.
const STEP: f64 = 0.1;

/// Delays before the first attempts and the longest, in seconds (socket.io-client's `reconnectionDelay`, doubled each
/// time, and `reconnectionDelayMax`).
const DELAYS: [f64; 4] = [1.0, 2.0, 4.0, 8.0];
const LONGEST: f64 = 5.0;

/// The part of a delay by which it varies (`randomizationFactor`).
const JITTER: f64 = 0.5;

/// How the sockets came back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comeback {
    /// Seconds until half of the sockets are back, and all of them.
    pub(super) half: f64,
    pub(super) all: f64,
    /// Attempts of a socket on average.
    pub(super) attempts: f64,
    /// Refused attempts in the worst second.
    pub(super) refused: f64,
}

impl Comeback {
    /// The comeback of so many clients, so many of them let in a second.
    pub(super) fn of(clients: u32, per_second: f64) -> Self {
        let clients = f64::from(clients);
        let mut waiting: VecDeque<[f64; DELAYS.len()]> = VecDeque::new();
        put(&mut waiting, clients, 0);
        let (mut back, mut attempts, mut worst, mut half, mut now) = (0.0, 0.0, 0.0_f64, 0.0, 0.0);
        // The last part of a client counts as a client.
        while clients - back > 0.5 {
            let due = waiting.pop_front().unwrap_or_default();
            now += STEP;
            let trying: f64 = due.iter().sum();
            let let_in = trying.min(per_second * STEP);
            attempts += trying;
            back += let_in;
            worst = worst.max((trying - let_in) / STEP);
            if half == 0.0 && back * 2.0 >= clients {
                half = now;
            }
            for (refusals, amount) in due.into_iter().enumerate() {
                let refused = if trying > 0.0 { amount * (1.0 - let_in / trying) } else { 0.0 };
                put(&mut waiting, refused, (refusals + 1).min(DELAYS.len() - 1));
            }
        }
        Self { half, all: now, attempts: attempts / clients, refused: worst }
    }
}

/// Has so many clients try again, spread over the delays there may be.
fn put(waiting: &mut VecDeque<[f64; DELAYS.len()]>, amount: f64, refusals: usize) {
    if amount == 0.0 {
        return;
    }
    // Evenly spread delays, of which those beyond the longest are the longest.
    const PARTS: u32 = 20;
    for part in 0..PARTS {
        let spread = (f64::from(part) + 0.5) / f64::from(PARTS) * 2.0 - 1.0;
        let delay = (DELAYS[refusals] * (1.0 + JITTER * spread)).min(LONGEST);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "five seconds at the most")]
        let step = (delay / STEP) as usize;
        if waiting.len() <= step {
            waiting.resize(step + 1, [0.0; DELAYS.len()]);
        }
        waiting[step][refusals] += amount / f64::from(PARTS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_all_back_at_their_first_attempt() {
        let comeback = Comeback::of(100, 500.0);
        assert!((comeback.attempts - 1.0).abs() < 1e-9 && comeback.all <= 1.6, "{comeback:?}");
    }

    #[test]
    fn many_are_let_in_at_the_gateways_pace_and_try_again_and_again() {
        let comeback = Comeback::of(100_000, 500.0);
        assert!((200.0..235.0).contains(&comeback.all), "{comeback:?}");
        assert!(comeback.attempts > 10.0 && comeback.refused > 10_000.0, "{comeback:?}");
    }
}
