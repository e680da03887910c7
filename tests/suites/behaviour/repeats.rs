//! Requests that are sent again because the first answer got lost: with an `Idempotency-Key` they are answered again and
//! not done again.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    Answer, Cloud, Edge, PASSWORD, Rest, Socket,
    user::{path, path_to},
};

const DAY: i64 = 24 * 60 * 60;

async fn post(rest: &Rest, path: &str, key: &str, body: &Value) -> Answer {
    rest.with_header("idempotency-key", key).post(path, body.clone()).await
}

#[tokio::test]
async fn a_repeated_registration_is_answered_again_and_makes_one_account() {
    let cloud = Cloud::start().await;
    let (rest, admin) = (cloud.rest(), cloud.admin().await);
    let mut feed = Socket::connected(&cloud, Edge::SocketIo, None).await;
    let form = Rest::registration();
    let first = post(&rest, "/users/register", "8e03978e-40d5", &form).await;
    assert!(!first.headers.contains_key("idempotency-replayed"));
    let first = first.expect(201);
    let again = post(&rest.from_elsewhere(), "/users/register", "8e03978e-40d5", &form).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.headers["content-type"], "application/json");
    assert_eq!(again.expect(201), first);
    post(&rest, "/users/register", "another-key", &form).await.is_refused(409, "EMAIL_TAKEN");
    let other = rest.register().await;
    assert_eq!(feed.event().await.1, first["user"]);
    assert_eq!(feed.event().await.1, other, "one event for the account");
    assert_eq!(admin.get("/users").await.expect(200).as_array().unwrap().len(), 2);

    post(&rest, "/users/register", "8e03978e-40d5", &Rest::registration())
        .await
        .is_refused(422, "IDEMPOTENCY_KEY_REUSED");
    cloud.age_user_items("ANSWER", "expiresAt", DAY).await;
    post(&rest, "/users/register", "8e03978e-40d5", &form).await.is_refused(409, "EMAIL_TAKEN");
    cloud.stop().await;
}

#[tokio::test]
async fn a_registration_is_repeated_whatever_token_comes_along() {
    let cloud = Cloud::start().await;
    let (rest, form) = (cloud.rest(), Rest::registration());
    let owner = rest.register_and_login().await;
    let first = post(&owner, "/users/register", "k", &form).await.expect(201);
    for again in [&rest, &rest.with_token("forged"), &rest.with_header("authorization", "Basic YTpi"), &owner] {
        let again = post(again, "/users/register", "k", &form).await;
        assert_eq!(again.headers["idempotency-replayed"], "true");
        assert_eq!(again.expect(201), first);
    }
    // Not one for each token.
    assert_eq!(cloud.user_items("ANSWER").await.len(), 1);
    cloud.stop().await;
}

#[tokio::test]
async fn of_many_repeats_at_once_one_is_done_and_nobody_gets_another_answer() {
    let cloud = Cloud::start().await;
    let (rest, form) = (cloud.rest(), Rest::registration());
    let answers = join_all((0..8).map(|_| post(&rest, "/users/register", "k", &form))).await;
    let done: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert!(!done.is_empty() && done.iter().all(|answer| answer.body == done[0].body));
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!((answer.status, &answer.body["message"]), (409, &json!("REQUEST_UNDER_WAY")));
        assert_eq!(answer.headers["retry-after"], "1");
    }
    assert_eq!(post(&rest, "/users/register", "k", &form).await.expect(201), done[0].body);
    cloud.stop().await;
}

#[tokio::test]
async fn a_ban_an_unban_and_a_delete_have_one_outcome_however_often_they_are_asked_for() {
    let cloud = Cloud::start().await;
    let (rest, admin) = (cloud.rest(), cloud.admin().await);
    let user = rest.register().await;
    let ban = json!({ "reason": "a test" });
    let banned = post(&admin, &path_to(&user, "/ban"), "ban", &ban).await.expect(200);
    post(&admin, &path_to(&user, "/unban"), "unban", &json!({})).await.expect(200);
    // As it was answered then, and not done again.
    assert_eq!(post(&admin, &path_to(&user, "/ban"), "ban", &ban).await.expect(200), banned);
    assert_eq!(admin.get(&path(&user)).await.expect(200)["isBanned"], false);
    post(&admin, &path_to(&user, "/ban"), "ban", &json!({ "reason": "another" }))
        .await
        .is_refused(422, "IDEMPOTENCY_KEY_REUSED");

    let owner = rest.login(&user).await;
    for _ in 0..2 {
        let delete = post(&owner, &path_to(&user, "/delete"), "delete", &json!({ "password": PASSWORD })).await;
        assert_eq!(delete.expect(200), json!({ "ok": true }));
    }
    let other = rest.register().await;
    for _ in 0..2 {
        admin.with_header("idempotency-key", "delete").delete(&path(&other)).await.expect(200);
    }
    admin.delete(&path(&other)).await.is_refused(404, "NOT_FOUND");
    cloud.stop().await;
}

#[tokio::test]
async fn a_key_is_its_callers_for_one_route_and_no_way_around_a_refusal() {
    let cloud = Cloud::start().await;
    let (rest, admin) = (cloud.rest(), cloud.admin().await);
    let user = rest.register().await;
    let owner = rest.login(&user).await;
    let ban = json!({ "reason": "a test" });
    post(&admin, &path_to(&user, "/ban"), "k", &ban).await.expect(200);
    // The same key of somebody else, and of nobody.
    post(&rest.register_and_login().await, &path_to(&user, "/ban"), "k", &ban).await.is_refused(403, "FORBIDDEN");
    post(&rest, &path_to(&user, "/ban"), "k", &ban).await.is_refused(401, "UNAUTHENTICATED");
    post(&rest.with_token("forged"), &path_to(&user, "/ban"), "k", &ban).await.is_refused(401, "UNAUTHENTICATED");
    post(&admin, &path_to(&user, "/unban"), "k", &json!({})).await.expect(200);

    // What was refused may be put right with the same key.
    let delete = path_to(&user, "/delete");
    post(&owner, &delete, "d", &json!({ "password": "wrong horse" })).await.is_refused(401, "WRONG_PASSWORD");
    post(&owner, &path_to(&user, "/phone/verify/send"), "s", &json!({})).await.expect(200);
    post(&owner, &path_to(&user, "/phone/verify/send"), "s", &json!({})).await.expect(200);
    admin.post(&path_to(&user, "/ban"), ban).await.expect(200);
    post(&owner, &path_to(&user, "/phone/verify/send"), "s", &json!({})).await.is_refused(403, "ACCOUNT_BANNED");

    for key in ["", "a b", &"k".repeat(256)] {
        post(&rest, "/users/register", key, &Rest::registration()).await.is_refused_for("Idempotency-Key");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn answers_are_kept_where_nobody_reads_them_and_those_with_tokens_are_not() {
    let cloud = Cloud::start().await;
    let (rest, form) = (cloud.rest(), Rest::registration());
    post(&rest, "/users/register", "a-key-of-mine", &form).await.expect(201);
    let credentials = json!({ "email": form["email"], "password": PASSWORD });
    for _ in 0..2 {
        post(&rest, "/auth/user/login", "a-key-of-mine", &credentials).await.expect(200);
    }
    let rows = cloud.user_items("ANSWER").await;
    assert_eq!(rows.len(), 1);
    let row = format!("{rows:?}");
    for secret in ["a-key-of-mine", "Sara", PASSWORD, form["email"].as_str().unwrap(), form["phone"].as_str().unwrap()]
    {
        assert!(!row.contains(secret), "{secret} in {row}");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn a_request_nobody_works_on_any_more_is_begun_again() {
    let cloud = Cloud::start().await;
    let (rest, form) = (cloud.rest(), Rest::registration());
    post(&rest, "/users/register", "k", &form).await.expect(201);
    // As if the function had ended before it kept the answer, and before it registered.
    for mut row in cloud.user_items("ANSWER").await {
        row.remove("sealed");
        cloud.put_user_row(row).await;
    }
    post(&rest, "/users/register", "k", &form).await.is_refused(409, "REQUEST_UNDER_WAY");
    cloud.age_user_items("ANSWER", "begunAt", 15).await;
    post(&rest, "/users/register", "k", &form).await.is_refused(409, "EMAIL_TAKEN");
    cloud.stop().await;
}

#[tokio::test]
async fn browsers_may_send_the_key_and_read_what_comes_of_it() {
    let cloud = Cloud::start().await;
    let url = format!("{}/api/v1/users/register", cloud.url());
    let preflight = reqwest::Client::new().request(Method::OPTIONS, url);
    let preflight = preflight.header("origin", "http://localhost:4200").header("access-control-request-method", "POST");
    let allowed =
        preflight.send().await.unwrap().headers()["access-control-allow-headers"].to_str().unwrap().to_owned();
    assert!(allowed.split(',').any(|header| header.trim() == "idempotency-key"), "{allowed}");
    let health = reqwest::Client::new().get(format!("{}/api/v1/health", cloud.url()));
    let answer = health.header("origin", "http://localhost:4200").send().await.unwrap();
    let exposed = answer.headers()["access-control-expose-headers"].to_str().unwrap();
    for header in ["idempotency-replayed", "retry-after", "www-authenticate"] {
        assert!(exposed.split(',').any(|name| name.trim() == header), "{header} in {exposed}");
    }
    cloud.stop().await;
}
