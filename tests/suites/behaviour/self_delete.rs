//! A user deletes the own account: with the password, and with everything a delete means.

use serde_json::json;
use tests::{Cloud, PASSWORD, Socket, on_every_edge, user::path_to};

#[tokio::test]
async fn the_sockets_hear_kind_deleted_and_are_thrown_out_and_the_feed_hears_the_id() {
    on_every_edge(async |cloud, edge| {
        let user = cloud.register_told().await;
        let rest = cloud.rest().login(&user).await;
        let mut feed = Socket::connected(cloud, edge, None).await;
        let mut own = Socket::connected(cloud, edge, Some(rest.token())).await;
        assert_eq!(
            rest.post(&path_to(&user, "/delete"), json!({ "password": PASSWORD })).await.expect(200),
            json!({"ok": true})
        );
        let (name, notice) = own.event().await;
        assert_eq!((name.as_str(), &notice["kind"]), ("account.banned", &json!("deleted")), "{edge:?}");
        assert_eq!(own.drain().await, ["41/users,"], "{edge:?}");
        assert_eq!(feed.event().await, ("users.deleted".into(), json!({ "id": user["id"] })), "{edge:?}");
        rest.get("/auth/me").await.is_refused(401, "UNAUTHENTICATED");
        let credentials = json!({ "email": user["email"], "password": PASSWORD });
        cloud.rest().post("/auth/user/login", credentials).await.is_refused(401, "WRONG_CREDENTIALS");
    })
    .await;
}

#[tokio::test]
async fn a_wrong_password_deletes_nothing_and_counts_like_a_failed_login() {
    let cloud = Cloud::start().await;
    let user = cloud.rest().register().await;
    let rest = cloud.rest().login(&user).await;
    for body in [json!({}), json!({ "password": 5 })] {
        rest.post(&path_to(&user, "/delete"), body).await.is_refused_for("password");
    }
    for _ in 0..5 {
        rest.post(&path_to(&user, "/delete"), json!({ "password": "wrong horse" }))
            .await
            .is_refused(401, "WRONG_PASSWORD");
    }
    rest.post(&path_to(&user, "/delete"), json!({ "password": PASSWORD })).await.is_refused(429, "TOO_MANY_ATTEMPTS");
    let credentials = json!({ "email": user["email"], "password": PASSWORD });
    rest.post("/auth/user/login", credentials).await.is_refused(429, "TOO_MANY_ATTEMPTS");
    assert_eq!(rest.get("/auth/me").await.expect(200)["user"], user);
    rest.from_elsewhere().post(&path_to(&user, "/delete"), json!({ "password": PASSWORD })).await.expect(200);
    cloud.stop().await;
}

#[tokio::test]
async fn nobody_but_the_user_may() {
    let cloud = Cloud::start().await;
    let (user, other) = (cloud.rest().register().await, cloud.rest().register().await);
    let body = json!({ "password": PASSWORD });
    cloud.rest().login(&other).await.post(&path_to(&user, "/delete"), body.clone()).await.is_refused(403, "FORBIDDEN");
    cloud.admin().await.post(&path_to(&user, "/delete"), body.clone()).await.is_refused(403, "FORBIDDEN");
    cloud.rest().post(&path_to(&user, "/delete"), body.clone()).await.is_refused(401, "UNAUTHENTICATED");
    let rest = cloud.rest().login(&user).await;
    let ban = path_to(&user, "/ban");
    cloud.admin().await.post(&ban, json!({"reason": "a test"})).await.expect(200);
    rest.post(&path_to(&user, "/delete"), body).await.is_refused(403, "ACCOUNT_BANNED");
    cloud.stop().await;
}
