//! Getting in: origins, namespaces, and frames that make no sense.

use serde_json::json;
use tests::{Cloud, Edge, Socket, on_every_edge, on_every_edge_with, user::path};

const LISTED: [&str; 4] =
    ["http://localhost:4200", "http://127.0.0.1:4200", "http://localhost:5173", "http://127.0.0.1:5173"];

#[tokio::test]
async fn foreign_origins_are_refused_with_403_listed_ones_and_none_are_not() {
    on_every_edge(async |cloud, edge| {
        for origin in LISTED.map(Some).into_iter().chain([None]) {
            assert!(Socket::open(cloud, edge, origin).await.is_ok(), "{edge:?} {origin:?}");
        }
        for origin in ["https://evil.example", "http://localhost:4201", "null", "http://localhost:4200.evil.example"] {
            assert_eq!(Socket::open(cloud, edge, Some(origin)).await.err(), Some(403), "{edge:?} {origin}");
        }
    })
    .await;
}

#[tokio::test]
async fn preflights_are_answered_for_listed_origins_only() {
    let cloud = Cloud::start().await;
    let client = reqwest::Client::new();
    let allowed = async |origin: &str| {
        let request = client.request(reqwest::Method::OPTIONS, format!("{}/api/v1/users/x", cloud.url()));
        let request = request.header("origin", origin).header("access-control-request-method", "PATCH");
        let response =
            request.header("access-control-request-headers", "authorization,content-type").send().await.unwrap();
        // Browsers refuse a call whose preflight has another status.
        assert!(response.status().is_success(), "{origin}: {}", response.status());
        let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        assert!(header("access-control-allow-methods").unwrap().contains("PATCH"));
        let headers = header("access-control-allow-headers").unwrap();
        for name in ["authorization", "content-type", "traceparent", "tracestate", "baggage"] {
            assert!(headers.contains(name), "{headers}");
        }
        header("access-control-allow-origin")
    };
    for origin in LISTED {
        assert_eq!(allowed(origin).await.as_deref(), Some(origin));
    }
    assert_eq!(allowed("https://evil.example").await, None);
    cloud.stop().await;
}

#[tokio::test]
async fn the_address_of_the_service_itself_is_no_foreign_origin() {
    on_every_edge(async |cloud, edge| {
        let port = cloud.url().rsplit(':').next().unwrap();
        // As the libraries of Python and Swift make it up.
        for own in ["http://127.0.0.1", "http://localhost", "ws://localhost"] {
            assert!(Socket::open(cloud, edge, Some(&format!("{own}:{port}"))).await.is_ok(), "{edge:?} {own}");
        }
        for foreign in [format!("http://evil.example:{port}"), "http://localhost".to_owned()] {
            assert_eq!(Socket::open(cloud, edge, Some(&foreign)).await.err(), Some(403), "{edge:?} {foreign}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_offers_subprotocols_gets_the_first_one_back() {
    let cloud = Cloud::start().await;
    for edge in Edge::ALL {
        let offer = [("sec-websocket-protocol", "moien, other")];
        let (mut socket, chosen) = Socket::dial_with(&cloud, edge.path(), &offer).await.unwrap();
        assert_eq!(chosen.as_deref(), Some("moien"), "{edge:?}");
        assert!(socket.frame().await.unwrap().starts_with('0'), "{edge:?}");
        let (_, chosen) = Socket::dial_with(&cloud, edge.path(), &[]).await.unwrap();
        assert_eq!(chosen, None, "{edge:?}");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn a_slash_behind_the_stage_makes_no_difference() {
    let cloud = Cloud::start().await;
    let (mut socket, _) = Socket::dial_with(&cloud, "/dev/?EIO=4&transport=websocket", &[]).await.unwrap();
    assert!(socket.frame().await.unwrap().starts_with('0'));
    socket.send_connect(None).await;
    assert!(socket.frame().await.unwrap().starts_with("40/users,"));
    cloud.stop().await;
}

#[tokio::test]
async fn a_client_of_another_engine_io_or_transport_or_of_a_session_of_before_is_refused_at_the_door() {
    let cloud = Cloud::start().await;
    for query in [
        "",
        "?transport=websocket",
        "?EIO=3&transport=websocket",
        "?EIO=&transport=websocket",
        "?EIO=4",
        "?EIO=4&transport=polling",
        "?EIO=4&transport=websocket&sid=lv_VI97HAXpY6yYWAAAC",
    ] {
        let refusal = Socket::dial_with(&cloud, &format!("/dev{query}"), &[]).await.err();
        assert_eq!(refusal, Some(400), "{query}");
    }
    assert_eq!(cloud.connection_ids().await, Vec::<String>::new());
    cloud.stop().await;
}

#[tokio::test]
async fn an_unknown_namespace_is_refused_and_the_connection_stays() {
    on_every_edge(async |cloud, edge| {
        let mut socket = Socket::open(cloud, edge, None).await.unwrap();
        for (connect, refusal) in [
            ("40", r#"44{"message":"Invalid namespace"}"#),
            ("40/nope,", r#"44/nope,{"message":"Invalid namespace"}"#),
            ("40/users?a=b,", r#"44/users?a=b,{"message":"Invalid namespace"}"#),
        ] {
            socket.send(connect).await;
            assert_eq!(socket.frame().await.as_deref(), Some(refusal), "{edge:?}");
        }
        socket.send("40/users,").await;
        assert!(socket.frame().await.unwrap().starts_with(r#"40/users,{"sid":""#), "{edge:?}");
    })
    .await;
}

#[tokio::test]
async fn a_socket_that_left_can_join_again_under_a_new_id() {
    on_every_edge(async |cloud, edge| {
        let mut socket = Socket::connected(cloud, edge, None).await;
        socket.send("41/users,").await;
        socket.send("40/users,").await;
        assert!(socket.frame().await.unwrap().starts_with("40/users,"), "{edge:?}");
        let user = cloud.rest().register().await;
        assert_eq!(socket.event().await, ("users.created".into(), user), "{edge:?}");
    })
    .await;
}

#[tokio::test]
async fn nonsense_ends_its_own_connection_and_nothing_else() {
    on_every_edge(async |cloud, edge| {
        let mut bystander = Socket::connected(cloud, edge, None).await;
        let long = "4".repeat(2000);
        for nonsense in ["", "hello", "7", "4", "47", "4x", &long] {
            let mut socket = Socket::connected(cloud, edge, None).await;
            socket.send(nonsense).await;
            assert_eq!(socket.frame().await, None, "{edge:?}: {nonsense:.20}");
        }
        // socketioxide does not look into payloads as Node does, so it may keep these.
        for nonsense in ["42/users,{}", "42/users,[", "42/users,[null]", "42/users,[\"connect\"]", "40/users,["] {
            let mut socket = Socket::connected(cloud, edge, None).await;
            socket.send(nonsense).await;
        }
        let user = cloud.rest().register().await;
        assert_eq!(bystander.event().await, ("users.created".into(), user), "{edge:?}");
    })
    .await;
}

#[tokio::test]
async fn an_event_nobody_listens_to_does_no_harm() {
    on_every_edge(async |cloud, edge| {
        let mut socket = Socket::connected(cloud, edge, None).await;
        for event in [r#"42/users,["ping"]"#, r#"42/users,7["order",{"id":1}]"#, r#"43/users,99[]"#] {
            socket.send(event).await;
        }
        let user = cloud.rest().register().await;
        assert_eq!(socket.event().await, ("users.created".into(), user), "{edge:?}");
    })
    .await;
}

#[tokio::test]
async fn where_anonymous_sockets_are_denied_only_a_token_hears_the_feed() {
    let options = local_dev::Options { anonymous: local_dev::Anonymous::Deny, ..Default::default() };
    on_every_edge_with(&options, async |cloud, edge| {
        for auth in
            [None, Some(json!({})), Some(json!({"token": null})), Some(json!({"token": ""})), Some(json!({"token": 5}))]
        {
            let mut socket = Socket::connecting(cloud, edge, auth.clone()).await;
            let refusal = socket.frame().await;
            assert_eq!(refusal.as_deref(), Some(r#"44/users,{"message":"UNAUTHENTICATED"}"#), "{edge:?} {auth:?}");
        }
        let admin = cloud.admin().await;
        let mut feed = Socket::connected(cloud, edge, Some(admin.token())).await;
        let user = cloud.rest().register().await;
        assert_eq!(feed.event().await, ("users.created".into(), user), "{edge:?}");
    })
    .await;
}

#[tokio::test]
async fn an_ordinary_user_hears_nothing_of_the_feed() {
    on_every_edge(async |cloud, edge| {
        let user = cloud.rest().register().await;
        let token = cloud.rest().login(&user).await;
        let mut socket = Socket::connected(cloud, edge, Some(token.token())).await;
        let mut feed = Socket::connected(cloud, edge, None).await;
        cloud.rest().register().await;
        token.patch(&path(&user), json!({"fullName": "Sara Ahmadi Nik"})).await.expect(200);
        assert_eq!(feed.event().await.0.split('.').next(), Some("users"), "{edge:?}");
        feed.event().await;
        // What the feed heard is over; the first thing the user hears comes after it.
        cloud.admin().await.delete(&path(&user)).await.expect(200);
        assert_eq!(socket.event().await.0, "account.banned", "{edge:?}");
    })
    .await;
}
