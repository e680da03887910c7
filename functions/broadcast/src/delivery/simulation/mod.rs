//! Deliveries against a gateway that is simulated, in simulated time: what happens on a bad day.

mod members;
mod rooms;
mod verdicts;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::json;
use shared::{
    connections::{DeliveryCheckpoint, Member, Room},
    events::Emission,
};

use super::{Answer, CONCURRENCY, Checkpoint, Command, Delivery, Health};
use crate::batch::{Batch, RoomEvents, Step};

/// When everything begins, epoch milliseconds.
const EPOCH: i64 = 1_739_125_407_000;

/// How long the gateway usually takes for a call, in milliseconds.
const LATENCY: u64 = 5;

/// The answer to a call that is never answered.
const NEVER: Option<Answer> = None;

/// What the gateway answers.
type Gateway<'a> = &'a mut dyn FnMut(Asked<'_>) -> Option<Answer>;

/// What the gateway is asked.
#[derive(Clone, Copy)]
struct Asked<'a> {
    connection: &'a str,
    did: Did,
    frame: &'a str,
    /// Milliseconds since the beginning.
    now: u64,
}

/// A call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Did {
    Post,
    Close,
    Look,
    Forget,
}

/// What was done, in order: when, about whom, what, and which frame.
#[derive(Debug, Default)]
struct Log(Vec<(u64, String, Did, String, Option<Answer>)>);

impl Log {
    fn told(&self, id: &str) -> Vec<&str> {
        let accepted = self
            .0
            .iter()
            .filter(|(_, to, did, _, answer)| to == id && *did == Did::Post && *answer == Some(Answer::Accepted));
        accepted.map(|(.., frame, _)| frame.as_str()).collect()
    }

    fn closed(&self) -> Vec<(u64, &str)> {
        self.0.iter().filter(|(_, _, did, ..)| *did == Did::Close).map(|(at, id, ..)| (*at, id.as_str())).collect()
    }

    fn end(&self) -> u64 {
        self.0.last().map_or(0, |(at, ..)| *at)
    }
}

fn id(number: usize) -> String {
    format!("{number:0>15}=")
}

fn members(count: usize) -> Vec<Member> {
    let member = |number| Member {
        connection_id: id(number),
        generation: Some(0),
        token_expires_at: None,
        connected_at: None,
        recovers: false,
    };
    (0..count).map(member).collect()
}

fn step(room: Room, record: usize, kick_before: Option<u32>) -> Step {
    let frame = format!("event {record}").into();
    let emission = Emission { name: "users.updated", room, frame, kick_before, logged: None };
    let frame_with_offset = Some(format!("event {record} with its offset").into());
    Step { record, sequence_number: format!("{}", 100 + record).into(), emission, frame_with_offset, request_id: None }
}

/// The feed is told the changes of these records.
fn feed(records: std::ops::Range<usize>) -> Batch {
    let steps = records.map(|record| step(Room::feed(), record, None)).collect();
    Batch { rooms: vec![RoomEvents { room: Room::feed(), steps }], ..Batch::default() }
}

/// The room of a user who is thrown out.
fn kick() -> RoomEvents {
    let room = Room::user(json!("0b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10").as_str().unwrap().parse().unwrap());
    RoomEvents { steps: vec![step(room.clone(), 0, Some(1))], room }
}

/// A delivery and the time it is in.
struct Scene {
    start: Instant,
    delivery: Delivery,
    log: Log,
    /// Whether the log is of the first event alone, for rooms whose whole log would be too long.
    logs_first_event: bool,
    /// The seed of the random part of pauses.
    seed: u64,
    /// Milliseconds until which this function has so little processor that timers come late.
    starved_until: u64,
    /// How long the gateway takes for a call, in milliseconds.
    latency: u64,
}

/// How late they come, in milliseconds.
const LATE: u64 = 40;

impl Scene {
    fn new(batch: Batch) -> Self {
        let start = Instant::now();
        let partitions = vec![1; batch.rooms.len()];
        let health = Arc::new(Mutex::new(Health::new(start)));
        Self {
            start,
            delivery: Delivery::new(batch, &partitions, health, start, EPOCH),
            log: Log::default(),
            logs_first_event: false,
            seed: 1,
            starved_until: 0,
            latency: LATENCY,
        }
    }

    fn with(mut self, room: usize, members: Vec<Member>, checkpoints: Vec<DeliveryCheckpoint>) -> Self {
        self.delivery.read(room, 0, members, checkpoints);
        self.delivery.read_to_its_end(room);
        self
    }

    /// Runs the delivery until it is done, or until so many milliseconds are over. The pauses of the engine have a
    /// random part: it is the same in each run, so that a failure is seen again.
    fn run(mut self, stop_at: u64, gateway: Gateway<'_>) -> Self {
        fastrand::seed(self.seed);
        let (mut now, mut same, mut answers) = (0, 0_u32, BinaryHeap::new());
        loop {
            let instant = self.start + Duration::from_millis(now);
            if now >= stop_at {
                self.delivery.stop();
            }
            while let Some(command) = self.delivery.next(instant) {
                let (ticket, connection, did, frame) = match command {
                    Command::Post { ticket, connection, frame, .. } => {
                        (ticket, connection, Did::Post, frame.to_string())
                    }
                    Command::Close { ticket, connection } => (ticket, connection, Did::Close, String::new()),
                    Command::Look { ticket, connection } => (ticket, connection, Did::Look, String::new()),
                    Command::Forget { connection } => (0, connection, Did::Forget, String::new()),
                };
                let answer = gateway(Asked { connection: &connection, did, frame: &frame, now });
                // A call without an answer ends after three seconds, as in `CALL_TIMEOUT`.
                let at = now + if answer.is_some() { self.latency } else { 3000 };
                if !self.logs_first_event || frame == "event 0" {
                    self.log.0.push((now, connection, did, frame, answer));
                }
                if did != Did::Forget {
                    answers.push(Reverse((at, ticket, answer.unwrap_or(Answer::Refused))));
                }
            }
            if self.delivery.is_done() {
                return self;
            }
            let wakes = self.delivery.wakes_at().map(|at| {
                let milliseconds = at.saturating_duration_since(self.start).as_nanos().div_ceil(1_000_000);
                u64::try_from(milliseconds).unwrap() + if now < self.starved_until { LATE } else { 0 }
            });
            let answered = answers.peek().map(|Reverse((at, ..))| *at);
            let stops = (now < stop_at).then_some(stop_at);
            let then = [wakes, answered, stops].into_iter().flatten().min().expect("something happens").max(now);
            same += u32::from(then == now);
            assert!(
                same < 1_000_000,
                "it runs in circles at {now} ms: {:?}",
                self.log.0.iter().rev().take(5).collect::<Vec<_>>()
            );
            now = then;
            while let Some(Reverse((at, ticket, answer))) = answers.peek()
                && *at <= now
            {
                self.delivery.answered(*ticket, *answer, self.start + Duration::from_millis(now));
                answers.pop();
            }
        }
    }

    fn undelivered(&self) -> Option<usize> {
        self.delivery.undelivered()
    }
}

/// What the function begins nothing more after, in milliseconds.
const TIME: u64 = 55_000;

/// Whether a socket is one of so many, spread over all.
fn is_one_of(connection: &str, count: usize, of: usize) -> bool {
    connection.trim_end_matches('=').parse::<usize>().unwrap() * count % of < count
}
