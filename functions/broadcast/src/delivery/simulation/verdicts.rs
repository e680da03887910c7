//! Whose fault it is that a post is refused or not answered: who is closed, and who is not.

use super::*;

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

/// What was accepted before is no evidence about a socket.
#[test]
fn a_gateway_that_stops_taking_anything_after_an_event_closes_nobody_before_ten_seconds_and_never_many() {
    for count in [1, 8, 9, 10, 1000] {
        let scene =
            Scene::new(feed(0..2)).with(0, members(count), vec![]).run(TIME, &mut |Asked { did, frame, .. }| {
                Some(if did == Did::Post && frame == "event 1" { Answer::Refused } else { Answer::Accepted })
            });
        let closed = scene.log.closed();
        assert!(closed.iter().all(|(at, _)| *at >= 10_000), "{count}: {closed:?}");
        assert_eq!(closed.len(), if count <= 9 { count } else { 0 });
        assert_eq!(scene.undelivered(), (count > 9).then_some(1));
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

/// A delivery to a room where `count` of `of` sockets take nothing and all others do.
fn dead(count: usize, of: usize) -> Scene {
    dead_while_starved(count, of, 0)
}

/// A delivery like that of [`dead`], while this function has no processor for its first milliseconds.
fn dead_while_starved(count: usize, of: usize, starved_until: u64) -> Scene {
    let mut scene = Scene::new(feed(0..2)).with(0, members(of), vec![]);
    scene.starved_until = starved_until;
    scene.run(TIME, &mut move |Asked { connection, did, .. }| {
        let is_dead = did == Did::Post && is_one_of(connection, count, of);
        Some(if is_dead { Answer::Refused } else { Answer::Accepted })
    })
}

#[test]
fn a_function_that_had_no_processor_at_first_closes_those_that_take_nothing_as_soon_as_it_has_one() {
    for (count, of) in [(9, 200), (50, 200)] {
        let scene = dead_while_starved(count, of, 300);
        let closed = scene.log.closed();
        assert_eq!(closed.len(), count, "{of}: {closed:?}");
        assert!(closed.iter().all(|(at, who)| *at < 2_500 && is_one_of(who, count, of)), "{count} of {of}: {closed:?}");
    }
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
        let is_dead = |connection: &str| is_one_of(connection, count, of);
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

/// How long the others wait for their next event if so many of a room take nothing, in milliseconds: if they refuse it,
/// and if they do not answer. Where too few take their events to compare with, only ten seconds without anything accepted
/// tell dead sockets from a gateway in trouble. Six hundred that do not answer take longer than the function has.
#[test]
fn sockets_that_take_nothing_delay_the_next_event_for_a_limited_time_whatever_part_of_the_room_they_are() {
    for (count, of, refuse, hang) in [
        (1, 2, 500, Some(500)),
        (1, 3, 500, Some(500)),
        (4, 10, 500, Some(500)),
        (9, 20, 1_000, Some(12_000)),
        (11, 20, 1_500, Some(12_000)),
        (19, 20, 11_500, Some(12_000)),
        (150, 200, 11_500, Some(13_000)),
        (600, 1000, 14_500, None),
    ] {
        for (silent, limit) in [(Some(Answer::Refused), Some(refuse)), (NEVER, hang)] {
            let Some(limit) = limit else { continue };
            let scene = Scene::new(feed(0..2)).with(0, members(of), vec![]).run(
                TIME,
                &mut |Asked { connection, did, .. }| {
                    if did == Did::Post && is_one_of(connection, count, of) { silent } else { Some(Answer::Accepted) }
                },
            );
            let closed = scene.log.closed();
            assert_eq!(closed.len(), count, "{count} of {of}, {silent:?}");
            assert!(closed.iter().all(|(_, who)| is_one_of(who, count, of)), "{count} of {of}, {silent:?}: {closed:?}");
            assert!(scene.log.end() < limit, "{count} of {of}, {silent:?}: {} ms", scene.log.end());
            assert_eq!(scene.undelivered(), None);
        }
    }
}

/// A socket that is blamed wrongly is tried once more: a gateway in trouble refuses the close as well.
#[test]
fn an_outage_that_begins_with_the_last_posts_of_a_room_closes_nobody() {
    for (count, accepted, seed) in [(2, 1), (3, 1), (3, 2), (5, 3), (5, 4), (20, 12), (20, 19)]
        .into_iter()
        .flat_map(|(count, accepted)| (0..20).map(move |seed| (count, accepted, seed)))
    {
        let mut scene = Scene::new(feed(0..1)).with(0, members(count), vec![]);
        scene.seed = seed;
        let mut asked = 0;
        let scene = scene.run(TIME, &mut |Asked { now, .. }| {
            asked += 1;
            Some(if asked <= accepted || now >= 8_000 { Answer::Accepted } else { Answer::Refused })
        });
        let closed: Vec<_> = scene
            .log
            .0
            .iter()
            .filter(|(.., did, _, answer)| *did == Did::Close && *answer == Some(Answer::Accepted))
            .collect();
        assert!(closed.is_empty(), "{count}, {accepted} accepted, seed {seed}: {closed:?}");
        assert!((0..count).all(|number| scene.log.told(&id(number)) == ["event 0"]));
    }
}

/// A close that is tried after ten seconds may meet the end of an outage by chance. Of a hundred outages of each length
/// at most one closes a socket that would have taken its event.
#[test]
fn the_end_of_an_outage_hardly_ever_closes_anybody() {
    for count in [1, 4, 9] {
        let mut outages_with_a_close = 0;
        for seed in 0..100 {
            let end = 28_000 + seed * 37;
            let mut scene = Scene::new(feed(0..1)).with(0, members(count), vec![]);
            scene.seed = seed;
            let scene = scene
                .run(TIME, &mut |Asked { now, .. }| Some(if now < end { Answer::Refused } else { Answer::Accepted }));
            outages_with_a_close += u32::from(scene.log.closed().iter().any(|(at, _)| *at >= end));
        }
        assert!(outages_with_a_close <= 1, "{count} sockets: {outages_with_a_close} of 100 outages");
    }
}

/// When an outage begins while a room is being told, many sockets wait for its end, and each of them may be closed
/// after ten seconds.
#[test]
fn the_end_of_an_outage_that_begins_within_a_room_hardly_ever_closes_anybody() {
    for count in [200, 1000] {
        let mut outages_with_a_close = 0;
        for seed in 0..25 {
            let (end, mut asked) = (12_000 + seed * 274, 0);
            let mut scene = Scene::new(feed(0..1)).with(0, members(count), vec![]);
            scene.seed = seed;
            let scene = scene.run(TIME, &mut |Asked { now, .. }| {
                asked += 1;
                Some(if asked <= count / 4 || now >= end { Answer::Accepted } else { Answer::Refused })
            });
            outages_with_a_close += u32::from(scene.log.closed().iter().any(|(at, _)| *at >= end));
            assert!(scene.undelivered().is_none() && scene.log.end() < end + 3_000, "{}", scene.log.end() - end);
        }
        assert!(outages_with_a_close <= 1, "{count} sockets: {outages_with_a_close} of 25 outages");
    }
}

/// A post that is given up after a second may be accepted all the same.
#[test]
fn a_gateway_that_takes_longer_than_a_second_tells_everybody_and_does_not_send_an_event_without_end() {
    for (count, latency) in [(1, 1_200), (20, 1_200), (20, 2_500), (300, 1_500)] {
        let mut scene = Scene::new(feed(0..2)).with(0, members(count), vec![]);
        scene.latency = latency;
        let scene = scene.run(TIME, &mut |_| Some(Answer::Accepted));
        assert_eq!((scene.log.closed(), scene.undelivered()), (vec![], None), "{count}, {latency} ms");
        for number in 0..count {
            let mut told = scene.log.told(&id(number));
            assert!(told.is_sorted() && told.len() <= 8, "{count}, {latency} ms: {told:?}");
            told.dedup();
            assert_eq!(told, ["event 0", "event 1"], "{count}, {latency} ms");
        }
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

/// On a machine that is too busy, answers are there, and nobody could read them.
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
fn trouble_that_begins_in_the_middle_of_a_room_closes_nobody() {
    for (count, begins) in [(10, 1), (200, 1), (200, 6), (1000, 7), (1000, 30), (4000, 100)] {
        for latency in [1, LATENCY] {
            let scene = Scene::new(feed(0..2)).with(0, members(count), vec![]);
            let mut asked = 0;
            // Of the calls made at the same moment some are still accepted.
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
