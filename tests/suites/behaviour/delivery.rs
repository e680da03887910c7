//! What delivery withstands: failing, slow and duplicated invocations, a gateway that throttles.

use std::time::{Duration, Instant};

use futures::future::join_all;
use local_dev::{Fault, Often, Options};
use serde_json::{Value, json};
use tests::{
    Cloud, Edge, Socket, on_every_edge, until,
    user::{path, path_to},
};
use tokio::time::{interval, timeout};

#[tokio::test]
async fn a_batch_that_fails_twice_is_delivered_in_order_all_the_same() {
    on_every_edge(async |cloud, edge| {
        let admin = cloud.admin().await;
        let mut feed = Socket::connected(cloud, edge, None).await;
        let user = cloud.rest().register().await;
        assert_eq!(feed.event().await.0, "users.created", "{edge:?}");
        cloud.running().faults().set([Fault::Fail("broadcast".into(), Often::Next(2))]);
        for n in 0..10 {
            admin.patch(&path(&user), json!({"fullName": format!("Sara Ahmadi {n}")})).await.expect(200);
        }
        for n in 0..10 {
            assert_eq!(feed.event().await.1["fullName"], format!("Sara Ahmadi {n}"), "{edge:?}");
        }
        assert_eq!(cloud.running().dead_letters(), Vec::<Value>::new());
    })
    .await;
}

#[tokio::test]
async fn what_is_too_old_is_kept_whole_and_can_be_delivered_again() {
    let cloud = Cloud::with(Options { record_age: Some(Duration::from_secs(2)), ..Options::default() }).await;
    let admin = cloud.admin().await;
    let mut feed = Socket::connected(&cloud, Edge::Gateway, None).await;
    let user = cloud.rest().register().await;
    assert_eq!(feed.event().await.0, "users.created");
    cloud.running().faults().set([Fault::Fail("broadcast".into(), Often::Percent(100))]);
    admin.patch(&path(&user), json!({"fullName": "Sara Ahmadi Late"})).await.expect(200);
    until(async || cloud.running().dead_letters().len() == 1).await;
    cloud.running().faults().set([]);
    let letter = cloud.running().dead_letters().remove(0);
    assert_eq!(letter["requestContext"]["condition"], "RecordAgeExceeded");
    assert!(letter["requestContext"]["approximateInvokeCount"].as_u64().unwrap() > 1, "{letter}");
    admin.patch(&path(&user), json!({"fullName": "Sara Ahmadi Next"})).await.expect(200);
    assert_eq!(feed.event().await.1["fullName"], "Sara Ahmadi Next", "nobody waits for what was given up");
    let event = serde_json::from_str(letter["payload"].as_str().unwrap()).unwrap();
    let answer = cloud.running().invoke("BroadcastFunction", event).await.unwrap();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    assert_eq!(feed.event().await.1["fullName"], "Sara Ahmadi Late");
    cloud.stop().await;
}

#[tokio::test]
async fn a_throttling_gateway_delays_but_loses_nothing() {
    on_every_edge(async |cloud, edge| {
        let admin = cloud.admin().await;
        let mut sockets = Vec::new();
        for _ in 0..4 {
            sockets.push(Socket::connected(cloud, edge, None).await);
        }
        let user = cloud.rest().register().await;
        for socket in &mut sockets {
            assert_eq!(socket.event().await.0, "users.created", "{edge:?}");
        }
        cloud.running().faults().set([Fault::Throttle(Often::Percent(25))]);
        for n in 0..10 {
            admin.patch(&path(&user), json!({"fullName": format!("Sara Ahmadi {n}")})).await.expect(200);
        }
        for socket in &mut sockets {
            for n in 0..10 {
                assert_eq!(socket.event().await.1["fullName"], format!("Sara Ahmadi {n}"), "{edge:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_gateway_that_takes_nothing_for_a_while_is_tried_again_without_doubling() {
    let cloud = Cloud::start().await;
    let admin = cloud.admin().await;
    let mut sockets = connected(&cloud, Edge::Gateway, 10).await;
    let user = cloud.rest().register().await;
    for socket in &mut sockets {
        assert_eq!(socket.event().await.0, "users.created");
    }
    cloud.running().faults().set([Fault::Throttle(Often::Next(120))]);
    for n in 0..3 {
        admin.patch(&path(&user), json!({"fullName": format!("Sara Ahmadi {n}")})).await.expect(200);
    }
    for socket in &mut sockets {
        for n in 0..3 {
            assert_eq!(socket.event().await.1["fullName"], format!("Sara Ahmadi {n}"));
        }
    }
    let marker = admin.patch(&path(&user), json!({"fullName": "Sara Ahmadi Nik"})).await.expect(200);
    for socket in &mut sockets {
        assert_eq!(socket.event().await.1, marker["user"]);
    }
    cloud.stop().await;
}

/// What is told in no time is the whole point: an attempt has so little of it that there have to be many.
#[tokio::test]
async fn a_room_larger_than_the_time_is_told_in_many_attempts_in_order_and_nobody_twice() {
    let cloud = Cloud::start().await;
    let admin = cloud.admin().await;
    let mut sockets = connected(&cloud, Edge::Gateway, 300).await;
    let user = cloud.rest().register().await;
    for socket in &mut sockets {
        assert_eq!(socket.event().await.1, user);
    }
    // What is changed while the first invocation has not begun comes in one batch.
    cloud.running().faults().set([Fault::Slow("broadcast".into(), Duration::from_secs(1))]);
    for n in 0..20 {
        admin.patch(&path(&user), json!({"fullName": format!("Sara Ahmadi {n}")})).await.expect(200);
    }
    // It begins with nothing more when five seconds are left. A tenth of a second is enough to read the room on a slow machine,
    // and far too little for six thousand posts on a fast one.
    cloud.running().faults().set([Fault::Timeout("broadcast".into(), Duration::from_millis(5100))]);
    let told = join_all(sockets.iter_mut().map(async |socket| {
        for n in 0..20 {
            assert_eq!(socket.event().await.1["fullName"], format!("Sara Ahmadi {n}"));
        }
    }));
    told.await;
    let spent = cloud.running().spent()["BroadcastFunction"];
    assert!(spent.invocations > 2.0 && spent.writes > 0.0, "many attempts, each with a checkpoint: {spent:?}");
    cloud.running().faults().set([]);
    let marker = cloud.rest().register().await;
    for socket in &mut sockets {
        assert_eq!(socket.event().await.1, marker, "nothing was told twice");
    }
    until(async || cloud.room_members().await.len() == 300).await;
    cloud.stop().await;
}

/// The worst minute of a gateway, for both of what there is to tell.
#[tokio::test]
async fn after_half_a_minute_in_which_the_gateway_refused_everything_all_is_as_if_it_had_not() {
    on_every_edge(async |cloud, edge| {
        let (admin, user) = (cloud.admin().await, cloud.register_told().await);
        let token = cloud.rest().login(&user).await;
        let (mut feed, mut banned) = (connected(cloud, edge, 12).await, Vec::new());
        for _ in 0..3 {
            banned.push(Socket::connected(cloud, edge, Some(token.token())).await);
        }
        let other = cloud.rest().register().await;
        for socket in &mut feed {
            assert_eq!(socket.event().await.1, other, "{edge:?}");
        }
        cloud.running().faults().set([Fault::Refuse]);
        let patched = admin.patch(&path(&other), json!({"fullName": "Sara Ahmadi Nik"})).await.expect(200);
        let ban = admin.post(&path_to(&user, "/ban"), json!({"reason": "fraud"})).await.expect(200);
        // What is waited for is that nothing happens.
        let nothing = timeout(Duration::from_secs(30), feed[0].frame()).await;
        assert!(nothing.is_err(), "{edge:?}: {nothing:?}");
        cloud.running().faults().set([]);
        for socket in &mut feed {
            let heard = [socket.event().await.1, socket.event().await.1];
            assert!(heard.contains(&patched["user"]) && heard.contains(&ban["user"]), "{edge:?}: {heard:?}");
        }
        for socket in &mut banned {
            // The close must happen, and the reason is courtesy: it may have been refused just before the end of the outage.
            let frames = socket.drain().await;
            let told = [r#"42/users,["account.banned","#, "41/users,"];
            let is_told = frames.len() == 2 && frames.iter().zip(told).all(|(frame, told)| frame.starts_with(told));
            assert!(frames.is_empty() || is_told, "{edge:?}: {frames:?}");
        }
        assert_eq!(cloud.running().dead_letters(), Vec::<Value>::new());
        let marker = cloud.rest().register().await;
        for socket in &mut feed {
            assert_eq!(socket.event().await.1, marker, "{edge:?}: nobody was closed, and nothing was doubled");
        }
    })
    .await;
}

#[tokio::test]
async fn a_socket_whose_posts_hang_delays_the_next_event_of_the_others_by_less_than_300_ms() {
    let cloud = Cloud::for_crowds().await;
    let admin = cloud.admin().await;
    let mut stalled = Socket::connected(&cloud, Edge::Gateway, None).await;
    let id = cloud.connection_ids().await.remove(0);
    let mut fast = connected(&cloud, Edge::Gateway, 4).await;
    let user = cloud.rest().register().await;
    assert_eq!(stalled.event().await.1, user);
    for socket in &mut fast {
        assert_eq!(socket.event().await.1, user);
    }
    // How long a post takes is known from some: the first ones also open connections.
    for letter in 'A'..='T' {
        let renamed = admin.patch(&path(&user), json!({"fullName": format!("Sara Ahmadi {letter}")})).await.expect(200);
        for socket in fast.iter_mut().chain([&mut stalled]) {
            assert_eq!(socket.event().await.1, renamed["user"]);
        }
    }
    cloud.running().faults().set([Fault::Stall(id)]);
    admin.patch(&path(&user), json!({"fullName": "Sara Ahmadi One"})).await.expect(200);
    let mut pause = interval(Duration::from_millis(50));
    pause.tick().await;
    pause.tick().await;
    let sent = Instant::now();
    admin.patch(&path(&user), json!({"fullName": "Sara Ahmadi Two"})).await.expect(200);
    for socket in &mut fast {
        assert_eq!(socket.event().await.1["fullName"], "Sara Ahmadi One");
        assert_eq!(socket.event().await.1["fullName"], "Sara Ahmadi Two");
    }
    let took = sent.elapsed();
    assert!(took < Duration::from_millis(300), "not in time: {took:?}");
    assert_eq!(stalled.frame().await, None, "it is closed, so that its client comes back");
    cloud.running().faults().set([]);
    cloud.stop().await;
}

#[tokio::test]
async fn duplicated_and_overtaking_batches_end_with_the_last_state() {
    let cloud = Cloud::start().await;
    let admin = cloud.admin().await;
    let mut socket = Socket::connected(&cloud, Edge::Gateway, None).await;
    let user = cloud.rest().register().await;
    cloud.running().faults().set([Fault::Duplicate(Often::Percent(50)), Fault::Reorder(Often::Percent(50))]);
    for n in 0..20 {
        admin.patch(&path(&user), json!({"fullName": format!("Sara Ahmadi {n}")})).await.expect(200);
    }
    cloud.running().faults().set([]);
    let last = admin.patch(&path(&user), json!({"fullName": "Sara Ahmadi 20"})).await.expect(200);
    // At least once: every state is heard, and a repeated one is one that was heard already. The last one comes last.
    let (mut newest, mut heard) = (-1, Value::Null);
    while heard != last["user"] {
        (_, heard) = socket.event().await;
        let name = heard["fullName"].as_str().unwrap();
        let n: i32 = name.rsplit(' ').next().unwrap().parse().unwrap_or(-1);
        assert!(n <= newest + 1, "{n} came before {}", newest + 1);
        newest = newest.max(n);
    }
    let marker = cloud.rest().register().await;
    assert_eq!(socket.event().await.1, marker, "nothing stale comes after it");
    cloud.stop().await;
}

#[tokio::test]
async fn a_panicking_or_failing_message_function_costs_only_its_own_connection() {
    let cloud = Cloud::start().await;
    let mut bystander = Socket::connected(&cloud, Edge::SocketIo, None).await;
    cloud.running().faults().set([Fault::Fail("message".into(), Often::Next(1))]);
    let mut unlucky = Socket::connecting(&cloud, Edge::SocketIo, None).await;
    assert_eq!(unlucky.close_code().await / 10, 100, "closed, so that the client comes back");
    let user = cloud.rest().register().await;
    assert_eq!(bystander.event().await.1, user);
    cloud.stop().await;
}

/// A row that is no user, and one whose event is larger than API Gateway takes, both written by another program.
#[tokio::test]
async fn what_can_never_be_told_is_skipped_and_delays_nobody() {
    let cloud = Cloud::start().await;
    let admin = cloud.admin().await;
    let mut feed = Socket::connected(&cloud, Edge::Gateway, Some(admin.token())).await;
    let user = cloud.rest().register().await;
    assert_eq!(feed.event().await.1, user);
    for n in 0..60 {
        match n {
            10 => cloud.poison("sara@example.com is no user").await,
            30 => cloud.put_profile_with_name(&user, &"x".repeat(200_000)).await,
            _ => {}
        }
        admin.patch(&path(&user), json!({"fullName": format!("Sara Ahmadi {n}")})).await.expect(200);
    }
    for n in 0..60 {
        assert_eq!(feed.event().await.1["fullName"], format!("Sara Ahmadi {n}"));
    }
    assert_eq!(cloud.running().dead_letters(), Vec::<Value>::new(), "nothing has to be given up for it");
    cloud.stop().await;
}

/// Many sockets of the feed.
async fn connected(cloud: &Cloud, edge: Edge, count: usize) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        sockets.push(Socket::connected(cloud, edge, None).await);
    }
    sockets
}
