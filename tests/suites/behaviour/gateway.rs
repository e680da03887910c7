//! The gateway edge, as API Gateway is: its gate, its limits, its error frames. Rows of the table in local-dev/emulator/README.md.

use std::time::Duration;

use futures::future::{join, join_all};
use local_dev::{Fault, Limits, Often, Options};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tests::{Cloud, Edge, Socket, on_every_edge_with, until};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        CloseFrame, Frame,
        coding::{Data, OpCode},
    },
};

async fn connected(cloud: &Cloud) -> Socket {
    Socket::connected(cloud, Edge::Gateway, None).await
}

fn limits(change: impl FnOnce(&mut Limits)) -> Options {
    let mut options = Options::default();
    change(&mut options.limits);
    options
}

#[tokio::test]
async fn the_connect_function_decides_before_the_101() {
    let cloud = Cloud::start().await;
    assert_eq!(Socket::open(&cloud, Edge::Gateway, Some("https://evil.example")).await.err(), Some(403));
    cloud.running().faults().set([Fault::Fail("connect".into(), Often::Next(1))]);
    assert_eq!(Socket::open(&cloud, Edge::Gateway, None).await.err(), Some(502));
    assert_eq!(cloud.connection_ids().await, Vec::<String>::new());
    cloud.stop().await;
}

#[tokio::test]
async fn what_is_no_websocket_handshake_of_the_stage_is_refused() {
    let cloud = Cloud::start().await;
    for (path, status) in [
        ("/dev", StatusCode::UPGRADE_REQUIRED),
        ("/dev/", StatusCode::UPGRADE_REQUIRED),
        ("/dev/hello", StatusCode::FORBIDDEN),
        ("/dev//", StatusCode::FORBIDDEN),
    ] {
        let answer = Client::new().get(format!("{}{path}", cloud.url())).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn a_client_that_closes_is_answered_with_a_close_frame() {
    let cloud = Cloud::start().await;
    for code in [1000, 4001] {
        let mut socket = connected(&cloud).await;
        socket.send_raw(Message::Close(Some(CloseFrame { code: code.into(), reason: "done".into() }))).await;
        assert_eq!(socket.close_code().await, code);
    }
    until(async || cloud.connection_ids().await.is_empty()).await;
    cloud.stop().await;
}

#[tokio::test]
async fn the_open_packet_announces_the_heartbeat_of_the_functions() {
    let cloud = Cloud::start().await;
    let mut socket = Socket::dial(&cloud, Edge::Gateway, None).await.unwrap();
    let open = socket.raw_frame().await.unwrap();
    let open: Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
    assert_eq!(open["pingInterval"], 480_000);
    assert_eq!((&open["upgrades"], &open["maxPayload"]), (&json!([]), &json!(131_072)));
    assert!(open["pingTimeout"].as_u64().unwrap() >= 120_000 && open["sid"].is_string());
    cloud.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_with_1001() {
    let cloud = Cloud::with(limits(|limits| limits.idle = Duration::from_secs(5))).await;
    let mut socket = connected(&cloud).await;
    assert_eq!(socket.close_code().await, 1001);
    until(async || cloud.connection_ids().await.is_empty()).await;
    cloud.stop().await;
}

#[tokio::test]
async fn a_connection_ends_after_its_lifetime_however_busy() {
    let cloud = Cloud::with(limits(|limits| limits.lifetime = Duration::from_secs(10))).await;
    let mut socket = connected(&cloud).await;
    let mut answers = 0;
    // Busy, but far from a flood.
    let mut pace = tokio::time::interval(Duration::from_millis(250));
    loop {
        pace.tick().await;
        socket.send("40/nope,").await;
        match socket.raw_frame().await {
            Ok(frame) => assert!(frame.starts_with("44/nope")),
            Err(code) => {
                assert_eq!(code, 1001);
                break;
            }
        }
        answers += 1;
    }
    assert!(answers > 10, "it was busy until the end");
    cloud.stop().await;
}

#[tokio::test]
async fn a_binary_frame_is_closed_with_1003() {
    let cloud = Cloud::start().await;
    let mut socket = connected(&cloud).await;
    socket.send_raw(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(socket.close_code().await, 1003);
    cloud.stop().await;
}

#[tokio::test]
async fn a_frame_over_32_kb_is_closed_with_1009_and_one_below_is_not() {
    let cloud = Cloud::start().await;
    let mut socket = connected(&cloud).await;
    socket.send(&format!(r#"42/users,["x","{}"]"#, "y".repeat(32 * 1024 - 20))).await;
    socket.send("40/nope,").await;
    assert_eq!(socket.frame().await.as_deref(), Some(r#"44/nope,{"message":"Invalid namespace"}"#));
    socket.send(&format!(r#"42/users,["x","{}"]"#, "y".repeat(40 * 1024))).await;
    assert_eq!(socket.close_code().await, 1009);
    cloud.stop().await;
}

#[tokio::test]
async fn a_message_over_128_kb_is_closed_with_1009_though_its_frames_are_small() {
    let cloud = Cloud::start().await;
    let mut socket = connected(&cloud).await;
    for n in 0..6 {
        let kind = if n == 0 { Data::Text } else { Data::Continue };
        let frame = Frame::message(vec![b'4'; 30 * 1024], OpCode::Data(kind), n == 5);
        socket.send_raw(Message::Frame(frame)).await;
    }
    assert_eq!(socket.close_code().await, 1009);
    cloud.stop().await;
}

#[tokio::test]
async fn a_failing_function_shows_as_an_error_frame() {
    let cloud = Cloud::start().await;
    let mut socket = connected(&cloud).await;
    cloud.running().faults().set([Fault::Fail("message".into(), Often::Next(1))]);
    socket.send("40/nope,").await;
    let frame: Value = serde_json::from_str(&socket.frame().await.unwrap()).unwrap();
    assert_eq!(frame["message"], "Internal server error");
    assert!(frame["connectionId"].is_string() && frame["requestId"].is_string());
    socket.send("40/nope,").await;
    assert!(socket.frame().await.unwrap().starts_with("44/nope"), "the connection stays open");
    cloud.stop().await;
}

#[tokio::test]
async fn a_function_that_takes_too_long_shows_as_an_error_frame() {
    let cloud = Cloud::with(limits(|limits| limits.integration = Duration::from_secs(5))).await;
    let mut socket = connected(&cloud).await;
    cloud.running().faults().set([Fault::Slow("message".into(), Duration::from_secs(20))]);
    socket.send("40/nope,").await;
    let frame: Value = serde_json::from_str(&socket.frame().await.unwrap()).unwrap();
    assert_eq!(frame["message"], "Endpoint request timed out");
    cloud.stop().await;
}

#[tokio::test]
async fn messages_of_one_connection_are_handled_at_the_same_time() {
    let cloud = Cloud::start().await;
    let mut socket = connected(&cloud).await;
    cloud.running().faults().set([Fault::Slow("message".into(), Duration::from_secs(1))]);
    let started = std::time::Instant::now();
    for n in 0..10 {
        socket.send(&format!("40/nope{n},")).await;
    }
    for _ in 0..10 {
        assert!(socket.frame().await.unwrap().starts_with("44/nope"));
    }
    assert!(started.elapsed() < Duration::from_secs(6), "not in time: one after another they would take ten seconds");
    cloud.stop().await;
}

/// The address of the only connection in the management API.
async fn address_of_the_only_one(cloud: &Cloud) -> String {
    cloud.management_url(&cloud.connection_ids().await[0])
}

/// Posts to a socket that does not read until the buffers between here and there are full; returns how many it took.
async fn posts_until_throttled(url: &str) -> usize {
    let client = Client::new();
    for taken in 0..4000 {
        let status = client.post(url).body(format!("6{}", "x".repeat(60_000))).send().await.unwrap().status();
        if status == 429 {
            return taken;
        }
        assert_eq!(status, 200);
    }
    panic!("never throttled")
}

#[tokio::test]
async fn a_socket_that_does_not_read_is_throttled_and_delays_nobody() {
    let cloud = Cloud::start().await;
    let _slow = connected(&cloud).await;
    posts_until_throttled(&address_of_the_only_one(&cloud).await).await;
    let (mut first, mut second) = (connected(&cloud).await, connected(&cloud).await);
    let user = cloud.rest().register().await;
    for socket in [&mut first, &mut second] {
        assert_eq!(socket.event().await, ("users.created".into(), user.clone()));
    }
    cloud.stop().await;
}

/// Connects as clients do: one that is turned away by a busy gateway tries again.
async fn connected_in_the_end(cloud: &Cloud) -> Socket {
    loop {
        match Socket::open(cloud, Edge::Gateway, None).await {
            Ok(mut socket) => {
                socket.send_connect(None).await;
                // None is an error of ours, such as a database that is too busy to answer in time.
                if let Some(answer) = socket.frame().await {
                    assert!(answer.starts_with("40/users,"), "{answer}");
                    return socket;
                }
            }
            Err(status) => assert!(status >= 500, "{status}"),
        }
    }
}

#[tokio::test]
async fn five_hundred_clients_at_once_all_finish_their_handshake() {
    let cloud = Cloud::for_crowds().await;
    // DynamoDB Local takes longer than our time-out when that many come at the same moment; this is no test of it.
    let clients = if cloud.has_shared_database() { 40 } else { 500 };
    let mut sockets = join_all((0..clients).map(|_| connected_in_the_end(&cloud))).await;
    let user = cloud.rest().register().await;
    for event in join_all(sockets.iter_mut().map(Socket::event)).await {
        assert_eq!(event, ("users.created".into(), user.clone()));
    }
    cloud.stop().await;
}

#[tokio::test]
async fn with_410_for_the_first_300_ms_every_client_still_connects() {
    let cloud =
        Cloud::with(Options { faults: vec![Fault::Gone(Duration::from_millis(300))], ..Options::default() }).await;
    join_all((0..40).map(|_| connected(&cloud))).await;
    cloud.stop().await;
}

/// No client does it, and what it gets may not be what it likes; but it is never joined, open and deaf.
#[tokio::test]
async fn who_sends_connect_before_the_open_packet_hears_what_changes_or_is_closed() {
    let cloud =
        Cloud::with(Options { faults: vec![Fault::Gone(Duration::from_millis(300))], ..Options::default() }).await;
    let early = async || {
        let mut socket = Socket::dial(&cloud, Edge::Gateway, None).await.unwrap();
        socket.send_connect(None).await;
        // Answered as soon as the gateway knows the connection.
        while socket.frame().await.expect("an answer").starts_with('0') {}
        socket
    };
    // One change while the gateway says of most of them that they are gone, and one after that.
    let rest = cloud.rest();
    let (mut sockets, _) = join(join_all((0..20).map(|_| early())), rest.register()).await;
    let user = rest.register().await;
    let ends = join_all(sockets.iter_mut().map(async |socket| {
        loop {
            match socket.frame().await {
                Some(frame) if frame.contains(user["id"].as_str().unwrap()) => return true,
                Some(_) => {}
                None => return false,
            }
        }
    }));
    // Who has neither is waited for in vain.
    let heard = ends.await.into_iter().filter(|heard| *heard).count();
    until(async || cloud.connection_ids().await.len() == heard).await;
    cloud.stop().await;
}

#[tokio::test]
async fn the_feed_is_spread_over_its_partitions_and_everybody_hears_it() {
    let parameters = vec![("FeedShards".to_owned(), "4".to_owned())];
    on_every_edge_with(&Options { parameters, ..Options::default() }, async |cloud, edge| {
        let mut sockets = join_all((0..40).map(|_| Socket::connected(cloud, edge, None))).await;
        let mut partitions = cloud.room_partitions().await;
        assert_eq!(partitions.len(), 40, "{edge:?}");
        partitions.sort();
        partitions.dedup();
        let expected = ["ROOM#/users#feed", "ROOM#/users#feed#1", "ROOM#/users#feed#2", "ROOM#/users#feed#3"];
        assert_eq!(partitions, expected, "{edge:?}");
        let user = cloud.rest().register().await;
        for socket in &mut sockets {
            assert_eq!(socket.event().await, ("users.created".into(), user.clone()), "{edge:?}");
        }
        drop(sockets);
        until(async || cloud.room_members().await.is_empty()).await;
    })
    .await;
}

#[tokio::test]
async fn a_client_that_dies_before_the_open_packet_delays_no_other_and_leaves_no_rows() {
    let cloud = Cloud::for_crowds().await;
    for edge in Edge::ALL {
        let mut fastest = Duration::MAX;
        // A busy machine may be slow once, but waiting for the dead would be slow every time.
        for _ in 0..3 {
            // Gone while `$connect` is being asked.
            cloud.running().faults().set([Fault::Slow("connect".into(), Duration::from_millis(400))]);
            let dial = || tokio::time::timeout(Duration::from_millis(50), Socket::dial(&cloud, edge, None));
            assert!(join_all((0..20).map(|_| dial())).await.iter().all(Result::is_err), "{edge:?}");
            cloud.running().faults().set([]);
            let started = std::time::Instant::now();
            drop(join_all((0..20).map(|_| Socket::connected(&cloud, edge, None))).await);
            fastest = fastest.min(started.elapsed());
        }
        assert!(fastest < Duration::from_secs(2), "{edge:?}: {fastest:?}");
        until(async || cloud.connection_ids().await.is_empty()).await;
    }
    cloud.stop().await;
}

#[tokio::test]
async fn a_stage_that_does_not_exist_is_forbidden() {
    let cloud = Cloud::start().await;
    let answer = Client::new().post(format!("{}/prod/@connections/QQFxqeZfIAMCKRA%3D", cloud.url())).body("6").send();
    let answer = answer.await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["x-amzn-errortype"]),
        (403, &"ForbiddenException".parse().unwrap())
    );
    cloud.stop().await;
}

#[tokio::test]
async fn a_socket_that_does_not_read_ends_after_its_lifetime_all_the_same() {
    let cloud = Cloud::with(limits(|limits| limits.lifetime = Duration::from_secs(5))).await;
    let _slow = connected(&cloud).await;
    let url = address_of_the_only_one(&cloud).await;
    posts_until_throttled(&url).await;
    until(async || Client::new().get(&url).send().await.unwrap().status() == 410).await;
    until(async || cloud.connection_ids().await.is_empty()).await;
    cloud.stop().await;
}

#[tokio::test]
async fn a_delete_comes_after_everything_that_was_posted_before() {
    let cloud = Cloud::start().await;
    let mut slow = connected(&cloud).await;
    let url = address_of_the_only_one(&cloud).await;
    let posted = posts_until_throttled(&url).await;
    assert_eq!(Client::new().delete(&url).send().await.unwrap().status(), 204);
    for _ in 0..posted {
        assert!(slow.raw_frame().await.unwrap().starts_with('6'));
    }
    assert_eq!(slow.raw_frame().await, Err(1000));
    cloud.stop().await;
}

#[tokio::test]
async fn a_connection_that_is_being_closed_is_gone_at_once() {
    let cloud = Cloud::start().await;
    let mut socket = connected(&cloud).await;
    let url = address_of_the_only_one(&cloud).await;
    socket.send_raw(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(socket.close_code().await, 1003);
    // Without waiting for the client's own close frame, which is not sent before it reads on.
    assert_eq!(Client::new().post(&url).body("6").send().await.unwrap().status(), StatusCode::GONE);
    cloud.stop().await;
}

#[tokio::test]
async fn a_cloud_that_stops_tells_its_sockets_that_it_goes_away() {
    let cloud = Cloud::start().await;
    let mut socket = connected(&cloud).await;
    let ((), code) = tokio::join!(cloud.stop(), socket.close_code());
    assert_eq!(code, 1001);
}
