//! `auth.renew`: a socket that outlives the token it joined with, and who may have one.

use jiff::{Timestamp, ToSpan as _};
use local_dev::Fault;
use serde_json::{Value, json};
use shared::auth::{ACCESS_TOKEN_SECONDS, Role};
use tests::{
    Cloud, Edge, Socket, TOKEN_SECRET, on_every_edge, tokens, until,
    user::{id, path, path_to},
};

/// A token that ends so many seconds from now.
fn token(sub: &str, role: Role, seconds: i64) -> String {
    let issued = Timestamp::now() - (ACCESS_TOKEN_SECONDS - seconds).seconds();
    tokens(TOKEN_SECRET).issue_at(sub, role, issued).unwrap()
}

/// What the acknowledgement of `auth.renew` with this argument says.
async fn renew(socket: &mut Socket, argument: Value) -> Value {
    socket.send(&format!(r#"42/users,7["auth.renew",{argument}]"#)).await;
    let frame = socket.frame().await.expect("an acknowledgement");
    let outcome = frame.strip_prefix("43/users,7").unwrap_or_else(|| panic!("{frame}"));
    serde_json::from_str::<[Value; 1]>(outcome).unwrap()[0].take()
}

/// A user whose registration is behind the feed: who joins from now on does not hear of it.
async fn registered(cloud: &Cloud) -> Value {
    let mut witness = Socket::connected(cloud, Edge::Gateway, None).await;
    let user = cloud.rest().register().await;
    while witness.event().await.1 != user {}
    user
}

fn refused(message: &str) -> Value {
    json!({ "ok": false, "message": message })
}

#[tokio::test]
async fn a_socket_that_renews_outlives_its_first_token_and_misses_nothing() {
    on_every_edge(async |cloud, edge| {
        let user = registered(cloud).await;
        let end = Timestamp::now() + 5.seconds();
        let mut feed = Socket::connected(cloud, edge, Some(&token("admin", Role::Admin, 5))).await;
        let mut own = Socket::connected(cloud, edge, Some(&token(id(&user), Role::User, 5))).await;

        let asked = Timestamp::now();
        for (socket, sub, role) in [(&mut feed, "admin", Role::Admin), (&mut own, id(&user), Role::User)] {
            let outcome = renew(socket, json!({ "token": token(sub, role, 600) })).await;
            assert_eq!(outcome["ok"], true, "{edge:?}: {outcome}");
            let expires_at: Timestamp = outcome["expiresAt"].as_str().unwrap().parse().unwrap();
            assert!((590..=601).contains(&(expires_at.as_second() - asked.as_second())), "{edge:?}: {outcome}");
            assert!(outcome["expiresAt"].as_str().unwrap().ends_with(".000Z"), "{edge:?}: {outcome}");
        }

        let mut heard = 0;
        while Timestamp::now() < end + 2.seconds() {
            let user = cloud.rest().register().await;
            assert_eq!(feed.event().await, ("users.created".into(), user), "{edge:?}");
            heard += 1;
        }
        assert!(heard > 1, "{edge:?}");
        cloud.running().tick(Timestamp::now()).await.unwrap();
        cloud.admin().await.post(&path_to(&user, "/ban"), json!({"reason": "a test"})).await.expect(200);
        assert_eq!(own.event().await.0, "account.banned", "{edge:?}");
        assert_eq!(feed.event().await.0, "users.updated", "{edge:?}");

        // The second token ends as the first one would have.
        cloud.running().tick(Timestamp::now() + 11.minutes()).await.unwrap();
        assert_eq!(feed.frame().await, None, "{edge:?}");
    })
    .await;
}

#[tokio::test]
async fn a_token_that_is_not_the_sockets_own_or_no_longer_good_renews_nothing() {
    on_every_edge(async |cloud, edge| {
        let (user, other) = (registered(cloud).await, registered(cloud).await);
        let mut own = Socket::connected(cloud, edge, Some(&token(id(&user), Role::User, 300))).await;
        let mut feed = Socket::connected(cloud, edge, Some(&token("admin", Role::Admin, 300))).await;
        let theirs = [
            json!({ "token": token(id(&other), Role::User, 600) }),
            json!({ "token": token("admin", Role::Admin, 600) }),
            json!({ "token": token(id(&user), Role::Admin, 600) }),
            json!({ "token": token(id(&user), Role::User, -1) }),
            json!({ "token": "garbage" }),
            json!({ "token": 5 }),
            json!({}),
            Value::Null,
        ];
        for argument in theirs {
            assert_eq!(renew(&mut own, argument.clone()).await, refused("UNAUTHENTICATED"), "{edge:?} {argument}");
        }
        let argument = json!({ "token": token(id(&user), Role::User, 600) });
        assert_eq!(renew(&mut feed, argument).await, refused("UNAUTHENTICATED"), "{edge:?}");
        // They end when they would have ended.
        cloud.running().tick(Timestamp::now() + 6.minutes()).await.unwrap();
        assert_eq!((own.frame().await, feed.frame().await), (None, None), "{edge:?}");
    })
    .await;
}

#[tokio::test]
async fn a_banned_or_deleted_user_renews_nothing_and_is_thrown_out_all_the_same() {
    on_every_edge(async |cloud, edge| {
        let admin = cloud.admin().await;
        for (message, kind) in [("ACCOUNT_BANNED", "banned"), ("UNAUTHENTICATED", "deleted")] {
            let user = cloud.rest().register().await;
            let mut own = Socket::connected(cloud, edge, Some(&token(id(&user), Role::User, 300))).await;
            // Else it is gone before it can ask.
            cloud.running().faults().set([Fault::Slow("broadcast".to_owned(), std::time::Duration::from_secs(3))]);
            match kind {
                "banned" => admin.post(&path_to(&user, "/ban"), json!({"reason": "a test"})).await.expect(200),
                _ => admin.delete(&path(&user)).await.expect(200),
            };
            let argument = json!({ "token": token(id(&user), Role::User, 600) });
            assert_eq!(renew(&mut own, argument).await, refused(message), "{edge:?}");
            cloud.running().faults().set([]);
            assert_eq!(own.event().await.1["kind"], kind, "{edge:?}");
        }
    })
    .await;
}

/// A ban and an unban, both on their way: the socket is from before, whatever it renews with.
#[tokio::test]
async fn a_renewal_does_not_save_a_socket_from_a_ban_that_is_told_late() {
    on_every_edge(async |cloud, edge| {
        let admin = cloud.admin().await;
        let user = cloud.rest().register().await;
        let mut own = Socket::connected(cloud, edge, Some(&token(id(&user), Role::User, 300))).await;
        cloud.running().faults().set([Fault::Slow("broadcast".to_owned(), std::time::Duration::from_secs(3))]);
        admin.post(&path_to(&user, "/ban"), json!({"reason": "a slip"})).await.expect(200);
        admin.post(&path_to(&user, "/unban"), json!({})).await.expect(200);
        let argument = json!({ "token": token(id(&user), Role::User, 600) });
        assert_eq!(renew(&mut own, argument).await["ok"], true, "{edge:?}");
        cloud.running().faults().set([]);
        assert_eq!(own.event().await.0, "account.banned", "{edge:?}");
        assert_eq!(own.frame().await.as_deref(), Some("41/users,"), "{edge:?}");
    })
    .await;
}

#[tokio::test]
async fn an_anonymous_socket_has_nothing_to_renew() {
    on_every_edge(async |cloud, edge| {
        let mut socket = Socket::connected(cloud, edge, None).await;
        let argument = json!({ "token": token("admin", Role::Admin, 600) });
        assert_eq!(renew(&mut socket, argument).await, refused("UNAUTHENTICATED"), "{edge:?}");
    })
    .await;
}

/// Messages of one connection may overtake each other.
#[tokio::test]
async fn of_two_renewals_the_later_end_counts_in_whatever_order_they_come() {
    on_every_edge(async |cloud, edge| {
        let mut feed = Socket::connected(cloud, edge, Some(&token("admin", Role::Admin, 300))).await;
        let late = renew(&mut feed, json!({ "token": token("admin", Role::Admin, 800) })).await;
        let early = renew(&mut feed, json!({ "token": token("admin", Role::Admin, 400) })).await;
        assert_eq!((&late["ok"], &early), (&json!(true), &late), "{edge:?}");
        cloud.running().tick(Timestamp::now() + 10.minutes()).await.unwrap();
        let user = cloud.rest().register().await;
        assert_eq!(feed.event().await, ("users.created".into(), user), "{edge:?}");
    })
    .await;
}

#[tokio::test]
async fn a_renewal_that_wants_no_acknowledgement_gets_none_and_counts() {
    on_every_edge(async |cloud, edge| {
        let mut feed = Socket::connected(cloud, edge, Some(&token("admin", Role::Admin, 60))).await;
        feed.send(&format!(r#"42/users,["auth.renew",{}]"#, json!({ "token": token("admin", Role::Admin, 600) })))
            .await;
        let renewed = async || {
            cloud.room_attributes("tokenExpiresAt").await.iter().any(|end| *end > Timestamp::now().as_second() + 500)
        };
        until(renewed).await;
        cloud.running().tick(Timestamp::now() + 5.minutes()).await.unwrap();
        let user = cloud.rest().register().await;
        assert_eq!(feed.event().await, ("users.created".into(), user), "{edge:?}");
    })
    .await;
}
