//! One function making many calls of the management API: some at a time, one CPU or a part of it, and a gateway that
//! refuses what is too much.

use std::{cmp::Reverse, collections::BinaryHeap};

/// How a refused call is made again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retry {
    /// Attempts before its connection waits until all others were served; without a limit it goes on by itself.
    pub(super) attempts: Option<u32>,
    /// Seconds before the second attempt, by which this grows with each further one, and its end.
    pub(super) pause: f64,
    pub(super) factor: f64,
    pub(super) longest: f64,
}

impl Retry {
    /// The retries of `shared::aws`.
    pub(super) const SDK: Self = Self { attempts: Some(4), pause: 0.1, factor: 2.0, longest: 20.0 };

    /// The retries of `broadcast`.
    pub(super) fn of_broadcast() -> Self {
        let (first, longest) = broadcast::RETRY_PAUSE;
        let factor = broadcast::RETRY_PAUSE_GROWTH;
        Self { attempts: None, pause: first.as_secs_f64(), factor, longest: longest.as_secs_f64() }
    }

    /// The longest pause after so many attempts, in seconds.
    fn after(self, attempts: u32) -> f64 {
        (self.pause * self.factor.powf(f64::from(attempts))).min(self.longest)
    }
}

/// What the calls are made with and against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calls {
    /// Calls under way at the same time.
    pub(super) at_once: usize,
    /// Seconds of the function's CPU, as much of one as it has, for each.
    pub(super) cpu: f64,
    /// Seconds until the answer.
    pub(super) way: f64,
    pub(super) retry: Retry,
    /// What the gateway takes, a second, and beyond that at once.
    pub(super) rate: f64,
    pub(super) burst: f64,
}

/// How far it came.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    /// Calls that were answered well.
    pub(super) done: u32,
    /// Attempts that were refused.
    pub(super) refused: u32,
    /// Seconds it took.
    pub(super) seconds: f64,
}

/// When a call wants the CPU, in nanoseconds, since those can be ordered; and how often it was tried.
type Due = Reverse<(u64, u32)>;

impl Calls {
    /// Makes so many calls, of which none begins when the time is over.
    pub(super) fn make(self, count: u32, time: f64) -> Progress {
        let mut progress = Progress::default();
        let first = u32::try_from(self.at_once).unwrap_or(u32::MAX).min(count);
        let mut waiting = count - first;
        let mut due: BinaryHeap<Due> = (0..first).map(|_| at(0.0, 0)).collect();
        let mut random = fastrand::Rng::with_seed(1);
        let (mut cpu_free, mut allowance, mut refilled) = (0.0_f64, self.burst, 0.0);
        while let Some(Reverse((nanoseconds, attempt))) = due.pop() {
            let now = seconds(nanoseconds);
            if now > time {
                continue;
            }
            cpu_free = cpu_free.max(now) + self.cpu;
            let answered = cpu_free + self.way;
            allowance = (allowance + (cpu_free - refilled) * self.rate).min(self.burst);
            refilled = cpu_free;
            progress.seconds = progress.seconds.max(answered);
            if allowance >= 1.0 {
                allowance -= 1.0;
                progress.done += 1;
            } else {
                progress.refused += 1;
                if self.retry.attempts.is_none_or(|attempts| attempt + 1 < attempts) {
                    let pause = self.retry.after(attempt) * random.f64();
                    due.push(at(answered + pause, attempt + 1));
                    continue;
                }
                // Its connection is served again when all others were.
                waiting += 1;
            }
            if waiting > 0 {
                waiting -= 1;
                due.push(at(answered, 0));
            }
        }
        progress
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "minutes, in nanoseconds")]
fn at(seconds: f64, attempt: u32) -> Due {
    Reverse(((seconds * 1e9) as u64, attempt))
}

#[allow(clippy::cast_precision_loss, reason = "minutes, in nanoseconds")]
fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Calls = Calls { at_once: 100, cpu: 0.0, way: 0.01, retry: Retry::SDK, rate: 1e9, burst: 1e9 };

    #[test]
    fn without_limits_the_way_decides() {
        let progress = IDLE.make(10_000, 60.0);
        assert_eq!((progress.done, progress.refused), (10_000, 0));
        assert!((progress.seconds - 1.0).abs() < 0.001, "{progress:?}");
    }

    #[test]
    fn a_slow_cpu_decides() {
        let progress = Calls { cpu: 0.001, ..IDLE }.make(10_000, 60.0);
        assert!((progress.seconds - 10.01).abs() < 0.01, "{progress:?}");
    }

    #[test]
    fn a_gateway_that_refuses_decides_and_all_are_told_in_the_end() {
        for retry in [Retry::SDK, Retry::of_broadcast()] {
            let progress = Calls { rate: 1000.0, burst: 500.0, retry, ..IDLE }.make(10_000, 60.0);
            assert!(progress.done == 10_000 && progress.refused > 0);
            assert!((9.4..11.0).contains(&progress.seconds), "{retry:?}: {progress:?}");
        }
    }

    #[test]
    fn what_does_not_fit_into_the_time_is_not_done() {
        let progress = Calls { cpu: 0.001, ..IDLE }.make(10_000, 5.0);
        assert!((4_900..=5_200).contains(&progress.done), "{progress:?}");
    }
}
