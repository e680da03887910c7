//! Users and the events of their changes, over every edge.

use serde_json::{Value, json};
use tests::{
    Cloud, Socket, on_every_edge,
    user::{path, path_to},
};

#[tokio::test]
async fn every_change_reaches_the_feed_once_and_in_order() {
    on_every_edge(async |cloud, edge| {
        let admin = cloud.admin().await;
        let mut feed = Socket::connected(cloud, edge, None).await;
        let user = cloud.rest().register().await;
        let mut expected = vec![("users.created", user.clone())];
        for body in [
            json!({"fullName": "Sara Ahmadi Nik"}),
            json!({"photoUrl": "https://cdn.example.com/sara.png"}),
            json!({"fullName": "Sara Nik Ahmadi", "photoUrl": null}),
        ] {
            let answer = admin.patch(&path(&user), body).await.expect(200);
            assert_eq!(answer["ok"], true);
            expected.push(("users.updated", answer["user"].clone()));
        }
        let ban = admin.post(&path_to(&user, "/ban"), json!({"reason": "fraud"})).await.expect(200);
        assert!(ban["user"]["isBanned"] == true && ban["user"]["bannedAt"].as_str().unwrap().ends_with('Z'));
        expected.push(("users.updated", ban["user"].clone()));
        let unban = admin.post(&path_to(&user, "/unban"), json!({})).await.expect(200);
        assert!(unban["user"]["isBanned"] == false && unban["user"]["bannedAt"].is_null());
        expected.push(("users.updated", unban["user"].clone()));
        assert_eq!(admin.delete(&path(&user)).await.expect(200), json!({"ok": true}));
        expected.push(("users.deleted", json!({"id": user["id"]})));
        for (name, payload) in expected {
            assert_eq!(feed.event().await, (name.to_owned(), payload), "{edge:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_change_of_nothing_is_told_to_nobody() {
    on_every_edge(async |cloud, edge| {
        let admin = cloud.admin().await;
        let mut feed = Socket::connected(cloud, edge, None).await;
        let user = cloud.rest().register().await;
        assert_eq!(feed.event().await.0, "users.created", "{edge:?}");
        admin.patch(&path(&user), json!({"fullName": user["fullName"]})).await.expect(200);
        admin.patch(&path(&user), json!({})).await.expect(200);
        admin.post(&path_to(&user, "/unban"), json!({})).await.expect(200);
        let marker = cloud.rest().register().await;
        // The stream keeps order per user only, so the marker alone could overtake; the last change of the same user cannot.
        let renamed = admin.patch(&path(&user), json!({"fullName": "Sara Ahmadi Nik"})).await.expect(200);
        let mut heard = vec![feed.event().await.1, feed.event().await.1];
        heard.sort_by_key(|user| user["createdAt"] != renamed["user"]["createdAt"]);
        assert_eq!(heard, [renamed["user"].clone(), marker], "{edge:?}");
    })
    .await;
}

#[tokio::test]
async fn renames_of_one_user_arrive_in_commit_order_on_every_socket() {
    on_every_edge(async |cloud, edge| {
        let admin = cloud.admin().await;
        let mut sockets = Vec::new();
        for _ in 0..5 {
            sockets.push(Socket::connected(cloud, edge, None).await);
        }
        let user = cloud.rest().register().await;
        let names: Vec<_> = (0..60).map(|n| format!("Sara Ahmadi {n}")).collect();
        for name in &names {
            admin.patch(&path(&user), json!({ "fullName": name })).await.expect(200);
        }
        for socket in &mut sockets {
            assert_eq!(socket.event().await.0, "users.created", "{edge:?}");
            for name in &names {
                assert_eq!(socket.event().await.1["fullName"], **name, "{edge:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_list_is_newest_first_and_pages_through_its_link_header() {
    let cloud = Cloud::start().await;
    let admin = cloud.admin().await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.insert(0, cloud.rest().register().await);
    }
    let mut listed = Vec::new();
    let mut next = Some("/users?limit=2".to_owned());
    while let Some(page) = next {
        let answer = admin.get(&page).await;
        let link = answer.headers.get("link").map(|link| link.to_str().unwrap().to_owned());
        next = link.map(|link| {
            let url = link.strip_prefix("</api/v1").and_then(|link| link.strip_suffix(">; rel=\"next\""));
            url.expect("a Link header").to_owned()
        });
        listed.extend(answer.expect(200).as_array().unwrap().clone());
    }
    // Two registrations of one millisecond have no order.
    let times = |users: &[Value]| users.iter().map(|user| user["createdAt"].to_string()).collect::<Vec<_>>();
    assert_eq!(times(&listed), times(&expected));
    assert_eq!(listed.len(), 5);
    for (query, field) in [("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("cursor=x", "cursor")] {
        admin.get(&format!("/users?{query}")).await.is_refused_for(field);
    }
    cloud.stop().await;
}

#[tokio::test]
async fn a_user_reads_and_renames_only_himself() {
    let cloud = Cloud::start().await;
    let (own, other) = (cloud.rest().register().await, cloud.rest().register().await);
    let user = cloud.rest().login(&own).await;
    assert_eq!(user.get(&path(&own)).await.expect(200), own);
    assert_eq!(user.get("/auth/me").await.expect(200), json!({"ok": true, "user": own}));
    let renamed = user.patch(&path(&own), json!({"fullName": "Sara Ahmadi Nik"})).await.expect(200);
    assert_eq!(renamed["user"]["fullName"], "Sara Ahmadi Nik");
    user.get(&path(&other)).await.is_refused(403, "FORBIDDEN");
    user.patch(&path(&other), json!({"fullName": "Not My Name"})).await.is_refused(403, "FORBIDDEN");
    user.get("/users").await.is_refused(403, "FORBIDDEN");
    user.delete(&path(&own)).await.is_refused(403, "FORBIDDEN");
    for action in ["ban", "unban"] {
        user.post(&format!("{}/{action}", path(&other)), json!({"reason": "x"})).await.is_refused(403, "FORBIDDEN");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn an_unknown_user_is_not_found() {
    let cloud = Cloud::start().await;
    let admin = cloud.admin().await;
    let nobody = "/users/0b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10";
    admin.get(nobody).await.is_refused(404, "NOT_FOUND");
    admin.patch(nobody, json!({"fullName": "Sara Ahmadi Nik"})).await.is_refused(404, "NOT_FOUND");
    admin.patch(nobody, json!({})).await.is_refused(404, "NOT_FOUND");
    admin.delete(nobody).await.is_refused(404, "NOT_FOUND");
    admin.post(&format!("{nobody}/ban"), json!({"reason": "x"})).await.is_refused(404, "NOT_FOUND");
    admin.post(&format!("{nobody}/unban"), json!({})).await.is_refused(404, "NOT_FOUND");
    cloud.stop().await;
}

#[tokio::test]
async fn strangers_cannot_tell_which_users_exist() {
    let cloud = Cloud::start().await;
    let (user, other) = (cloud.rest().register().await, cloud.rest().register().await);
    let rest = cloud.rest().login(&user).await;
    for id in [other["id"].as_str().unwrap(), "0b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10"] {
        rest.get(&format!("/users/{id}")).await.is_refused(403, "FORBIDDEN");
        rest.patch(&format!("/users/{id}"), json!({})).await.is_refused(403, "FORBIDDEN");
    }
    cloud.stop().await;
}

/// Where the page of this answer says that the next one is.
fn next_of(answer: &tests::Answer) -> Option<String> {
    let link = answer.headers.get("link")?.to_str().unwrap();
    Some(link.strip_prefix("</api/v1").and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap().to_owned())
}

/// Puts a row into the list that belongs to nobody, as one does whose user is deleted while the list is read.
async fn list_nobody(cloud: &Cloud, shard: u8, created_at: &str, id: &str) {
    cloud.put_user_item(&json!({"pk": format!("LIST#{shard}"), "sk": format!("{created_at}|{id}")})).await;
}

#[tokio::test]
async fn who_is_deleted_while_the_list_is_read_leaves_a_full_page_and_the_right_next_one() {
    let cloud = Cloud::start().await;
    let admin = cloud.admin().await;
    list_nobody(&cloud, 2, "2025-02-09T18:23:27.396Z", "3b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10").await;
    let mut users = Vec::new();
    for _ in 0..4 {
        users.insert(0, cloud.rest().register().await);
    }
    for shard in 0..3 {
        // Newer than all of them.
        let id = format!("{shard}b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10");
        list_nobody(&cloud, shard, "2999-01-01T00:00:00.000Z", &id).await;
    }
    let first = admin.get("/users?limit=2").await;
    let next = next_of(&first).expect("a next page");
    assert_eq!(first.expect(200), json!(users[..2]));
    let second = admin.get(&next).await;
    let last = next_of(&second);
    assert_eq!(second.expect(200), json!(users[2..]));
    // There is one more row, of nobody.
    let last = admin.get(&last.expect("a next page")).await;
    assert_eq!(next_of(&last), None);
    assert_eq!(last.expect(200), json!([]));
    cloud.stop().await;
}

#[tokio::test]
async fn the_list_is_as_it_is_at_that_moment() {
    let cloud = Cloud::start().await;
    let admin = cloud.admin().await;
    for _ in 0..5 {
        let user = cloud.rest().register().await;
        assert_eq!(admin.get("/users").await.expect(200), json!([user]), "right after the registration");
        let changed = admin.patch(&path(&user), json!({"fullName": "Sara Ahmadi Nik"})).await.expect(200);
        assert_eq!(admin.get("/users").await.expect(200), json!([changed["user"]]), "right after the change");
        admin.delete(&path(&user)).await.expect(200);
        assert_eq!(admin.get("/users").await.expect(200), json!([]), "right after the delete");
    }
    let mut left = cloud.user_items("").await;
    // The administrator's session, and the counters of attempts.
    left.retain(|item| !["SESSION#", "WINDOW"].iter().any(|prefix| item["sk"].as_s().unwrap().starts_with(prefix)));
    assert!(left.is_empty(), "of users who were deleted there is left: {left:?}");
    cloud.stop().await;
}

#[tokio::test]
async fn a_change_of_a_profile_writes_nothing_but_the_profile() {
    let cloud = Cloud::start().await;
    let (admin, user) = (cloud.admin().await, cloud.rest().register().await);
    let listed = cloud.user_items("20").await;
    assert_eq!(listed.len(), 1, "one row in the list");
    let others = async || {
        let mut items = cloud.user_items("").await;
        items.retain(|item| item["sk"].as_s().unwrap() != "PROFILE");
        items.sort_by_key(|item| item["pk"].as_s().unwrap().clone());
        items
    };
    let before = others().await;
    admin.patch(&path(&user), json!({"fullName": "Sara Ahmadi Nik"})).await.expect(200);
    admin.post(&path_to(&user, "/ban"), json!({"reason": "x"})).await.expect(200);
    assert_eq!(others().await, before);
    cloud.stop().await;
}

#[tokio::test]
async fn a_row_that_is_no_user_costs_the_list_nothing_but_itself() {
    let cloud = Cloud::start().await;
    let (admin, first) = (cloud.admin().await, cloud.rest().register().await);
    let id = "0b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10";
    list_nobody(&cloud, 3, "2999-01-01T00:00:00.000Z", id).await;
    cloud.put_user_item(&json!({"pk": format!("USER#{id}"), "sk": "PROFILE", "phone": "+49"})).await;
    let second = cloud.rest().register().await;
    assert_eq!(admin.get("/users").await.expect(200), json!([second, first]));
    let page = admin.get("/users?limit=1").await;
    assert!(next_of(&page).is_some());
    assert_eq!(page.expect(200), json!([second]));
    cloud.stop().await;
}
