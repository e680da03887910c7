//! Deliveries against a gateway that is simulated, in simulated time: what happens on a bad day.

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

use super::{Answer, Checkpoint, Command, Delivery, Health};
use crate::batch::{Batch, RoomEvents, Step};

/// When everything begins, epoch milliseconds.
const EPOCH: i64 = 1_739_125_407_000;

/// How long the gateway takes for a call, in milliseconds.
const LATENCY: u64 = 5;

/// Never answers.
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
    let member =
        |number| Member { connection_id: id(number), generation: Some(0), token_expires_at: None, connected_at: None };
    (0..count).map(member).collect()
}

fn step(room: Room, record: usize, kick_before: Option<u32>) -> Step {
    let emission = Emission { name: "users.updated", room, frame: format!("event {record}").into(), kick_before };
    Step { record, sequence_number: format!("{}", 100 + record).into(), emission, request_id: None }
}

/// The feed is told the changes of these records.
fn feed(records: std::ops::Range<usize>) -> Batch {
    let steps = records.map(|record| step(Room::feed(), record, None)).collect();
    Batch { rooms: vec![RoomEvents { room: Room::feed(), steps }], poisoned: 0 }
}

/// A user is thrown out.
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
    /// Of the random part of pauses.
    seed: u64,
}

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
        }
    }

    fn with(mut self, room: usize, members: Vec<Member>, checkpoints: Vec<DeliveryCheckpoint>) -> Self {
        self.delivery.read(room, 0, members, checkpoints);
        self.delivery.read_to_its_end(room);
        self
    }

    /// Until it is done, or until so many milliseconds are over. The pauses of the engine have a random part: it is the same
    /// in each run, so that a failure is seen again.
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
                let at = now + if answer.is_some() { LATENCY } else { 3000 };
                let number = match answer.unwrap_or(Answer::Refused) {
                    Answer::Accepted => 0,
                    Answer::Gone => 1,
                    Answer::TooLarge => 2,
                    Answer::Refused => 3,
                };
                if !self.logs_first_event || frame == "event 0" {
                    self.log.0.push((now, connection, did, frame, answer));
                }
                if did != Did::Forget {
                    answers.push(Reverse((at, ticket, number)));
                }
            }
            if self.delivery.is_done() {
                return self;
            }
            let wakes = self.delivery.wakes_at().map(|at| {
                let milliseconds = at.saturating_duration_since(self.start).as_nanos().div_ceil(1_000_000);
                u64::try_from(milliseconds).unwrap()
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
            while let Some(Reverse((at, ticket, number))) = answers.peek()
                && *at <= now
            {
                let answer = [Answer::Accepted, Answer::Gone, Answer::TooLarge, Answer::Refused][*number];
                self.delivery.answered(*ticket, answer, self.start + Duration::from_millis(now));
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

#[test]
fn everyone_is_told_in_the_order_of_the_records() {
    let scene = Scene::new(feed(0..3)).with(0, members(500), vec![]).run(TIME, &mut |_| Some(Answer::Accepted));
    for number in 0..500 {
        assert_eq!(scene.log.told(&id(number)), ["event 0", "event 1", "event 2"]);
    }
    assert_eq!((scene.undelivered(), scene.delivery.checkpoints()), (None, vec![]));
}

#[test]
fn a_gateway_that_takes_nothing_closes_nobody_before_ten_seconds_and_never_many() {
    for count in [1, 8, 9, 10, 1000] {
        let scene = Scene::new(feed(0..1)).with(0, members(count), vec![]).run(TIME, &mut |Asked { did, .. }| {
            Some(if did == Did::Post { Answer::Refused } else { Answer::Accepted })
        });
        let closed = scene.log.closed();
        assert!(closed.iter().all(|(at, _)| *at >= 10_000), "{count}: {closed:?}");
        assert_eq!(closed.len(), if count <= 9 { count } else { 0 });
        assert_eq!(scene.undelivered(), (count > 9).then_some(0));
    }
}

#[test]
fn a_gateway_that_refuses_forty_percent_at_random_closes_nobody_and_everyone_is_told() {
    for seed in 0..5 {
        let mut random = fastrand::Rng::with_seed(seed);
        let scene = Scene::new(feed(0..2))
            .with(0, members(1000), vec![])
            .run(TIME, &mut |_| Some(if random.u8(0..100) < 40 { Answer::Refused } else { Answer::Accepted }));
        assert_eq!(scene.log.closed(), [], "{seed}");
        assert!((0..1000).all(|number| scene.log.told(&id(number)) == ["event 0", "event 1"]), "{seed}");
    }
}

/// These sockets take nothing, all others do.
fn dead(count: usize, of: usize) -> Scene {
    let is_dead = |connection: &str| connection.trim_end_matches('=').parse::<usize>().unwrap() * count % of < count;
    Scene::new(feed(0..2)).with(0, members(of), vec![]).run(TIME, &mut move |Asked { connection, did, .. }| {
        Some(if did == Did::Post && is_dead(connection) { Answer::Refused } else { Answer::Accepted })
    })
}

#[test]
fn sockets_that_take_nothing_while_others_do_are_closed_within_a_second_and_nobody_else() {
    for (count, of) in [(5, 1000), (9, 200), (50, 200), (1, 4), (1, 2)] {
        let scene = dead(count, of);
        let closed = scene.log.closed();
        assert_eq!(closed.len(), count, "{of}: {closed:?}");
        assert!(closed.iter().all(|(at, _)| *at < 1000), "{count} of {of}: {closed:?}");
        let told = (0..of).filter(|number| scene.log.told(&id(*number)) == ["event 0", "event 1"]).count();
        assert_eq!((told, scene.undelivered()), (of - count, None));
    }
}

/// All others are told by their second attempts, and nobody is left to compare the dead with.
#[test]
fn sockets_that_are_dead_after_an_outage_are_closed_and_hold_nobody_up() {
    for (outage, count, of) in [(300, 50, 200), (5_000, 10, 200), (5_000, 20, 1000), (30_000, 50, 200)] {
        let is_dead =
            |connection: &str| connection.trim_end_matches('=').parse::<usize>().unwrap() * count % of < count;
        let scene = Scene::new(feed(0..2)).with(0, members(of), vec![]).run(
            TIME,
            &mut |Asked { connection, did, now, .. }| {
                let refuses = now < outage || did == Did::Post && is_dead(connection);
                Some(if refuses { Answer::Refused } else { Answer::Accepted })
            },
        );
        assert!(scene.log.closed().iter().all(|(at, who)| *at < outage || is_dead(who)), "{:?}", scene.log.closed());
        assert_eq!(scene.undelivered(), None, "{count} of {of} after {outage} ms");
        assert!(scene.log.end() < outage + 13_000, "{}", scene.log.end());
    }
}

#[test]
fn a_gateway_that_refuses_nearly_everything_closes_nobody() {
    for (percent, seed) in [70, 80].into_iter().flat_map(|percent| (0..30).map(move |seed| (percent, seed))) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut scene = Scene::new(feed(0..2)).with(0, members(1000), vec![]);
        scene.seed = seed;
        let scene = scene
            .run(TIME, &mut |_| Some(if random.u8(0..100) < percent { Answer::Refused } else { Answer::Accepted }));
        assert_eq!(scene.delivery.counts().closed, 0, "{percent} %, seed {seed}");
    }
}

#[test]
fn a_slow_socket_delays_the_others_by_less_than_a_third_of_a_second() {
    for hangs in [false, true] {
        let scene = Scene::new(feed(0..1)).with(0, members(4), vec![]).run(
            TIME,
            &mut |Asked { connection, did, .. }| match (connection == id(2), did, hangs) {
                (true, Did::Post, true) => NEVER,
                (true, Did::Post, false) => Some(Answer::Refused),
                _ => Some(Answer::Accepted),
            },
        );
        assert_eq!(scene.log.closed().iter().map(|(_, closed)| *closed).collect::<Vec<_>>(), [id(2)]);
        assert!(scene.log.end() < 300, "hangs: {hangs}: the next batch begins after {} ms", scene.log.end());
    }
}

/// As on a machine that is too busy: answers are there, and nobody could read them.
#[test]
fn a_function_that_had_no_processor_blames_nobody_for_it() {
    for answer in [Answer::Accepted, Answer::Refused] {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let health = Arc::new(Mutex::new(Health::new(start)));
        let mut delivery = Delivery::new(feed(0..1), &[1], health, start, EPOCH);
        delivery.read(0, 0, members(50), vec![]);
        delivery.read_to_its_end(0);
        let mut tickets = Vec::new();
        while let Some(Command::Post { ticket, .. }) = delivery.next(start) {
            tickets.push(ticket);
        }
        for ticket in tickets.split_off(4) {
            delivery.answered(ticket, Answer::Accepted, at(5));
        }
        // Half a second later, looked at before the answers of the other four are.
        assert!(delivery.next(at(500)).is_none());
        assert!(delivery.next(at(519)).is_none());
        for ticket in tickets {
            delivery.answered(ticket, answer, at(520));
        }
        let mut now = 520;
        while let Some(wakes) = delivery.wakes_at().filter(|_| !delivery.is_done()) {
            now = u64::try_from(wakes.saturating_duration_since(start).as_millis()).unwrap().max(now) + 1;
            while let Some(command) = delivery.next(at(now)) {
                let Command::Post { ticket, .. } = command else { panic!("{command:?}") };
                delivery.answered(ticket, Answer::Accepted, at(now));
            }
        }
        assert!(delivery.is_done() && delivery.counts().closed == 0);
    }
}

#[test]
fn a_gateway_that_hangs_closes_nobody_and_everyone_is_told_when_it_is_over() {
    for count in [1, 4, 300] {
        let scene = Scene::new(feed(0..1)).with(0, members(count), vec![]).run(TIME, &mut |Asked { now, .. }| {
            if (1..8_000).contains(&(now + 1)) { NEVER } else { Some(Answer::Accepted) }
        });
        assert_eq!(scene.log.closed(), [], "{count}");
        assert!((0..count).all(|number| scene.log.told(&id(number)) == ["event 0"]), "{count}");
    }
}

#[test]
fn after_half_a_minute_without_a_gateway_the_event_arrives_the_banned_are_closed_and_nobody_else_is() {
    for (count, banned) in [(1, 1), (9, 3), (300, 20)] {
        let mut batch = feed(0..1);
        batch.rooms.insert(0, kick());
        let kicked = members(count + banned).split_off(count);
        let scene = Scene::new(batch).with(0, kicked, vec![]).with(1, members(count), vec![]);
        let scene = scene
            .run(TIME, &mut |Asked { now, .. }| Some(if now < 30_000 { Answer::Refused } else { Answer::Accepted }));
        assert!((0..count).all(|number| scene.log.told(&id(number)) == ["event 0"]), "{count}");
        let closed: Vec<_> = scene.log.closed().into_iter().filter(|(at, _)| *at >= 30_000).collect();
        for (at, who) in &closed {
            // Who was refused the event at the last moment before is closed at the first moment after.
            let told: &[_] = if *at < 30_000 + LATENCY { &[] } else { &["event 0", "41/users,"] };
            assert_eq!(scene.log.told(who), told, "why it is thrown out is told");
        }
        assert!(closed.iter().all(|(at, who)| *at < 33_000 && *who >= id(count).as_str()), "{closed:?}");
        assert_eq!((closed.len(), scene.undelivered()), (banned, None));
    }
}

#[test]
fn banned_sockets_that_take_nothing_are_closed_within_two_seconds() {
    for refuses in [Some(Answer::Refused), NEVER] {
        let batch = Batch { rooms: vec![kick()], poisoned: 0 };
        let scene = Scene::new(batch).with(0, members(9), vec![]).run(TIME, &mut |Asked { did, .. }| {
            if did == Did::Post { refuses } else { Some(Answer::Accepted) }
        });
        let closed = scene.log.closed();
        assert!(closed.len() == 9 && closed.iter().all(|(at, _)| *at < 2000), "{closed:?}");
        assert_eq!(scene.undelivered(), None);
    }
}

#[test]
fn a_banned_socket_that_takes_nothing_delays_the_next_batch_no_more_than_any_other() {
    for refuses in [Some(Answer::Refused), NEVER] {
        let mut batch = feed(0..1);
        batch.rooms.insert(0, kick());
        let kicked = members(5).split_off(4);
        let scene = Scene::new(batch).with(0, kicked, vec![]).with(1, members(4), vec![]);
        let scene = scene.run(TIME, &mut |Asked { connection, did, .. }| {
            if did == Did::Post && connection == id(4) { refuses } else { Some(Answer::Accepted) }
        });
        assert_eq!(scene.log.closed().iter().map(|(_, closed)| *closed).collect::<Vec<_>>(), [id(4)]);
        assert!(scene.log.end() < 300, "{}", scene.log.end());
    }
}

#[test]
fn a_close_is_repeated_until_the_connection_is_gone_also_in_the_next_attempt() {
    let run = |stop_at, works_at| {
        let batch = Batch { rooms: vec![kick()], poisoned: 0 };
        Scene::new(batch).with(0, members(2), vec![]).run(stop_at, &mut |Asked { now, .. }| {
            Some(if now < works_at { Answer::Refused } else { Answer::Accepted })
        })
    };
    assert_eq!(run(TIME, u64::MAX).undelivered(), Some(0), "the record comes again");
    let scene = run(TIME, 20_000);
    assert_eq!(scene.undelivered(), None);
    assert!(scene.log.closed().iter().filter(|(at, _)| *at >= 20_000).count() == 2);
}

#[test]
fn who_joined_after_an_unban_is_neither_told_nor_thrown_out() {
    let mut members = members(2);
    members[1].generation = Some(1);
    let batch = Batch { rooms: vec![kick()], poisoned: 0 };
    let scene = Scene::new(batch).with(0, members, vec![]).run(TIME, &mut |_| Some(Answer::Accepted));
    assert_eq!(scene.log.closed().iter().map(|(_, closed)| *closed).collect::<Vec<_>>(), [id(0)]);
    assert_eq!(scene.log.told(&id(1)), [""; 0]);
}

#[test]
fn a_connection_that_opens_late_is_told_and_one_that_never_opens_is_closed_and_forgotten() {
    let young = |at| Member { connected_at: Some(EPOCH + at), ..members(1).remove(0) };
    let scene = |opens: u64, at| {
        let scene = Scene::new(feed(0..1)).with(0, vec![young(at)], vec![]);
        scene.run(TIME, &mut move |Asked { did, now, .. }| match did {
            Did::Look | Did::Forget => Some(Answer::Accepted),
            _ => Some(if now < opens { Answer::Gone } else { Answer::Accepted }),
        })
    };
    let late = scene(300, 0);
    assert_eq!(late.log.told(&id(0)), ["event 0"]);
    assert!(late.log.end() < 700 && late.log.closed().is_empty());
    for never in [scene(u64::MAX, 0), scene(u64::MAX, -10_000)] {
        let did: Vec<_> = never.log.0.iter().rev().take(2).map(|(_, _, did, ..)| *did).collect();
        assert_eq!(did, [Did::Forget, Did::Close], "whoever is forgotten is closed, too");
        assert_eq!(never.undelivered(), None);
    }
    assert!(scene(u64::MAX, -10_000).log.end() < 50, "one that was open is not waited for");
}

#[test]
fn a_young_connection_that_was_closed_meanwhile_is_not_waited_for() {
    let young = Member { connected_at: Some(EPOCH), ..members(1).remove(0) };
    let scene = Scene::new(feed(0..1)).with(0, vec![young], vec![]).run(TIME, &mut |_| Some(Answer::Gone));
    assert!(scene.log.end() < 100, "{:?}", scene.log);
}

#[test]
fn a_member_whose_token_has_ended_is_closed_and_not_told() {
    let mut members = members(3);
    members[1].token_expires_at = Some(EPOCH / 1000);
    members[2].token_expires_at = Some(EPOCH / 1000 + 1);
    let scene = Scene::new(feed(0..1)).with(0, members, vec![]).run(TIME, &mut |_| Some(Answer::Accepted));
    assert_eq!(scene.log.closed(), [(0, id(1).as_str())]);
    assert_eq!((scene.log.told(&id(1)), scene.log.told(&id(2))), (vec![], vec!["event 0"]));
}

#[test]
fn an_event_that_is_too_large_is_skipped_and_costs_nobody_anything() {
    let scene = Scene::new(feed(0..3)).with(0, members(200), vec![]).run(TIME, &mut |_| Some(Answer::Accepted));
    let undisturbed = scene.log.end();
    let mut scene = Scene::new(feed(0..3)).with(0, members(200), vec![]);
    scene = scene.run(TIME, &mut |Asked { frame, .. }| {
        Some(if frame == "event 1" { Answer::TooLarge } else { Answer::Accepted })
    });
    assert!((0..200).all(|number| scene.log.told(&id(number)) == ["event 0", "event 2"]));
    assert_eq!((scene.delivery.counts().too_large, scene.log.closed()), (1, vec![]));
    assert!(scene.log.end() <= undisturbed);
}

/// One attempt after the other with nothing in common but the checkpoint, as with a fresh environment for each.
fn attempts(sockets: usize, records: usize, time: u64, gateway: Gateway<'_>) -> Vec<Scene> {
    let (mut scenes, mut first, mut checkpoints) = (Vec::new(), 0, Vec::new());
    for _ in 0..100 {
        let scene = Scene::new(feed(first..records)).with(0, members(sockets), checkpoints.clone()).run(time, gateway);
        for (_, _, checkpoint) in scene.delivery.checkpoints() {
            checkpoints = match checkpoint {
                Checkpoint::Save(checkpoint) => vec![checkpoint],
                Checkpoint::Delete(_) => vec![],
            };
        }
        let undelivered = scene.undelivered();
        scenes.push(scene);
        match undelivered {
            Some(index) => first = index,
            None => {
                assert_eq!(checkpoints, [], "nothing is left behind");
                return scenes;
            }
        }
    }
    panic!("it does not come to an end");
}

#[test]
fn with_a_fresh_environment_for_every_attempt_everyone_is_told_in_order_and_nobody_more_than_twice() {
    for (records, refused) in [(1, 0), (1, 10), (3, 10)] {
        let mut random = fastrand::Rng::with_seed(7);
        let mut told = BTreeMap::<String, Vec<u8>>::new();
        // 4,000 sockets with 128 calls of 5 ms each take 157 ms: time for a fifth of them.
        let scenes = attempts(4000, records, 32, &mut |_| {
            Some(if random.u8(0..100) < refused { Answer::Refused } else { Answer::Accepted })
        });
        assert!(scenes.len() >= 5 * records, "{}", scenes.len());
        for scene in &scenes {
            for (_, connection, did, frame, answer) in &scene.log.0 {
                if *did == Did::Post && *answer == Some(Answer::Accepted) {
                    told.entry(connection.clone()).or_default().push(frame.as_bytes()[6]);
                }
            }
        }
        assert_eq!(told.len(), 4000);
        let expected: Vec<_> = (0..records).map(|record| b'0' + u8::try_from(record).unwrap()).collect();
        for (connection, events) in told {
            assert_eq!(events, expected, "{connection}: in order, and each once");
        }
        assert!(scenes.iter().all(|scene| scene.log.closed().is_empty()));
    }
}

#[test]
fn a_retry_of_fewer_records_than_were_told_repeats_nothing_either() {
    let accept = &mut |_: Asked<'_>| Some(Answer::Accepted);
    // Three of four hundred hear nothing for now.
    let first =
        Scene::new(feed(0..4)).with(0, members(400), vec![]).run(400, &mut |Asked { connection, did, .. }| {
            Some(if did == Did::Post && connection < id(3).as_str() { Answer::Gone } else { Answer::Accepted })
        });
    drop(first);
    let mut stuck = members(400);
    stuck.iter_mut().take(3).for_each(|member| member.connected_at = Some(EPOCH));
    let first = Scene::new(feed(0..4)).with(0, stuck, vec![]).run(400, &mut |Asked { connection, did, .. }| {
        Some(if did == Did::Post && connection < id(3).as_str() { Answer::Gone } else { Answer::Accepted })
    });
    assert_eq!(first.undelivered(), Some(0));
    let [(_, _, Checkpoint::Save(checkpoint))] = &first.delivery.checkpoints()[..] else { panic!() };
    assert_eq!((checkpoint.changes.len(), checkpoint.laggards.len()), (4, 3));
    // The event source cuts the batch in half.
    let half = Scene::new(feed(0..2)).with(0, members(400), vec![checkpoint.clone()]).run(TIME, accept);
    assert_eq!(half.log.0.len(), 6, "the three hear two events each");
    let [(_, _, Checkpoint::Save(checkpoint))] = &half.delivery.checkpoints()[..] else { panic!() };
    let other = Scene::new(feed(2..4)).with(0, members(400), vec![checkpoint.clone()]).run(TIME, accept);
    let told: Vec<_> = other.log.0.iter().map(|(_, connection, ..)| connection.clone()).collect();
    assert_eq!(told.len(), 0, "{told:?}");
    assert!(matches!(&other.delivery.checkpoints()[..], [(_, _, Checkpoint::Delete(_))]));
}

#[test]
fn the_last_of_many_sockets_hears_the_first_of_ten_records_as_early_as_if_it_were_alone() {
    let heard_by_all = |records| {
        let mut scene = Scene::new(feed(0..records)).with(0, members(100_000), vec![]);
        scene.logs_first_event = true;
        let scene = scene.run(TIME, &mut |_| Some(Answer::Accepted));
        scene.log.end()
    };
    assert_eq!(heard_by_all(10), heard_by_all(1));
}

/// Set for the process in which memory is measured, apart from all other tests.
const MEASURES: &str = "MEASURES_A_MILLION_MEMBERS";

/// The smallest function has 128 MB, and the program itself about ten of them.
#[test]
#[cfg(target_os = "linux")]
fn a_million_members_fit_into_the_memory_of_the_smallest_function() {
    if std::env::var_os(MEASURES).is_none() {
        let name = "delivery::simulation::a_million_members_fit_into_the_memory_of_the_smallest_function";
        let itself = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(MEASURES, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&itself.stdout).into_owned();
        print!("{said}");
        assert!(itself.status.success() && said.contains("peak"), "{said}");
        return;
    }
    let start = Instant::now();
    let health = Arc::new(Mutex::new(Health::new(start)));
    let mut delivery = Delivery::new(feed(0..1), &[1], health, start, EPOCH);
    let (mut read, mut told) = (0, 0);
    let mut under_way = Vec::new();
    while read < 1_000_000 || !delivery.is_done() {
        if read < 1_000_000 {
            let page = (read..read + 10_000).map(|number| Member { connection_id: id(number), ..members(1).remove(0) });
            delivery.read(0, 0, page.collect(), vec![]);
            read += 10_000;
            if read == 1_000_000 {
                delivery.read_to_its_end(0);
            }
        }
        while let Some(command) = delivery.next(start) {
            let Command::Post { ticket, .. } = command else { panic!("{command:?}") };
            under_way.push(ticket);
        }
        for ticket in under_way.drain(..) {
            delivery.answered(ticket, Answer::Accepted, start);
            told += 1;
        }
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("peak: {} MB, {told} told", peak / 1024);
    assert_eq!(told, 1_000_000);
    assert!(peak < 100 * 1024, "{peak} kB");
}

#[test]
fn trouble_that_begins_in_the_middle_of_a_room_closes_nobody() {
    for (count, begins) in [(10, 1), (200, 1), (200, 6), (1000, 7), (1000, 30), (4000, 100)] {
        for latency in [1, LATENCY] {
            let scene = Scene::new(feed(0..2)).with(0, members(count), vec![]);
            let mut asked = 0;
            // Of those that are asked at the same moment some are still answered well.
            let scene = scene.run(TIME, &mut |Asked { now, .. }| {
                asked += u32::from(now == begins);
                let is_over = now < begins || now == begins && asked <= 40 / u32::try_from(latency).unwrap();
                Some(if is_over || now > 6_000 { Answer::Accepted } else { Answer::Refused })
            });
            assert_eq!(scene.log.closed(), [], "{count} sockets, from {begins} ms on");
            assert!((0..count).all(|number| scene.log.told(&id(number)) == ["event 0", "event 1"]));
        }
    }
}

#[test]
fn a_gateway_that_accepts_only_now_and_then_closes_nobody() {
    for (accepts, refuses) in [(200, 2000), (100, 900), (2000, 200)] {
        for (count, begins) in [4, 20, 1000].into_iter().flat_map(|count| [(count, 0), (count, accepts)]) {
            let is_open = |now: u64| (now + begins) % (accepts + refuses) < accepts;
            let scene = Scene::new(feed(0..2)).with(0, members(count), vec![]);
            let scene = scene.run(TIME, &mut |Asked { now, .. }| {
                Some(if is_open(now) { Answer::Accepted } else { Answer::Refused })
            });
            assert_eq!(scene.delivery.counts().closed, 0, "{count} sockets, {accepts} of {} ms", accepts + refuses);
        }
    }
}
