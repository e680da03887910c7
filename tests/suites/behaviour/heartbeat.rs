//! The heartbeat: pings in their minute, and who is swept.

use futures::future::join_all;
use jiff::{Timestamp, ToSpan as _};
use local_dev::{Fault, Often};
use serde_json::Value;
use shared::{
    auth::Role,
    aws::Clients,
    connections::ConnectionStore,
    heartbeat::{slot_at, slot_of},
};
use tests::{Cloud, Edge, Socket, TOKEN_SECRET, on_every_edge, tokens, until};

/// The very next frame is about this user: `Socket::event` would answer a ping and read on.
async fn hears_next(socket: &mut Socket, user: &Value) {
    let frame = socket.raw_frame().await.expect("an open connection");
    let (name, id) = (r#"42/users,["users.created""#, user["id"].as_str().unwrap());
    assert!(frame.starts_with(name) && frame.contains(id), "a second ping came before the event: {frame}");
}

#[tokio::test]
async fn every_connection_is_pinged_once_in_a_round() {
    let cloud = Cloud::start().await;
    let mut sockets = Vec::new();
    for _ in 0..5 {
        sockets.push(Socket::connected(&cloud, Edge::Gateway, None).await);
    }
    cloud.beat_for_a_round(Timestamp::now() + 40.seconds()).await;
    let marker = cloud.rest().register().await;
    for socket in &mut sockets {
        assert_eq!(socket.raw_frame().await.as_deref(), Ok("2"));
        socket.send("3").await;
        hears_next(socket, &marker).await;
    }
    cloud.stop().await;
}

#[tokio::test]
async fn heartbeats_that_come_twice_or_overlap_ping_everybody_once() {
    let cloud = Cloud::start().await;
    let mut sockets = Vec::new();
    for _ in 0..5 {
        sockets.push(Socket::connected(&cloud, Edge::Gateway, None).await);
    }
    let start = Timestamp::now() + 40.seconds();
    for minute in (0..8).rev() {
        let at = start + (minute * 60).seconds();
        let at_once = join_all([at, at, at].map(|at| cloud.running().tick(at))).await;
        assert!(at_once.iter().all(Result::is_ok), "{at_once:?}");
        cloud.running().tick(at).await.unwrap();
    }
    let marker = cloud.rest().register().await;
    for socket in &mut sockets {
        assert_eq!(socket.raw_frame().await.as_deref(), Ok("2"));
        socket.send("3").await;
        hears_next(socket, &marker).await;
    }
    cloud.stop().await;
}

#[tokio::test]
async fn a_heartbeat_that_begins_while_another_is_at_it_pings_nobody_again() {
    let cloud = Cloud::start().await;
    // Until two have the same slot.
    let mut sockets = Vec::<(String, Socket)>::new();
    let (first, mut second) = loop {
        let known: Vec<_> = sockets.iter().map(|(id, _)| id.clone()).collect();
        let socket = Socket::connected(&cloud, Edge::Gateway, None).await;
        let id = cloud.connection_ids().await.into_iter().find(|id| !known.contains(id)).unwrap();
        match known.into_iter().find(|other| slot_of(other) == slot_of(&id)) {
            Some(other) => break (other, socket),
            None => sockets.push((id, socket)),
        }
    };
    let mut at = Timestamp::now() + 40.seconds();
    while slot_at(at.as_second() / 60) != slot_of(&first) {
        at += 1.minute();
    }
    // The first heartbeat is kept at its work by a post that is not answered.
    cloud.running().faults().set([Fault::Stall(first)]);
    let overlap = async {
        assert_eq!(second.raw_frame().await.as_deref(), Ok("2"));
        second.send("3").await;
        cloud.running().tick(at).await.unwrap();
        cloud.running().faults().set([]);
    };
    let (kept, ()) = tokio::join!(cloud.running().tick(at), overlap);
    kept.unwrap();
    cloud.running().tick(at).await.unwrap();
    let marker = cloud.rest().register().await;
    hears_next(&mut second, &marker).await;
    cloud.stop().await;
}

#[tokio::test]
async fn a_task_is_begun_by_one_at_a_time_and_by_nobody_who_knows_too_little() {
    let cloud = Cloud::start().await;
    let env = cloud.users_at(cloud.running().dynamodb_endpoint());
    let store = ConnectionStore::new(&Clients::from_env(&env).unwrap(), &env).unwrap();
    let seen = async || store.tasks::<String>().await.unwrap().remove("TEST");
    let (soon, past) = (Timestamp::now() + 60.seconds(), Timestamp::now() - 1.second());

    let first = store.begin_task::<String>("TEST", None, soon).await.unwrap().unwrap();
    assert!(store.begin_task::<String>("TEST", None, soon).await.unwrap().is_none(), "both saw that there is none");
    let busy = seen().await;
    assert!(store.begin_task("TEST", busy.as_ref(), soon).await.unwrap().is_none(), "the first is still at it");
    store.end_task(&first, &"one").await.unwrap();
    assert!(store.begin_task("TEST", busy.as_ref(), soon).await.unwrap().is_none(), "it was done meanwhile");

    let lost = store.begin_task("TEST", seen().await.as_ref(), past).await.unwrap().unwrap();
    let next =
        store.begin_task("TEST", seen().await.as_ref(), soon).await.unwrap().expect("the time of the other is over");
    store.end_task(&lost, &"nothing").await.unwrap();
    assert_eq!(seen().await.unwrap().progress, "one", "who held it for too long notes nothing");
    store.end_task(&next, &"two").await.unwrap();
    assert_eq!(seen().await.unwrap().progress, "two");
    cloud.stop().await;
}

#[tokio::test]
async fn who_does_not_answer_a_ping_is_closed_two_minutes_later() {
    let cloud = Cloud::start().await;
    let mut silent = Socket::connected(&cloud, Edge::Gateway, None).await;
    let slot = slot_of(&cloud.connection_ids().await[0]);
    let mut at = Timestamp::now() + 40.seconds();
    while slot_at(at.as_second() / 60) != slot {
        at += 1.minute();
    }
    cloud.running().tick(at).await.unwrap();
    assert_eq!(silent.raw_frame().await.as_deref(), Ok("2"));
    cloud.running().tick(at + 1.minute()).await.unwrap();
    assert_eq!(cloud.connection_ids().await.len(), 1, "its pong may still come");
    cloud.running().tick(at + 2.minutes()).await.unwrap();
    assert_eq!(silent.close_code().await, 1000);
    cloud.stop().await;
}

#[tokio::test]
async fn a_token_closes_in_the_minute_before_its_end_and_not_earlier() {
    on_every_edge(async |cloud, edge| {
        let admin = cloud.admin().await;
        let mut socket = Socket::connected(cloud, edge, Some(admin.token())).await;
        let end = Timestamp::now() + 15.minutes();
        cloud.running().tick(end - 2.minutes()).await.unwrap();
        assert_eq!(cloud.connection_ids().await.len(), 1, "{edge:?}");
        cloud.running().tick(end - 30.seconds()).await.unwrap();
        assert_eq!(socket.frame().await, None, "{edge:?}");
    })
    .await;
}

#[tokio::test]
async fn who_does_not_answer_a_ping_is_closed() {
    let cloud = Cloud::start().await;
    let mut silent = Socket::connected(&cloud, Edge::Gateway, None).await;
    let start = Timestamp::now() + 40.seconds();
    cloud.beat_for_a_round(start).await;
    assert_eq!(silent.raw_frame().await.as_deref(), Ok("2"));
    cloud.running().tick(start + 10.minutes()).await.unwrap();
    assert_eq!(silent.close_code().await, 1000);
    until(async || cloud.connection_ids().await.is_empty()).await;
    cloud.stop().await;
}

#[tokio::test]
async fn who_was_too_young_for_a_ping_is_not_missed_after_it() {
    let cloud = Cloud::start().await;
    let soon = Timestamp::now() + 15.seconds();
    let has_its_turn = |id: &String| slot_of(id) == slot_at(soon.as_second() / 60);
    let mut sockets = Vec::new();
    while !cloud.connection_ids().await.iter().any(has_its_turn) {
        sockets.push(Socket::connected(&cloud, Edge::Gateway, None).await);
    }
    let before = cloud.connection_ids().await.len();
    cloud.running().tick(soon).await.unwrap();
    cloud.running().tick(soon + 3.minutes()).await.unwrap();
    assert_eq!(cloud.connection_ids().await.len(), before, "nobody was closed");
    cloud.stop().await;
}

#[tokio::test]
async fn who_never_sends_connect_is_closed_after_45_seconds() {
    let cloud = Cloud::start().await;
    let mut mute = Socket::open(&cloud, Edge::Gateway, None).await.unwrap();
    let mut joined = Socket::connected(&cloud, Edge::Gateway, None).await;
    cloud.running().tick(Timestamp::now() + 44.seconds()).await.unwrap();
    mute.send("40/nope,").await;
    assert!(mute.frame().await.unwrap().starts_with("44/nope"), "not yet");
    cloud.running().tick(Timestamp::now() + 50.seconds()).await.unwrap();
    assert_eq!(mute.frame().await, None);
    let user = cloud.rest().register().await;
    assert_eq!(joined.event().await.1, user);
    cloud.stop().await;
}

#[tokio::test]
async fn a_socket_whose_token_expired_is_closed_without_41() {
    on_every_edge(async |cloud, edge| {
        let user = cloud.rest().register().await;
        let token = cloud.rest().login(&user).await;
        let mut socket = Socket::connected(cloud, edge, Some(token.token())).await;
        cloud.running().tick(Timestamp::now() + 16.minutes()).await.unwrap();
        // `41` would make the client stay away; like this it comes back with a fresh token.
        assert_eq!(socket.frame().await, None, "{edge:?}");
        until(async || cloud.connection_ids().await.is_empty()).await;
    })
    .await;
}

#[tokio::test]
async fn a_socket_hears_nothing_after_its_token_though_the_heartbeat_is_late() {
    on_every_edge(async |cloud, edge| {
        let issued = Timestamp::now() - 15.minutes() + 3.seconds();
        let token = tokens(TOKEN_SECRET).issue_at("admin", Role::Admin, issued).unwrap();
        let mut short = Socket::connected(cloud, edge, Some(&token)).await;
        let mut feed = Socket::connected(cloud, edge, None).await;
        until(async || Timestamp::now() > issued + 15.minutes() + 1.second()).await;
        let user = cloud.rest().register().await;
        assert_eq!(feed.event().await.1, user, "{edge:?}");
        cloud.running().tick(Timestamp::now()).await.unwrap();
        assert_eq!(short.frame().await, None, "{edge:?}: the end is the next thing");
    })
    .await;
}

#[tokio::test]
async fn rows_of_the_dead_are_gone_after_a_round_though_disconnect_was_dropped() {
    on_every_edge(async |cloud, edge| {
        cloud.running().faults().set([Fault::DropDisconnect]);
        let mut alive = Socket::connected(cloud, edge, None).await;
        for _ in 0..3 {
            drop(Socket::connected(cloud, edge, None).await);
        }
        assert_eq!(cloud.connection_ids().await.len(), 4, "{edge:?}");
        cloud.beat_for_a_round(Timestamp::now() + 40.seconds()).await;
        assert_eq!(cloud.connection_ids().await.len(), 1, "{edge:?}");
        assert_eq!(cloud.room_members().await.len(), 1, "{edge:?}");
        let user = cloud.rest().register().await;
        assert_eq!(alive.event().await.1, user, "{edge:?}");
    })
    .await;
}

#[tokio::test]
async fn a_heartbeat_that_fails_is_made_up_for_by_the_next() {
    let cloud = Cloud::start().await;
    let mut socket = Socket::connected(&cloud, Edge::Gateway, None).await;
    let slot = slot_of(&cloud.connection_ids().await[0]);
    let mut at = Timestamp::now() + 100.seconds();
    while slot_at(at.as_second() / 60) != slot {
        at += 1.minute();
    }
    cloud.running().tick(at - 1.minute()).await.unwrap();
    cloud.running().faults().set([Fault::Fail("heartbeat".into(), Often::Next(1))]);
    assert!(cloud.running().tick(at).await.is_err());
    cloud.running().tick(at + 1.minute()).await.unwrap();
    assert_eq!(socket.raw_frame().await.as_deref(), Ok("2"));
    cloud.stop().await;
}

#[tokio::test]
async fn a_ping_the_gateway_refused_is_not_held_against_the_client() {
    let cloud = Cloud::start().await;
    let mut socket = Socket::connected(&cloud, Edge::Gateway, None).await;
    cloud.running().faults().set([Fault::Throttle(Often::Percent(100))]);
    let start = Timestamp::now() + 40.seconds();
    cloud.beat_for_a_round(start).await;
    cloud.running().faults().set([]);
    // Who was pinged and did not answer would be closed now.
    cloud.running().tick(start + 10.minutes()).await.unwrap();
    let user = cloud.rest().register().await;
    while let Ok(frame) = socket.raw_frame().await {
        if frame != "2" {
            assert!(frame.contains(user["id"].as_str().unwrap()), "{frame}");
            break;
        }
    }
    assert_eq!(cloud.connection_ids().await.len(), 1);
    cloud.stop().await;
}
