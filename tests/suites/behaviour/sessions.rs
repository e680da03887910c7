//! Sessions: a refresh token works until the next one is used, or for half a minute; sessions end with a logout, a reuse,
//! a ban, a delete or thirty days.

use futures::future::join_all;
use serde_json::{Value, json};
use shared::{
    aws::Clients,
    sessions::{Owner, SessionStore},
    users::UserStore,
};
use tests::{
    Answer, Cloud, PASSWORD, Rest, Socket, lossy, on_every_edge,
    user::{path, path_to},
};

const THIRTY_DAYS: i64 = 30 * 24 * 60 * 60;

/// A user and the answer to a login.
async fn login(rest: &Rest) -> (Value, Value) {
    let user = rest.register().await;
    let credentials = json!({ "email": user["email"], "password": PASSWORD });
    let login = rest.post("/auth/user/login", credentials).await.expect(200);
    (user, login)
}

/// The sessions, at this endpoint of a cloud's database.
fn sessions_at(cloud: &Cloud, endpoint: &str) -> SessionStore {
    let env = cloud.users_at(endpoint);
    SessionStore::beside(&UserStore::new(&Clients::from_env(&env).unwrap(), &env).unwrap())
}

async fn login_admin(rest: &Rest) -> Value {
    rest.post("/auth/admin/login", json!({"email": "admin@example.com", "password": "local-admin"})).await.expect(200)
}

async fn refresh(rest: &Rest, role: &str, session: &Value) -> Answer {
    let token = &session["tokens"]["refreshToken"];
    rest.post(&format!("/auth/{role}/refresh"), json!({ "refreshToken": token })).await
}

async fn logout(rest: &Rest, role: &str, session: &Value) -> Answer {
    let token = &session["tokens"]["refreshToken"];
    rest.post(&format!("/auth/{role}/logout"), json!({ "refreshToken": token })).await
}

#[tokio::test]
async fn a_refresh_answers_like_a_login_with_tokens_that_work() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    let (_, user) = login(&rest).await;
    for (role, mut session) in [("user", user), ("admin", login_admin(&rest).await)] {
        for _ in 0..3 {
            let next = refresh(&rest, role, &session).await.expect(200);
            assert_eq!((&next["ok"], &next["user"]), (&json!(true), &session["user"]), "{role}");
            let (before, after) = (&session["tokens"], &next["tokens"]);
            assert_eq!(after["expiresIn"], 900);
            assert_ne!(after["refreshToken"], before["refreshToken"]);
            let me = rest.with_token(after["accessToken"].as_str().unwrap()).get("/auth/me").await.expect(200);
            assert_eq!(me["user"], session["user"]);
            session = next;
        }
    }
    cloud.stop().await;
}

#[tokio::test]
async fn the_token_before_the_newest_is_good_for_half_a_minute_and_then_ends_its_family_and_no_other() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    let (user, first) = login(&rest).await;
    let credentials = json!({ "email": user["email"], "password": PASSWORD });
    let elsewhere = rest.post("/auth/user/login", credentials).await.expect(200);
    for (role, first) in [("user", first), ("admin", login_admin(&rest).await)] {
        let second = refresh(&rest, role, &first).await.expect(200);
        let again = refresh(&rest, role, &first).await.expect(200);
        assert_eq!(again["tokens"]["refreshToken"], second["tokens"]["refreshToken"], "the answer that was lost");
        let me = rest.with_token(again["tokens"]["accessToken"].as_str().unwrap()).get("/auth/me").await.expect(200);
        assert_eq!(me["user"], first["user"]);
        age_sessions(&cloud, 29).await;
        refresh(&rest, role, &first).await.expect(200);
        age_sessions(&cloud, 2).await;
        refresh(&rest, role, &first).await.is_refused(401, "UNAUTHENTICATED");
        refresh(&rest, role, &second).await.is_refused(401, "UNAUTHENTICATED");
    }
    refresh(&rest, "user", &elsewhere).await.expect(200);
    cloud.stop().await;
}

/// Makes it look as if so many seconds had gone by since tokens were replaced.
async fn age_sessions(cloud: &Cloud, seconds: i64) {
    for item in cloud.user_items("SESSION#").await {
        if item.contains_key("replacedAt") {
            cloud.age_user_items(item["sk"].as_s().unwrap(), "replacedAt", seconds).await;
        }
    }
}

#[tokio::test]
async fn a_token_replaced_twice_ends_its_family_at_once() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    let (_, first) = login(&rest).await;
    let second = refresh(&rest, "user", &first).await.expect(200);
    let third = refresh(&rest, "user", &second).await.expect(200);
    refresh(&rest, "user", &first).await.is_refused(401, "UNAUTHENTICATED");
    refresh(&rest, "user", &third).await.is_refused(401, "UNAUTHENTICATED");
    assert!(cloud.user_items("SESSION#").await.is_empty());
    cloud.stop().await;
}

#[tokio::test]
async fn of_ten_refreshes_of_one_token_at_once_all_get_a_working_pair_and_31_seconds_later_it_ends_the_family() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    let (user, session) = login(&rest).await;
    let answers = join_all((0..10).map(|_| refresh(&rest, "user", &session))).await;
    let pairs: Vec<_> = answers.into_iter().map(|answer| answer.expect(200)).collect();
    for pair in &pairs {
        let owner = rest.with_token(pair["tokens"]["accessToken"].as_str().unwrap());
        assert_eq!(owner.get("/auth/me").await.expect(200)["user"], user);
    }
    // Ten tabs, each with the token it was given.
    let next = join_all(pairs.iter().map(|pair| refresh(&rest, "user", pair))).await;
    let next: Vec<_> = next.into_iter().map(|answer| answer.expect(200)).collect();
    assert_eq!(cloud.user_items("SESSION#").await.len(), 1);
    age_sessions(&cloud, 31).await;
    refresh(&rest, "user", &pairs[0]).await.is_refused(401, "UNAUTHENTICATED");
    refresh(&rest, "user", &next[0]).await.is_refused(401, "UNAUTHENTICATED");
    assert!(cloud.user_items("SESSION#").await.is_empty());
    cloud.stop().await;
}

#[tokio::test]
async fn a_wrong_secret_for_a_known_family_ends_nothing() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    let (_, session) = login(&rest).await;
    let token = session["tokens"]["refreshToken"].as_str().unwrap();
    // Owner and family are the first 43 characters.
    let other = if &token[60..61] == "A" { "B" } else { "A" };
    let guess = json!({ "tokens": { "refreshToken": format!("{}{other}{}", &token[..60], &token[61..]) } });
    for _ in 0..2 {
        refresh(&rest, "user", &guess).await.is_refused(401, "UNAUTHENTICATED");
        logout(&rest, "user", &guess).await.expect(200);
    }
    refresh(&rest, "user", &session).await.expect(200);
    cloud.stop().await;
}

#[tokio::test]
async fn a_user_has_twenty_sessions_and_the_one_used_longest_ago_goes() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    let user = rest.register().await;
    let sessions = sessions_at(&cloud, cloud.running().dynamodb_endpoint());
    let owner = Owner::User(user["id"].as_str().unwrap().parse().unwrap());
    let mut tokens = Vec::new();
    for _ in 0..20 {
        tokens.push(sessions.begin(owner, "0").await.unwrap());
    }
    let used = sessions.rotate(&tokens[0]).await.unwrap();
    let more = [sessions.begin(owner, "0").await.unwrap(), sessions.begin(owner, "0").await.unwrap()];
    assert_eq!(cloud.user_items("SESSION#").await.len(), 20);
    for token in tokens[3..].iter().chain([&used]).chain(&more) {
        sessions.generation(token).await.unwrap();
    }
    for token in &tokens[1..3] {
        sessions.generation(token).await.unwrap_err();
    }
    cloud.stop().await;
}

/// A session as it was written until tokens had marks.
#[tokio::test]
async fn a_session_of_before_goes_on() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    let (_, first) = login(&rest).await;
    for mut row in cloud.user_items("SESSION#").await {
        row.remove("familyKey");
        row.remove("usedAt");
        cloud.put_user_row(row).await;
    }
    let second = refresh(&rest, "user", &first).await.expect(200);
    refresh(&rest, "user", &first).await.expect(200);
    refresh(&rest, "user", &second).await.expect(200);
    cloud.stop().await;
}

#[tokio::test]
async fn a_logout_ends_the_session_however_often() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    let (_, user) = login(&rest).await;
    for (role, session) in [("user", user), ("admin", login_admin(&rest).await)] {
        for _ in 0..2 {
            assert_eq!(logout(&rest, role, &session).await.expect(200), json!({"ok": true}));
        }
        refresh(&rest, role, &session).await.is_refused(401, "UNAUTHENTICATED");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn a_ban_ends_all_sessions_for_good() {
    let cloud = Cloud::start().await;
    let (rest, admin) = (cloud.rest(), cloud.admin().await);
    let (user, session) = login(&rest).await;
    let as_user = rest.with_token(session["tokens"]["accessToken"].as_str().unwrap());
    admin.post(&path_to(&user, "/ban"), json!({"reason": "a test"})).await.expect(200);
    for _ in 0..2 {
        refresh(&rest, "user", &session).await.is_refused(403, "ACCOUNT_BANNED");
    }
    as_user.get("/auth/me").await.is_refused(403, "ACCOUNT_BANNED");
    as_user.get(&path(&user)).await.is_refused(403, "ACCOUNT_BANNED");
    as_user.patch(&path(&user), json!({"photoUrl": null})).await.is_refused(403, "ACCOUNT_BANNED");

    admin.post(&path_to(&user, "/unban"), json!({})).await.expect(200);
    refresh(&rest, "user", &session).await.is_refused(401, "UNAUTHENTICATED");
    let credentials = json!({ "email": user["email"], "password": PASSWORD });
    let again = rest.post("/auth/user/login", credentials).await.expect(200);
    refresh(&rest, "user", &again).await.expect(200);
    cloud.stop().await;
}

#[tokio::test]
async fn a_delete_ends_all_sessions() {
    on_every_edge(async |cloud, edge| {
        let (rest, admin) = (cloud.rest(), cloud.admin().await);
        let (user, session) = login(&rest).await;
        let access = session["tokens"]["accessToken"].as_str().unwrap();
        admin.delete(&path(&user)).await.expect(200);
        refresh(&rest, "user", &session).await.is_refused(401, "UNAUTHENTICATED");
        rest.with_token(access).get("/auth/me").await.is_refused(401, "UNAUTHENTICATED");
        let mut socket = Socket::connecting(cloud, edge, Some(json!({ "token": access }))).await;
        assert_eq!(socket.frame().await.as_deref(), Some(r#"44/users,{"message":"UNAUTHENTICATED"}"#), "{edge:?}");
    })
    .await;
}

#[tokio::test]
async fn a_session_nobody_refreshes_ends_after_thirty_days_though_its_row_is_still_there() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    let (_, session) = login(&rest).await;
    cloud.age_user_items("SESSION#", "expiresAt", THIRTY_DAYS - 60).await;
    let next = refresh(&rest, "user", &session).await.expect(200);
    cloud.age_user_items("SESSION#", "expiresAt", THIRTY_DAYS).await;
    refresh(&rest, "user", &next).await.is_refused(401, "UNAUTHENTICATED");
    assert_eq!(cloud.user_items("SESSION#").await.len(), 1);
    cloud.stop().await;
}

#[tokio::test]
async fn what_is_no_refresh_token_of_this_kind_is_refused() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    let (_, user) = login(&rest).await;
    let admin = login_admin(&rest).await;
    for route in ["refresh", "logout"] {
        for role in ["user", "admin"] {
            let call = |body: Value| {
                let (rest, path) = (rest.clone(), format!("/auth/{role}/{route}"));
                async move { rest.post(&path, body).await }
            };
            for token in ["", "x", user["tokens"]["accessToken"].as_str().unwrap()] {
                call(json!({ "refreshToken": token })).await.is_refused(401, "UNAUTHENTICATED");
            }
            let other = if role == "user" { &admin } else { &user };
            let token = &other["tokens"]["refreshToken"];
            call(json!({ "refreshToken": token })).await.is_refused(401, "UNAUTHENTICATED");
            call(json!({ "refreshToken": 5 })).await.is_refused_for("refreshToken");
            call(json!({})).await.is_refused_for("refreshToken");
            call(json!({ "refreshToken": token, "x": 1 })).await.is_refused_for("x");
        }
    }
    refresh(&rest, "user", &user).await.expect(200);
    refresh(&rest, "admin", &admin).await.expect(200);
    cloud.stop().await;
}

#[tokio::test]
async fn only_hashes_of_refresh_tokens_are_stored_and_no_socket_hears_of_sessions() {
    on_every_edge(async |cloud, edge| {
        let rest = cloud.rest();
        let (user, session) = login(&rest).await;
        let mut feed = Socket::connected(cloud, edge, None).await;
        let next = refresh(&rest, "user", &session).await.expect(200);
        let rows = format!("{:?}", cloud.user_items("").await);
        for session in [&session, &next] {
            let token = session["tokens"]["refreshToken"].as_str().unwrap();
            // The end of a token is its secret.
            assert!(!rows.contains(&token[43..]), "{rows}");
        }
        logout(&rest, "user", &next).await.expect(200);
        cloud.admin().await.delete(&path(&user)).await.expect(200);
        assert_eq!(feed.event().await, ("users.deleted".into(), json!({ "id": user["id"] })), "{edge:?}");
        assert_eq!(cloud.running().dead_letters(), Vec::<Value>::new());
    })
    .await;
}

#[tokio::test]
async fn a_refresh_the_database_did_but_did_not_answer_is_no_reuse() {
    let cloud = Cloud::start().await;
    let database = lossy(cloud.running().dynamodb_endpoint()).await;
    let sessions = sessions_at(&cloud, &database);
    let first = sessions.begin(Owner::Admin, "of the password").await.unwrap();
    let next = sessions.rotate(&first).await.unwrap();
    assert_eq!(sessions.generation(&next).await.unwrap(), "of the password");
    assert_eq!(sessions.rotate(&first).await.unwrap().text(), next.text());
    cloud.stop().await;
}
