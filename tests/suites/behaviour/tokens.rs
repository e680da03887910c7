//! Tokens: what is believed, over REST and over sockets.

use std::time::{Duration, Instant};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{Timestamp, ToSpan as _};
use serde_json::json;
use shared::auth::Role;
use tests::{Cloud, Socket, TOKEN_SECRET, on_every_edge, tokens, user::path};
use tokio::time::{interval, timeout};

fn forgeries(genuine: &str) -> Vec<String> {
    let mut parts = genuine.split('.');
    let (_, claims, signature) = (parts.next(), parts.next().unwrap(), parts.next().unwrap());
    let none = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let past = Timestamp::now() - 901.seconds();
    vec![
        String::new(),
        "garbage".to_owned(),
        "a.b.c".to_owned(),
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        format!("{}x", genuine),
        tokens("not the secret of this server, sorry").issue("admin", Role::Admin).unwrap(),
        tokens(TOKEN_SECRET).issue_at("admin", Role::Admin, past).unwrap(),
        tokens(TOKEN_SECRET).issue("not-a-uuid", Role::User).unwrap(),
        tokens(TOKEN_SECRET).issue(uuid::Uuid::new_v4(), Role::User).unwrap(),
    ]
}

#[tokio::test]
async fn forged_expired_and_orphaned_tokens_are_refused_everywhere() {
    on_every_edge(async |cloud, edge| {
        let admin = cloud.admin().await;
        for token in forgeries(admin.token()) {
            let mut socket = Socket::connecting(cloud, edge, Some(json!({ "token": token }))).await;
            let refusal = socket.frame().await;
            assert_eq!(refusal.as_deref(), Some(r#"44/users,{"message":"UNAUTHENTICATED"}"#), "{edge:?} {token}");
            cloud.rest().with_token(&token).get("/auth/me").await.is_refused(401, "UNAUTHENTICATED");
        }
        cloud.rest().get("/auth/me").await.is_refused(401, "UNAUTHENTICATED");
    })
    .await;
}

#[tokio::test]
async fn after_the_end_of_its_token_a_socket_hears_an_event_or_is_closed_within_a_second_of_it() {
    on_every_edge(async |cloud, edge| {
        let (admin, user) = (cloud.admin().await, cloud.rest().register().await);
        let short = tokens(TOKEN_SECRET).issue_at("admin", Role::Admin, Timestamp::now() - 895.seconds()).unwrap();
        let ends = Instant::now() + Duration::from_secs(5);
        let mut socket = Socket::connected(cloud, edge, Some(&short)).await;
        let mut pace = interval(Duration::from_millis(200));
        for n in 0.. {
            pace.tick().await;
            let name = format!("Sara Ahmadi {n}");
            admin.patch(&path(&user), json!({ "fullName": name })).await.expect(200);
            match timeout(Duration::from_secs(1), socket.frame()).await.expect("it is told or closed within a second") {
                Some(event) => assert!(event.contains(&name), "{edge:?}: {event}"),
                None => break,
            }
            assert!(
                ends.elapsed() < Duration::from_secs(1),
                "{edge:?}: not closed in time: the token has ended, and it is still told"
            );
        }
        assert!(Instant::now() + Duration::from_secs(1) > ends, "{edge:?}: closed before its token ended");
    })
    .await;
}

#[tokio::test]
async fn logins_answer_with_a_token_that_works() {
    let cloud = Cloud::start().await;
    let user = cloud.rest().register().await;
    let credentials = json!({"email": user["email"].as_str().unwrap().to_uppercase(), "password": "correct horse"});
    let login = cloud.rest().post("/auth/user/login", credentials).await.expect(200);
    assert_eq!(login["user"], user);
    assert_eq!((&login["ok"], &login["tokens"]["expiresIn"]), (&json!(true), &json!(900)));
    let token = login["tokens"]["accessToken"].as_str().unwrap();
    assert_eq!(cloud.rest().with_token(token).get("/auth/me").await.expect(200)["user"], user);

    let admin = cloud.admin().await.get("/auth/me").await.expect(200);
    assert_eq!(admin, json!({"ok": true, "user": {"id": "admin", "email": "admin@example.com", "role": "admin"}}));
    cloud.stop().await;
}

#[tokio::test]
async fn wrong_credentials_do_not_say_which_part_is_wrong() {
    let cloud = Cloud::start().await;
    let user = cloud.rest().register().await;
    for (path, email) in [
        ("/auth/user/login", user["email"].as_str().unwrap()),
        ("/auth/user/login", "nobody@example.com"),
        ("/auth/admin/login", "admin@example.com"),
        ("/auth/admin/login", "nobody@example.com"),
    ] {
        let answer = cloud.rest().post(path, json!({"email": email, "password": "wrong horse"})).await;
        answer.is_refused(401, "WRONG_CREDENTIALS");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn an_address_of_any_length_is_wrong_credentials() {
    let cloud = Cloud::start().await;
    // The last ones are longer than a key of DynamoDB may be, 2048 bytes.
    for length in [242, 243, 1018, 1019, 30_000] {
        let email = format!("{}@example.com", "é".repeat(length));
        for path in ["/auth/user/login", "/auth/admin/login"] {
            let answer = cloud.rest().post(path, json!({"email": email, "password": "wrong horse"})).await;
            answer.is_refused(401, "WRONG_CREDENTIALS");
        }
    }
    cloud.stop().await;
}
