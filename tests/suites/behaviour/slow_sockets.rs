//! Sockets that do not read: closed where that is their own fault, and nobody else's trouble.

use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::Client;
use serde_json::{Value, json};
use tests::{
    Cloud, Edge, Socket, until,
    user::{path, path_to},
};
use tokio::time::interval;

/// Fills what is between the management API and clients that do not read.
async fn fill(cloud: &Cloud, ids: &[String]) {
    let client = Client::new();
    let fill = async |id: &String| {
        let url = cloud.management_url(id);
        for size in std::iter::repeat_n(100_000, 4000) {
            let status = client.post(&url).body(format!("6{}", "x".repeat(size))).send().await.unwrap().status();
            if status == 429 {
                return;
            }
            assert_eq!(status, 200);
        }
        panic!("never full")
    };
    join_all(ids.iter().map(fill)).await;
}

/// Connects clients with a tiny receive buffer, which then never read; returns them and their connection ids.
async fn silent(cloud: &Cloud, count: usize, token: Option<&str>) -> (Vec<Socket>, Vec<String>) {
    let before = cloud.connection_ids().await;
    let mut sockets = Vec::new();
    for _ in 0..count {
        sockets.push(Socket::connected_with_a_tiny_buffer(cloud, token).await);
    }
    let ids: Vec<_> = cloud.connection_ids().await.into_iter().filter(|id| !before.contains(id)).collect();
    assert_eq!(ids.len(), count);
    fill(cloud, &ids).await;
    (sockets, ids)
}

#[tokio::test]
async fn of_two_hundred_sockets_those_that_stop_reading_are_closed_and_the_others_hear_everything_in_order() {
    for count in [9, 50] {
        let cloud = Cloud::for_crowds().await;
        let (admin, user) = (cloud.admin().await, cloud.rest().register().await);
        let (_silent, ids) = silent(&cloud, count, None).await;
        let mut others = Vec::new();
        for _ in count..200 {
            others.push(Socket::connected(&cloud, Edge::Gateway, None).await);
        }
        let mut took = Vec::new();
        for n in 0..20 {
            let name = format!("Sara Ahmadi {n}");
            let sent = Instant::now();
            admin.patch(&path(&user), json!({ "fullName": name })).await.expect(200);
            for event in join_all(others.iter_mut().map(Socket::event)).await {
                assert_eq!(event.1["fullName"], name, "everything, in order");
            }
            took.push(sent.elapsed());
        }
        // Silent sockets are closed at one of the first events, and the other events meet none. How long an event takes at
        // all is a matter of the machine.
        let latest = took.iter().take(3).max().copied().unwrap_or_default();
        took.sort();
        let usual = took[took.len() / 2];
        assert!(
            latest < usual * 6 + Duration::from_secs(1),
            "not in time: with {count} that are silent {latest:?} instead of {usual:?}"
        );
        until(async || {
            let left = cloud.connection_ids().await;
            left.len() == 200 - count && ids.iter().all(|id| !left.contains(id))
        })
        .await;
        assert_eq!(cloud.running().dead_letters(), Vec::<Value>::new());
        cloud.stop().await;
    }
}

#[tokio::test]
async fn one_that_does_not_read_delays_the_next_event_of_the_others_by_less_than_300_ms() {
    let cloud = Cloud::for_crowds().await;
    let (admin, user) = (cloud.admin().await, cloud.register_told().await);
    let (_silent, _) = silent(&cloud, 1, None).await;
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(Socket::connected(&cloud, Edge::Gateway, None).await);
    }
    admin.patch(&path(&user), json!({"fullName": "Sara Ahmadi One"})).await.expect(200);
    let mut pause = interval(Duration::from_millis(50));
    pause.tick().await;
    pause.tick().await;
    let sent = Instant::now();
    admin.patch(&path(&user), json!({"fullName": "Sara Ahmadi Two"})).await.expect(200);
    for socket in &mut others {
        assert_eq!(socket.event().await.1["fullName"], "Sara Ahmadi One");
        assert_eq!(socket.event().await.1["fullName"], "Sara Ahmadi Two");
    }
    assert!(sent.elapsed() < Duration::from_millis(300), "not in time: {:?}", sent.elapsed());
    cloud.stop().await;
}

#[tokio::test]
async fn nine_banned_sockets_that_do_not_read_are_closed_within_two_seconds() {
    let cloud = Cloud::for_crowds().await;
    let (admin, user) = (cloud.admin().await, cloud.register_told().await);
    let token = cloud.rest().login(&user).await;
    let mut feed = Socket::connected(&cloud, Edge::Gateway, None).await;
    let (_silent, ids) = silent(&cloud, 9, Some(token.token())).await;
    let banned = Instant::now();
    let ban = admin.post(&path_to(&user, "/ban"), json!({"reason": "fraud"})).await.expect(200);
    assert_eq!(feed.event().await.1, ban["user"]);
    let client = Client::new();
    for id in ids {
        let url = cloud.management_url(&id);
        until(async || client.get(&url).send().await.unwrap().status() == 410).await;
    }
    assert!(banned.elapsed() < Duration::from_secs(2), "not in time: {:?}", banned.elapsed());
    cloud.stop().await;
}
