//! Abuse limits: guessed passwords, mass registrations, floods of frames. Who behaves notices nothing.

use std::time::{Duration, Instant};

use futures::future::join_all;
use local_dev::Options;
use serde_json::{Value, json};
use shared::{
    Error,
    auth::Role,
    aws::Clients,
    limits::{ClientNetwork, LimitStore},
    users::UserStore,
};
use tests::{Answer, Cloud, Edge, PASSWORD, Rest, Socket, lossy, until};

const QUARTER_OF_AN_HOUR: i64 = 15 * 60;
const HOUR: i64 = 60 * 60;

/// The limits, at this endpoint of a cloud's database.
fn limits(cloud: &Cloud, endpoint: &str) -> LimitStore {
    let env = cloud.users_at(endpoint);
    LimitStore::beside(&UserStore::new(&Clients::from_env(&env).unwrap(), &env).unwrap(), &env).unwrap()
}

async fn login(rest: &Rest, role: &str, email: &Value, password: &str) -> Answer {
    rest.post(&format!("/auth/{role}/login"), json!({ "email": email, "password": password })).await
}

/// Asserts a 429 that says when to come back, in seconds.
#[track_caller]
fn must_wait(answer: Answer, most: u64) {
    let retry_after: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=most).contains(&retry_after), "{retry_after}");
    answer.is_refused(429, "TOO_MANY_ATTEMPTS");
}

#[tokio::test]
async fn after_five_wrong_passwords_an_account_is_closed_to_that_address_for_a_quarter_of_an_hour() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    let (user, other) = (rest.register().await, rest.register().await);
    let unknown = json!("nobody@example.com");
    for (role, email, right) in [
        ("user", &user["email"], Some(PASSWORD)),
        ("user", &unknown, None),
        ("admin", &json!("admin@example.com"), Some("local-admin")),
    ] {
        for n in 0..5 {
            let email = if n % 2 == 0 { email.clone() } else { email.as_str().unwrap().to_uppercase().into() };
            login(&rest, role, &email, "wrong horse").await.is_refused(401, "WRONG_CREDENTIALS");
        }
        for password in ["wrong horse", right.unwrap_or("any")] {
            must_wait(login(&rest, role, email, password).await, 900);
        }
        if let Some(right) = right {
            login(&rest.from_elsewhere(), role, email, right).await.expect(200);
        }
    }
    login(&rest, "user", &other["email"], PASSWORD).await.expect(200);

    cloud.age_user_items("WINDOW", "expiresAt", QUARTER_OF_AN_HOUR).await;
    // That it is closed is remembered for a second.
    until(async || login(&rest, "user", &user["email"], "wrong horse").await.status == 401).await;
    login(&rest, "user", &user["email"], PASSWORD).await.expect(200);
    cloud.stop().await;
}

#[tokio::test]
async fn a_right_password_clears_the_wrong_ones() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    let user = rest.register().await;
    for _ in 0..2 {
        for _ in 0..4 {
            login(&rest, "user", &user["email"], "wrong horse").await.is_refused(401, "WRONG_CREDENTIALS");
        }
        login(&rest, "user", &user["email"], PASSWORD).await.expect(200);
    }
    // The failures of the source are the only counter there is.
    let counters = cloud.user_items("WINDOW").await;
    assert_eq!(counters.iter().map(|counter| counter["taken"].as_n().unwrap().as_str()).collect::<Vec<_>>(), ["8"]);
    cloud.stop().await;
}

#[tokio::test]
async fn an_address_that_fails_a_hundred_logins_whosever_they_are_waits_a_quarter_of_an_hour() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    let user = rest.register().await;
    login(&rest, "user", &json!("1@example.com"), "leaked").await.is_refused(401, "WRONG_CREDENTIALS");
    for counter in ["taken", "failed"] {
        cloud.set_user_items("WINDOW", counter, 99).await;
    }
    for _ in 0..2 {
        login(&rest, "user", &user["email"], PASSWORD).await.expect(200);
    }
    login(&rest, "admin", &json!("2@example.com"), "leaked").await.is_refused(401, "WRONG_CREDENTIALS");
    for email in [&json!("3@example.com"), &user["email"], &json!("3@example.com")] {
        must_wait(login(&rest, "user", email, PASSWORD).await, 900);
    }
    login(&rest.from_elsewhere(), "user", &user["email"], PASSWORD).await.expect(200);

    cloud.age_user_items("WINDOW", "expiresAt", QUARTER_OF_AN_HOUR).await;
    // That it is closed is remembered for a second.
    until(async || login(&rest, "user", &user["email"], PASSWORD).await.status == 200).await;
    cloud.stop().await;
}

#[tokio::test]
async fn a_login_that_fails_for_a_reason_of_ours_costs_no_attempt() {
    let cloud = Cloud::start().await;
    let limits = limits(&cloud, cloud.running().dynamodb_endpoint());
    let source = ClientNetwork::of(Some("192.0.2.1"));
    for _ in 0..6 {
        let check = async { Err::<Option<()>, _>(Error::internal("reading")("the database is away")) };
        let outcome = limits.login(Role::User, "sara@example.com", &source, check).await;
        assert!(matches!(outcome, Err(Error::Internal { .. })), "{outcome:?}");
    }
    let taken: Vec<_> = cloud.user_items("WINDOW").await.iter().map(|item| item["taken"].clone()).collect();
    assert!(taken.len() == 2 && taken.iter().all(|taken| taken.as_n().unwrap() == "0"), "{taken:?}");
    assert_eq!(limits.login(Role::User, "sara@example.com", &source, async { Ok(Some(5)) }).await.unwrap(), Some(5));
    cloud.stop().await;
}

#[tokio::test]
async fn what_the_database_counted_but_did_not_answer_is_counted_once() {
    let cloud = Cloud::start().await;
    let limits = limits(&cloud, &lossy(cloud.running().dynamodb_endpoint()).await);
    let source = ClientNetwork::of(Some("192.0.2.1"));
    limits.registration(&source).await.unwrap();
    assert!(matches!(limits.registration(&source).await, Err(Error::TooManyAttempts { .. })));
    cloud.age_user_items("WINDOW", "expiresAt", HOUR).await;
    limits.registration(&source).await.unwrap();
    cloud.stop().await;
}

#[tokio::test]
async fn a_thousand_wrong_logins_at_once_lock_the_account_and_not_the_service() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    let (user, other) = (rest.register().await, rest.register().await);
    // DynamoDB Local takes longer than our time-out when that many come at the same moment; this is no test of it.
    let attempts = if cloud.has_shared_database() { 100 } else { 1000 };
    let flood = join_all((0..attempts).map(|_| login(&rest, "user", &user["email"], "wrong horse")));
    let others = async {
        for _ in 0..3 {
            login(&rest, "user", &other["email"], PASSWORD).await.expect(200);
            rest.get("/health").await.expect(200);
        }
    };
    let (answers, ()) = tokio::join!(flood, others);
    let wrong = answers.iter().filter(|answer| answer.status == 401).count();
    assert!((1..=5).contains(&wrong), "{wrong} were looked at");
    for answer in answers.into_iter().filter(|answer| answer.status != 401) {
        must_wait(answer, 900);
    }
    must_wait(login(&rest, "user", &user["email"], PASSWORD).await, 900);
    cloud.stop().await;
}

#[tokio::test]
async fn an_unknown_address_and_a_wrong_password_take_the_same_time() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for n in 0..9 {
        let user = rest.register().await;
        for (email, times) in [(&user["email"], &mut known), (&json!(format!("nobody.{n}@example.com")), &mut unknown)]
        {
            let started = Instant::now();
            login(&rest, "user", email, "wrong horse").await.is_refused(401, "WRONG_CREDENTIALS");
            times.push(started.elapsed());
        }
    }
    known.sort();
    unknown.sort();
    let ratio = unknown[4].as_secs_f64() / known[4].as_secs_f64();
    // A login without a hash takes a tenth of the time.
    assert!((0.5..2.0).contains(&ratio), "{unknown:?} {known:?}");
    cloud.stop().await;
}

#[tokio::test]
async fn an_address_registers_so_many_accounts_an_hour_whatever_its_headers_say() {
    let cloud = Cloud::with(Options { registrations_per_hour: 3, ..Options::default() }).await;
    let rest = cloud.rest();
    let form = Rest::registration();
    rest.post("/users/register", form.clone()).await.expect(201);
    // What never gets as far as the table costs nothing; an address that is taken does.
    rest.post("/users/register", json!({})).await.is_refused_for("fullName");
    rest.post("/users/register", form).await.is_refused(409, "EMAIL_TAKEN");
    rest.register().await;
    for _ in 0..2 {
        must_wait(rest.post("/users/register", Rest::registration()).await, 3600);
    }
    let spoofed = reqwest::Client::new().post(format!("{}/api/v1/users/register", cloud.url()));
    let spoofed = spoofed.header("x-forwarded-for", "203.0.113.7").json(&Rest::registration()).send().await.unwrap();
    assert_eq!(spoofed.status(), 429);
    rest.from_elsewhere().register().await;

    cloud.age_user_items("WINDOW", "expiresAt", HOUR).await;
    rest.register().await;
    cloud.stop().await;
}

#[tokio::test]
async fn what_is_above_the_throttle_of_a_route_is_429_of_api_gateways_own() {
    let parameters = vec![("PasswordRequestsPerSecond".to_owned(), "1".to_owned())];
    let cloud = Cloud::with(Options { parameters, ..Options::default() }).await;
    // Refused by the service before it hashes anything, so that the burst is over in a moment.
    let register = async || {
        let request = reqwest::Client::new().post(format!("{}/api/v1/users/register", cloud.url()));
        let answer = request.header("origin", "http://localhost:4200").json(&json!({})).send().await.unwrap();
        let cors = answer.headers().contains_key("access-control-allow-origin");
        (answer.status().as_u16(), cors, answer.json::<Value>().await.unwrap())
    };
    let mut passed = 0;
    let (status, cors, body) = loop {
        match register().await {
            (400, ..) => passed += 1,
            other => break other,
        }
        assert!(passed < 1000, "there is no throttle");
    };
    assert!(passed >= 50, "the burst of the template: {passed}");
    assert_eq!((status, cors, body), (429, true, json!({ "message": "Too Many Requests" })));
    // Other routes have what is theirs.
    cloud.rest().get("/health").await.expect(200);
    cloud.stop().await;
}

#[tokio::test]
async fn a_flooding_client_is_closed_and_its_neighbours_notice_nothing() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    // Far beyond the limit; less far on DynamoDB Local, which a flood of writes keeps from answering anybody.
    let frames = if cloud.has_shared_database() { 150 } else { 400 };
    for frame in [r#"42/users,["x"]"#, "3", "40/nope,", "bAAAA", "6"] {
        let mut neighbour = Socket::connected(&cloud, Edge::Gateway, None).await;
        let mut flooder = Socket::connected(&cloud, Edge::Gateway, None).await;
        let flood = async {
            for _ in 0..frames {
                flooder.send(frame).await;
            }
            flooder.close_code().await
        };
        let events = async {
            for _ in 0..3 {
                let user = rest.register().await;
                assert_eq!(neighbour.event().await, ("users.created".into(), user), "{frame}");
            }
        };
        let (code, ()) = tokio::join!(flood, events);
        assert!([1000, 1005, 1006].contains(&code), "{frame}: {code}");
        let user = rest.register().await;
        assert_eq!(neighbour.event().await, ("users.created".into(), user), "{frame}");
        until(async || cloud.connection_ids().await.len() == 1).await;
        drop(neighbour);
        until(async || cloud.connection_ids().await.is_empty()).await;
    }
    cloud.stop().await;
}

#[tokio::test]
async fn a_lively_client_is_no_flood() {
    let cloud = Cloud::start().await;
    let mut socket = Socket::connected(&cloud, Edge::Gateway, None).await;
    let mut pace = tokio::time::interval(Duration::from_millis(5));
    for _ in 0..80 {
        pace.tick().await;
        socket.send(r#"42/users,["x"]"#).await;
    }
    socket.send("40/nope,").await;
    assert_eq!(socket.frame().await.as_deref(), Some(r#"44/nope,{"message":"Invalid namespace"}"#));
    cloud.stop().await;
}
