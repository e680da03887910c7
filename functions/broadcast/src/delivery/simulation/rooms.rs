//! Rooms of any size and batches of several events: the order, the checkpoint, the memory.

use super::*;

#[test]
fn everyone_is_told_in_the_order_of_the_records() {
    let scene = Scene::new(feed(0..3)).with(0, members(500), vec![]).run(TIME, &mut |_| Some(Answer::Accepted));
    for number in 0..500 {
        assert_eq!(scene.log.told(&id(number)), ["event 0", "event 1", "event 2"]);
    }
    assert_eq!((scene.undelivered(), scene.delivery.checkpoints()), (None, vec![]));
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

/// Makes one attempt after the other with nothing in common but the checkpoint, as with a fresh environment for each.
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

/// A second attempt at the first event is under way when the first one, given up, turns out to have been accepted.
#[test]
fn what_was_accepted_late_is_not_told_again_by_the_next_attempt() {
    let mut scene = Scene::new(feed(0..2)).with(0, members(3), vec![]);
    scene.latency = 1_200;
    let scene = scene.run(1_300, &mut |Asked { now, .. }| if now == 0 { Some(Answer::Accepted) } else { NEVER });
    let [(_, _, Checkpoint::Save(checkpoint))] = &scene.delivery.checkpoints()[..] else { panic!("{:?}", scene.log) };
    let first = scene.undelivered().unwrap();
    let next = Scene::new(feed(first..2)).with(0, members(3), vec![checkpoint.clone()]);
    let next = next.run(TIME, &mut |_| Some(Answer::Accepted));
    assert!((0..3).all(|number| next.log.told(&id(number)) == ["event 1"]), "{:?}", next.log);
}

/// A room whose partitions keep what attempts leave behind.
struct Partitions {
    members: Vec<Vec<Member>>,
    checkpoints: Vec<Vec<DeliveryCheckpoint>>,
}

impl Partitions {
    /// An attempt at these records with nothing in common with another but the checkpoints. If it cannot read the room to
    /// its end, it reads half of every partition but the first.
    fn attempt(
        &mut self,
        records: std::ops::Range<usize>,
        is_unreadable: bool,
        stop_at: u64,
        gateway: Gateway<'_>,
    ) -> Scene {
        let (partitions, mut scene) = (self.members.len(), Scene::new(feed(records.clone())));
        let health = Arc::new(Mutex::new(Health::new(scene.start)));
        scene.delivery = Delivery::new(feed(records), &[partitions], health, scene.start, EPOCH);
        for (partition, members) in self.members.iter().enumerate() {
            let is_whole = partition == 0 || !is_unreadable;
            let read = if is_whole { members.len() } else { members.len() / 2 };
            scene.delivery.read(0, partition, members[..read].to_vec(), self.checkpoints[partition].clone());
            if is_whole {
                scene.delivery.read_to_its_end(0);
            } else {
                scene.delivery.unreadable(0);
            }
        }
        let scene = scene.run(stop_at, gateway);
        for (_, partition, checkpoint) in scene.delivery.checkpoints() {
            let stored = &mut self.checkpoints[partition];
            let (id, saved) = match checkpoint {
                Checkpoint::Save(checkpoint) => (checkpoint.id.clone(), Some(checkpoint)),
                Checkpoint::Delete(id) => (id, None),
            };
            stored.retain(|other| other.id != id);
            stored.extend(saved);
        }
        scene
    }
}

#[test]
fn attempts_that_end_at_any_moment_tell_everyone_in_every_partition_each_event_once_and_in_order() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (count, records, partitions) = (random.usize(1..600), random.usize(1..6), random.usize(1..4));
        let (refused, unanswered) = ([0, 5, 40][random.usize(0..3)], [0, 0, 3][random.usize(0..3)]);
        let spread = |partition| members(count).into_iter().skip(partition).step_by(partitions).collect();
        let mut room =
            Partitions { members: (0..partitions).map(spread).collect(), checkpoints: vec![Vec::new(); partitions] };
        let (mut first, mut told) = (Some(0), BTreeMap::<String, Vec<String>>::new());
        for attempt in 0..200 {
            let Some(record) = first else { break };
            let is_unreadable = random.u8(0..4) == 0;
            let stop_at = if attempt > 60 { TIME } else { random.u64(1..60) };
            let scene = room.attempt(record..records, is_unreadable, stop_at, &mut |Asked { did, .. }| {
                if did == Did::Post && random.u8(0..100) < unanswered {
                    return NEVER;
                }
                Some(if random.u8(0..100) < refused { Answer::Refused } else { Answer::Accepted })
            });
            for (_, connection, did, frame, answer) in &scene.log.0 {
                match (did, answer) {
                    (Did::Post, Some(Answer::Accepted)) => {
                        told.entry(connection.clone()).or_default().push(frame.clone());
                    }
                    // Who is closed loads the state again when it comes back.
                    (Did::Close, Some(Answer::Accepted)) => {
                        room.members
                            .iter_mut()
                            .for_each(|all| all.retain(|member| member.connection_id != *connection));
                    }
                    _ => {}
                }
            }
            first = scene.undelivered();
        }
        assert_eq!((first, room.checkpoints.iter().flatten().next()), (None, None), "seed {seed}");
        let expected: Vec<_> = (0..records).map(|record| format!("event {record}")).collect();
        for member in room.members.iter().flatten() {
            assert_eq!(told[&member.connection_id], expected, "{}, seed {seed}", member.connection_id);
        }
    }
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
        let name = "delivery::simulation::rooms::a_million_members_fit_into_the_memory_of_the_smallest_function";
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
