//! Members that are thrown out, open late, or stay too long.

use super::*;

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
        let batch = Batch { rooms: vec![kick()], ..Batch::default() };
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
        let batch = Batch { rooms: vec![kick()], ..Batch::default() };
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
    let batch = Batch { rooms: vec![kick()], ..Batch::default() };
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
    let scene = Scene::new(feed(0..1))
        .with(0, members, vec![])
        .run(TIME, &mut |Asked { did, .. }| Some(if did == Did::Look { Answer::Expired } else { Answer::Accepted }));
    assert_eq!(scene.log.closed(), [(LATENCY, id(1).as_str())]);
    assert_eq!((scene.log.told(&id(1)), scene.log.told(&id(2))), (vec![], vec!["event 0"]));
}

/// The members were read before; what was read of the token is not what is true now.
#[test]
fn a_member_that_has_renewed_its_token_since_the_room_was_read_is_told_and_not_closed() {
    let mut members = members(2);
    members[0].token_expires_at = Some(EPOCH / 1000 + 1);
    let mut scene = Scene::new(feed(0..3)).with(0, members, vec![]);
    scene.latency = 700;
    let scene = scene.run(TIME, &mut |_| Some(Answer::Accepted));
    assert_eq!(scene.log.closed(), []);
    assert_eq!(scene.log.told(&id(0)), ["event 0", "event 1", "event 2"]);
    assert_eq!(scene.log.0.iter().filter(|(_, _, did, ..)| *did == Did::Look).count(), 1);
}

#[test]
fn a_token_of_which_nothing_can_be_learnt_now_is_looked_up_again() {
    let mut members = members(1);
    members[0].token_expires_at = Some(EPOCH / 1000);
    let scene = Scene::new(feed(0..1)).with(0, members, vec![]).run(TIME, &mut |Asked { did, now, .. }| match did {
        Did::Look => Some(if now < 3_000 { Answer::Refused } else { Answer::Expired }),
        _ => Some(Answer::Accepted),
    });
    assert_eq!((scene.log.told(&id(0)), scene.log.closed().len()), (vec![], 1));
    assert!((3_000..5_000).contains(&scene.log.end()), "{}", scene.log.end());
}

#[test]
fn members_whose_tokens_have_ended_are_looked_up_only_so_many_at_a_time() {
    let mut members = members(2_000);
    members.iter_mut().for_each(|member| member.token_expires_at = Some(EPOCH / 1000));
    let mut looks = BTreeMap::<u64, usize>::new();
    let scene = Scene::new(feed(0..1)).with(0, members, vec![]).run(TIME, &mut |Asked { did, now, .. }| match did {
        Did::Look => {
            *looks.entry(now).or_default() += 1;
            Some(Answer::Expired)
        }
        _ => Some(Answer::Accepted),
    });
    assert!(looks.values().all(|count| *count <= CONCURRENCY), "{looks:?}");
    assert_eq!((scene.log.closed().len(), scene.undelivered()), (2_000, None));
}
