//! Bans and deletes: told, thrown out, kept out. And never a way around them.

use std::time::Duration;

use futures::future::join;
use local_dev::Fault;
use serde_json::json;
use shared::auth::Role;
use tests::{
    Cloud, Edge, Rest, Socket, TOKEN_SECRET, on_every_edge, tokens, until,
    user::{path, path_to},
};
use tokio::time::sleep;

const ZERO: Duration = Duration::ZERO;

#[tokio::test]
async fn a_banned_user_is_told_then_disconnected_then_closed_on_every_socket() {
    on_every_edge(async |cloud, edge| {
        let admin = cloud.admin().await;
        let user = cloud.rest().register().await;
        let token = cloud.rest().login(&user).await;
        let mut sockets = Vec::new();
        for _ in 0..3 {
            sockets.push(Socket::connected(cloud, edge, Some(token.token())).await);
        }
        let ban = admin.post(&path_to(&user, "/ban"), json!({"reason": "fraud"})).await.expect(200);
        for socket in &mut sockets {
            let expected = json!({
                "kind": "banned", "message": "Your account has been disabled by an administrator.", "at": ban["user"]["bannedAt"],
            });
            assert_eq!(socket.event().await, ("account.banned".to_owned(), expected), "{edge:?}");
            assert_eq!(socket.frame().await.as_deref(), Some("41/users,"), "{edge:?}");
            assert_eq!(socket.frame().await, None, "{edge:?}: the connection is closed");
        }
    })
    .await;
}

#[tokio::test]
async fn a_banned_user_is_kept_out_until_the_ban_is_lifted() {
    on_every_edge(async |cloud, edge| {
        let admin = cloud.admin().await;
        let user = cloud.rest().register().await;
        let rest = cloud.rest().login(&user).await;
        admin.post(&path_to(&user, "/ban"), json!({"reason": "fraud"})).await.expect(200);

        let mut refused = Socket::connecting(cloud, edge, Some(json!({"token": rest.token()}))).await;
        assert_eq!(refused.frame().await.as_deref(), Some(r#"44/users,{"message":"ACCOUNT_BANNED"}"#), "{edge:?}");
        let credentials = json!({"email": user["email"], "password": "correct horse"});
        cloud.rest().post("/auth/user/login", credentials).await.is_refused(403, "ACCOUNT_BANNED");
        let guess = json!({"email": user["email"], "password": "wrong horse"});
        cloud.rest().post("/auth/user/login", guess).await.is_refused(401, "WRONG_CREDENTIALS");
        rest.get("/auth/me").await.is_refused(403, "ACCOUNT_BANNED");
        rest.get(&path(&user)).await.is_refused(403, "ACCOUNT_BANNED");
        rest.patch(&path(&user), json!({"fullName": "Sara Ahmadi Nik"})).await.is_refused(403, "ACCOUNT_BANNED");

        admin.post(&path_to(&user, "/unban"), json!({})).await.expect(200);
        Socket::connected(cloud, edge, Some(rest.token())).await;
        rest.get("/auth/me").await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn banning_twice_keeps_the_first_time_and_tells_nobody_again() {
    let cloud = Cloud::start().await;
    let admin = cloud.admin().await;
    let mut feed = Socket::connected(&cloud, Edge::SocketIo, None).await;
    let user = cloud.rest().register().await;
    assert_eq!(feed.event().await.0, "users.created");
    let first = admin.post(&path_to(&user, "/ban"), json!({"reason": "fraud"})).await.expect(200);
    let second = admin.post(&path_to(&user, "/ban"), json!({"reason": "again"})).await.expect(200);
    assert_eq!(first, second);
    let unbanned = admin.post(&path_to(&user, "/unban"), json!({})).await.expect(200);
    assert_eq!(feed.event().await.1, first["user"]);
    assert_eq!(feed.event().await.1, unbanned["user"]);
    cloud.stop().await;
}

#[tokio::test]
async fn a_deleted_user_is_told_so_and_is_nobody_afterwards() {
    on_every_edge(async |cloud, edge| {
        let user = cloud.rest().register().await;
        let rest = cloud.rest().login(&user).await;
        let mut socket = Socket::connected(cloud, edge, Some(rest.token())).await;
        cloud.admin().await.delete(&path(&user)).await.expect(200);
        let (name, payload) = socket.event().await;
        assert_eq!((name.as_str(), &payload["kind"]), ("account.banned", &json!("deleted")), "{edge:?}");
        let keys: Vec<_> = payload.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["kind", "message", "at"]);
        assert_eq!(socket.frame().await.as_deref(), Some("41/users,"), "{edge:?}");
        assert_eq!(socket.frame().await, None, "{edge:?}");
        let mut refused = Socket::connecting(cloud, edge, Some(json!({"token": rest.token()}))).await;
        assert_eq!(refused.frame().await.as_deref(), Some(r#"44/users,{"message":"UNAUTHENTICATED"}"#), "{edge:?}");
        rest.get("/auth/me").await.is_refused(401, "UNAUTHENTICATED");
    })
    .await;
}

/// The ban is still on its way to the sockets. One that is thrown out before its CONNECT is answered is never told why.
#[tokio::test]
async fn a_connect_right_behind_a_ban_is_refused_in_words_and_never_thrown_out() {
    on_every_edge(async |cloud, edge| {
        let admin = cloud.admin().await;
        let user = cloud.rest().register().await;
        let token = cloud.rest().login(&user).await;
        for round in 0..if cloud.has_shared_database() { 20 } else { 100 } {
            let mut sockets = Vec::new();
            for _ in 0..3 {
                sockets.push(Socket::open(cloud, edge, None).await.unwrap());
            }
            // Told at another moment each time, so that some bans are told in the middle of a CONNECT.
            cloud.running().faults().set([Fault::Slow("broadcast".to_owned(), Duration::from_millis(round % 25))]);
            admin.post(&path_to(&user, "/ban"), json!({"reason": "race"})).await.expect(200);
            for socket in &mut sockets {
                socket.send_connect(Some(json!({"token": token.token()}))).await;
            }
            for socket in &mut sockets {
                let answer = socket.frame().await;
                assert_eq!(answer.as_deref(), Some(r#"44/users,{"message":"ACCOUNT_BANNED"}"#), "{edge:?} {round}");
            }
            admin.post(&path_to(&user, "/unban"), json!({})).await.expect(200);
        }
    })
    .await;
}

#[tokio::test]
async fn a_ban_that_is_told_late_spares_who_came_after_the_unban() {
    on_every_edge(async |cloud, edge| {
        let admin = cloud.admin().await;
        let user = cloud.rest().register().await;
        let token = cloud.rest().login(&user).await;
        let mut before = Socket::connected(cloud, edge, Some(token.token())).await;

        cloud.running().faults().set([Fault::Slow("broadcast".to_owned(), Duration::from_secs(1))]);
        let first = admin.post(&path_to(&user, "/ban"), json!({"reason": "a slip"})).await.expect(200);
        admin.post(&path_to(&user, "/unban"), json!({})).await.expect(200);
        let mut after = Socket::connected(cloud, edge, Some(token.token())).await;
        cloud.running().faults().set([]);

        assert_eq!(before.event().await.1["at"], first["user"]["bannedAt"], "{edge:?}");
        let second = admin.post(&path_to(&user, "/ban"), json!({"reason": "meant it"})).await.expect(200);
        assert_eq!(after.event().await.1["at"], second["user"]["bannedAt"], "{edge:?}: the first thing it hears");
    })
    .await;
}

/// Design rule 3. A banned socket survives a race if it joins after the kick and nobody looks at its user again. Both
/// outcomes have to have been seen: a CONNECT that won and was thrown out, and one that was refused.
#[tokio::test]
async fn no_banned_socket_survives_a_race_of_ban_and_connect() {
    on_every_edge(async |cloud, edge| {
        let admin = cloud.admin().await;
        let user = cloud.rest().register().await;
        let token = cloud.rest().login(&user).await;
        let (mut kicked, mut refused) = (0, 0);
        // DynamoDB Local takes longer for every change its streams have ever held.
        let rounds = if cloud.has_shared_database() { 60 } else { 300 };
        for round in 0..rounds {
            let mut socket = Socket::open(cloud, edge, None).await.unwrap();
            // Which of the two is faster differs by machine and database, so each gets every head start in turn.
            let head_start = Duration::from_millis(round / 2 % 15);
            let (connect_waits, ban_waits) = if round % 2 == 0 { (head_start, ZERO) } else { (ZERO, head_start) };
            let connect = async {
                sleep(connect_waits).await;
                socket.send_connect(Some(json!({"token": token.token()}))).await;
            };
            let ban_path = path_to(&user, "/ban");
            let ban = async {
                sleep(ban_waits).await;
                admin.post(&ban_path, json!({"reason": "race"})).await.expect(200)
            };
            join(connect, ban).await;
            // Whatever happened first: it is refused in words, or it is told and thrown out.
            let first = socket.frame().await;
            if first.as_deref() == Some(r#"44/users,{"message":"ACCOUNT_BANNED"}"#) {
                refused += 1;
            } else {
                let frames = [first.into_iter().collect(), socket.drain().await].concat();
                assert!(frames.iter().any(|frame| frame.contains("account.banned")), "{edge:?}: {frames:?}");
                kicked += 1;
            }
            admin.post(&path_to(&user, "/unban"), json!({})).await.expect(200);
        }
        assert!(kicked > 0 && refused > 0, "{edge:?}: {kicked} were thrown out, {refused} refused");
        assert_eq!(kicked + refused, rounds, "{edge:?}");
    })
    .await;
}

/// Rows of another program, or of a version from before there were bans and generations.
#[tokio::test]
async fn a_user_whose_row_says_nothing_of_bans_may_connect() {
    on_every_edge(async |cloud, edge| {
        let (admin, user) = (cloud.admin().await, Rest::registration());
        let id = "8f14e45f-ceea-4672-a8f5-2d9f4bd0a3c1";
        cloud
            .put_user_item(&json!({
                "pk": format!("USER#{id}"), "sk": "PROFILE", "list": "USERS", "id": id, "fullName": user["fullName"],
                "countryCode": user["countryCode"], "countryName": user["countryName"], "phone": user["phone"],
                "email": user["email"], "passwordHash": "$argon2id$", "createdAt": "2026-01-01T00:00:00.000Z",
            }))
            .await;
        let token = tokens(TOKEN_SECRET).issue(id, Role::User).unwrap();
        let mut socket = Socket::connected(cloud, edge, Some(&token)).await;
        admin.delete(&format!("/users/{id}")).await.expect(200);
        assert_eq!(socket.event().await.0, "account.banned", "{edge:?}");
    })
    .await;
}

#[tokio::test]
async fn who_was_thrown_out_leaves_no_rows_though_disconnect_was_dropped() {
    on_every_edge(async |cloud, edge| {
        cloud.running().faults().set([Fault::DropDisconnect]);
        let user = cloud.rest().register().await;
        let token = cloud.rest().login(&user).await;
        let _socket = Socket::connected(cloud, edge, Some(token.token())).await;
        cloud.admin().await.post(&path_to(&user, "/ban"), json!({"reason": "a test"})).await.expect(200);
        until(async || cloud.connection_ids().await.is_empty() && cloud.room_members().await.is_empty()).await;
    })
    .await;
}
