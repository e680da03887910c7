//! The figures of a run; as JSON they are what `--json` prints.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{
    Failure,
    args::Args,
    ledger::{Delays, Tally},
    memory::Resident,
};

/// The whole report.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Where sockets connected.
    pub(crate) edge: &'static str,
    /// Built without optimisation, this command and its server alike: the times mean nothing.
    pub(crate) debug_build: bool,
    /// Sockets that were opened.
    pub(crate) sockets: usize,
    /// Users that were renamed.
    pub(crate) users: usize,
    /// Renames that were asked for.
    pub(crate) mutations: usize,
    /// Renames that were sent.
    pub(crate) sent: usize,
    /// Renames before the measured ones.
    pub(crate) history: usize,
    /// Renames per second that were asked for; 0 is one after another.
    pub(crate) rate: f64,
    /// Clients that renamed as fast as they were answered, if that was asked for.
    pub(crate) clients: Option<usize>,
    /// Renames that were answered, over the time until the last of them was heard.
    pub(crate) changes_per_second: f64,
    /// Seconds until the last socket had joined.
    pub(crate) connecting_seconds: f64,
    /// Sockets over that time.
    pub(crate) connects_per_second: f64,
    /// Seconds from the first request to the last delivery.
    pub(crate) run_seconds: f64,
    /// Latencies from just before the request.
    pub(crate) milliseconds: Latencies,
    /// What sockets heard.
    pub(crate) deliveries: Deliveries,
    /// Microseconds of processor time the server used for each delivery, if its process is known.
    pub(crate) processor_microseconds_per_delivery: Option<f64>,
    /// Silent sockets, and how many of them the server did not close.
    pub(crate) silent: usize,
    pub(crate) silent_open: usize,
    /// Memory of the server, if its process is known.
    pub(crate) memory_bytes: Option<Memory>,
}

/// Times until something had happened.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Latencies {
    /// The response was there.
    pub(crate) response: Percentiles,
    /// The first socket had heard of it.
    pub(crate) first_socket: Percentiles,
    /// Half of the sockets had heard of it.
    pub(crate) median_socket: Percentiles,
    /// All sockets had heard of it.
    pub(crate) last_socket: Percentiles,
}

/// Milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Percentiles {
    /// Half took no longer.
    pub(crate) p50: f64,
    /// Nine of ten took no longer.
    pub(crate) p90: f64,
    /// 99 of 100 took no longer.
    pub(crate) p99: f64,
    /// The longest time.
    pub(crate) max: f64,
}

/// A delivery is one event at one socket.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Deliveries {
    /// Deliveries a second over the whole run.
    pub(crate) per_second: f64,
    /// Deliveries there should be.
    pub(crate) expected: usize,
    /// Deliveries there were, each counted once.
    pub(crate) received: usize,
    /// Deliveries that never came, or too late.
    pub(crate) missing: usize,
    /// Deliveries that came again.
    pub(crate) doubled: usize,
    /// Deliveries that came after a newer one of the same user.
    pub(crate) reordered: usize,
    /// Why sockets were lost.
    pub(crate) lost_sockets: Vec<String>,
}

/// Bytes.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Memory {
    /// Memory right after the start, before any request.
    pub(crate) idle: u64,
    /// Memory after the users were registered.
    pub(crate) before_sockets: u64,
    /// Memory after all sockets had joined.
    pub(crate) with_sockets: u64,
    /// What each socket added.
    pub(crate) per_socket: u64,
    /// Memory after the run, with sockets still open.
    pub(crate) after_run: u64,
    /// The most memory there ever was.
    pub(crate) peak: u64,
}

/// What was seen of the server.
pub(crate) struct Seen {
    /// The server's memory, if its process is known.
    pub(crate) memory: Option<Memory>,
    /// What the server used from the first request to the last delivery, if its process is known.
    pub(crate) processor_time: Option<Duration>,
    /// Silent sockets that it did not close.
    pub(crate) silent_open: usize,
}

impl Memory {
    /// The memory that was read at these four moments.
    pub(crate) fn of(moments: [Option<Resident>; 4], sockets: usize) -> Option<Self> {
        let [idle, before, with, after] = moments;
        let (idle, before, with, after) = (idle?, before?, with?, after?);
        Some(Self {
            idle: idle.now,
            before_sockets: before.now,
            with_sockets: with.now,
            per_socket: with.now.saturating_sub(before.now) / sockets as u64,
            after_run: after.now,
            peak: after.peak,
        })
    }
}

impl Report {
    /// Puts it together.
    pub(crate) fn new(args: &Args, connecting: Duration, tally: &Tally, server: &Seen) -> Result<Self, Failure> {
        let run_seconds = tally.span.as_secs_f64();
        let socket = |rank: usize| percentiles(tally, |delays| delays.sockets.map(|sockets| sockets[rank]));
        Ok(Self {
            edge: args.edge.name(),
            debug_build: cfg!(debug_assertions),
            sockets: args.sockets(),
            users: args.users(),
            mutations: args.mutations(),
            sent: tally.delays.len(),
            history: args.history,
            rate: args.rate,
            clients: args.clients,
            changes_per_second: if run_seconds > 0.0 { tally.delays.len() as f64 / run_seconds } else { 0.0 },
            connecting_seconds: connecting.as_secs_f64(),
            connects_per_second: args.sockets() as f64 / connecting.as_secs_f64(),
            run_seconds,
            milliseconds: Latencies {
                response: percentiles(tally, |delays| delays.response)?,
                first_socket: socket(0)?,
                median_socket: socket(1)?,
                last_socket: socket(2)?,
            },
            deliveries: Deliveries {
                per_second: if run_seconds > 0.0 { tally.received as f64 / run_seconds } else { 0.0 },
                expected: tally.expected,
                received: tally.received,
                missing: tally.expected - tally.received,
                doubled: tally.doubled,
                reordered: tally.reordered,
                lost_sockets: tally.lost.clone(),
            },
            processor_microseconds_per_delivery: server
                .processor_time
                .filter(|_| tally.received > 0)
                .map(|time| time.as_secs_f64() * 1e6 / tally.received as f64),
            silent: args.silent,
            silent_open: server.silent_open,
            memory_bytes: server.memory,
        })
    }

    /// Whether everything was heard, once and in order, by sockets that stayed, and those that never read were closed.
    pub(crate) fn is_clean(&self) -> bool {
        let Deliveries { missing, doubled, reordered, lost_sockets, .. } = &self.deliveries;
        *missing == 0
            && *doubled == 0
            && *reordered == 0
            && lost_sockets.is_empty()
            && self.sent == self.mutations
            && self.silent_open == 0
    }
}

fn percentiles(tally: &Tally, of: impl Fn(&Delays) -> Option<Duration>) -> Result<Percentiles, Failure> {
    let mut histogram = Histogram::<u64>::new(3)?;
    for delay in tally.delays.iter().filter_map(of) {
        histogram.record(u64::try_from(delay.as_micros())?)?;
    }
    let milliseconds = |micros: u64| micros as f64 / 1000.0;
    let quantile = |quantile| milliseconds(histogram.value_at_quantile(quantile));
    Ok(Percentiles { p50: quantile(0.5), p90: quantile(0.9), p99: quantile(0.99), max: milliseconds(histogram.max()) })
}
