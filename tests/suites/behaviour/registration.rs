//! Registration: one account per address, one event per account.

use futures::future::join_all;
use serde_json::json;
use tests::{Cloud, Edge, Rest, Socket, user::path};

#[tokio::test]
async fn a_registration_answers_201_with_exactly_the_public_user() {
    let cloud = Cloud::start().await;
    let form = Rest::registration();
    let answer = cloud.rest().post("/users/register", form.clone()).await.expect(201);
    let user = &answer["user"];
    let keys: Vec<_> = user.as_object().unwrap().keys().map(String::as_str).collect();
    let public = [
        "id",
        "fullName",
        "countryCode",
        "countryName",
        "phone",
        "isBanned",
        "bannedAt",
        "phoneVerified",
        "email",
        "emailVerified",
        "photoUrl",
        "createdAt",
    ];
    assert_eq!(keys, public);
    assert_eq!(answer["ok"], true);
    for key in ["fullName", "countryCode", "countryName", "phone", "email"] {
        assert_eq!(user[key], form[key]);
    }
    assert_eq!([&user["isBanned"], &user["phoneVerified"], &user["emailVerified"]], [false, false, false]);
    assert!(user["bannedAt"].is_null() && user["photoUrl"].is_null());
    cloud.stop().await;
}

#[tokio::test]
async fn of_twelve_racing_registrations_of_one_address_one_wins() {
    let cloud = Cloud::start().await;
    let mut feed = Socket::connected(&cloud, Edge::SocketIo, None).await;
    let rest = cloud.rest();
    let forms = (0..12).map(|n| {
        let mut form = Rest::registration();
        // The same letters in another case each time.
        let email = "someone@example.com".char_indices();
        form["email"] = email
            .map(|(i, c)| if n >> (i % 4) & 1 == 1 { c.to_ascii_uppercase() } else { c })
            .collect::<String>()
            .into();
        form
    });
    let answers = join_all(forms.map(|form| rest.post("/users/register", form))).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!((won.len(), lost.len()), (1, 11));
    lost.into_iter().for_each(|answer| answer.is_refused(409, "EMAIL_TAKEN"));
    let (winner, marker) = (&won[0].body["user"], &rest.register().await);
    // Events are in order per user only, so the marker's may be the first.
    let heard = [feed.event().await, feed.event().await];
    assert!(heard.iter().all(|(name, _)| name == "users.created"), "{heard:?}");
    let heard = heard.map(|(_, user)| user);
    assert!(heard.contains(winner) && heard.contains(marker), "one event for twelve attempts, not {heard:?}");
    let accounts = cloud.admin().await.get("/users").await.expect(200);
    assert_eq!(accounts, json!([marker, winner]), "and one account");
    cloud.stop().await;
}

#[tokio::test]
async fn a_deleted_address_can_register_again() {
    let cloud = Cloud::start().await;
    let (rest, admin) = (cloud.rest(), cloud.admin().await);
    let form = Rest::registration();
    let first = rest.post("/users/register", form.clone()).await.expect(201);
    rest.post("/users/register", form.clone()).await.is_refused(409, "EMAIL_TAKEN");
    let path = path(&first["user"]);
    assert_eq!(admin.delete(&path).await.expect(200), json!({"ok": true}));
    admin.delete(&path).await.is_refused(404, "NOT_FOUND");
    rest.post("/users/register", form).await.expect(201);
    cloud.stop().await;
}

#[tokio::test]
async fn registrations_name_every_field_that_is_wrong() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    for (field, value) in [
        ("fullName", json!("Sara")),
        ("fullName", json!(5)),
        ("countryCode", json!("XX")),
        ("countryName", json!("")),
        ("phone", json!("0912")),
        ("email", json!("sara")),
        ("password", json!("short")),
        ("isAdmin", json!(true)),
    ] {
        let mut form = Rest::registration();
        form[field] = value;
        rest.post("/users/register", form).await.is_refused_for(field);
    }
    for field in ["fullName", "countryCode", "countryName", "phone", "email", "password"] {
        let mut form = Rest::registration();
        form.as_object_mut().unwrap().remove(field);
        rest.post("/users/register", form).await.is_refused_for(field);
    }
    cloud.stop().await;
}
