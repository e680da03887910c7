//! Verification of e-mail addresses and phone numbers: codes that arrive, what they do, and what they withstand.

use futures::future::join_all;
use local_dev::{Fault, Often};
use serde_json::{Value, json};
use tests::{
    Cloud, Rest, Socket, on_every_edge, until,
    user::{path, path_to},
};

const TEN_MINUTES: i64 = 10 * 60;

async fn account(cloud: &Cloud) -> (Value, Rest) {
    let user = cloud.rest().register().await;
    let rest = cloud.rest().login(&user).await;
    (user, rest)
}

async fn send(rest: &Rest, user: &Value, channel: &str) {
    let answer = rest.post(&path_to(user, &format!("/{channel}/verify/send")), json!({})).await.expect(200);
    assert_eq!(answer, json!({"ok": true, "sent": true, "expiresIn": 600}));
}

async fn confirm(rest: &Rest, user: &Value, channel: &str, code: &str) -> tests::Answer {
    rest.post(&path_to(user, &format!("/{channel}/verify/confirm")), json!({ "code": code })).await
}

/// The newest message, once there are so many.
async fn message(cloud: &Cloud, count: usize) -> Value {
    until(async || cloud.messages().await.len() >= count).await;
    let messages = cloud.messages().await;
    assert_eq!(messages.len(), count, "{messages:?}");
    messages.last().unwrap().clone()
}

/// Every message begins with its code.
fn code(message: &Value) -> String {
    message["text"].as_str().unwrap().split(' ').next().unwrap().to_owned()
}

/// Another code of the same form.
fn wrong(code: &str) -> String {
    code.replace(&code[..1], if code.starts_with('2') { "3" } else { "2" })
}

#[tokio::test]
async fn an_email_code_verifies_the_address_and_the_feed_hears_it() {
    on_every_edge(async |cloud, edge| {
        let (user, rest) = account(cloud).await;
        let mut feed = Socket::connected(cloud, edge, None).await;
        send(&rest, &user, "email").await;
        let message = message(cloud, 1).await;
        assert_eq!((&message["channel"], &message["to"]), (&json!("email"), &user["email"]), "{edge:?}");
        assert!(message["subject"].is_string() && message["from"].as_str().unwrap().contains('@'));
        let code = code(&message);
        let unmistakable = |b: u8| (b.is_ascii_uppercase() || b.is_ascii_digit()) && !b"01IO".contains(&b);
        assert!(code.len() == 6 && code.bytes().all(unmistakable), "{code}");

        let verified = json!({ "emailVerified": true });
        let mut expected = user.clone();
        expected["emailVerified"] = verified["emailVerified"].clone();
        let answer = confirm(&rest, &user, "email", &code.to_lowercase()).await.expect(200);
        assert_eq!(answer, json!({ "ok": true, "user": expected }), "{edge:?}");
        assert_eq!(feed.event().await, ("users.updated".into(), expected.clone()), "{edge:?}");
        assert_eq!(rest.get("/auth/me").await.expect(200)["user"], expected);

        // Whatever comes now finds it done.
        confirm(&rest, &user, "email", "x").await.expect(200);
        let again = rest.post(&path_to(&user, "/email/verify/send"), json!({})).await.expect(200);
        assert_eq!(again, json!({"ok": true, "sent": false, "expiresIn": 0}));
        assert!(cloud.user_items("CODE#").await.is_empty());
        cloud.admin().await.delete(&path(&user)).await.expect(200);
        assert_eq!(feed.event().await.0, "users.deleted", "{edge:?}: nothing was heard of codes");
        assert_eq!(cloud.running().dead_letters(), Vec::<Value>::new());
    })
    .await;
}

#[tokio::test]
async fn a_phone_code_is_six_digits_by_sms() {
    let cloud = Cloud::start().await;
    let (user, rest) = account(&cloud).await;
    send(&rest, &user, "phone").await;
    let message = message(&cloud, 1).await;
    assert_eq!((&message["channel"], &message["to"]), (&json!("sms"), &user["phone"]));
    let code = code(&message);
    assert!(code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit()), "{code}");
    confirm(&rest, &user, "email", &code).await.is_refused_for("code");
    let answer = confirm(&rest, &user, "phone", &code).await.expect(200);
    assert_eq!((&answer["user"]["phoneVerified"], &answer["user"]["emailVerified"]), (&json!(true), &json!(false)));
    cloud.stop().await;
}

#[tokio::test]
async fn five_wrong_guesses_are_the_end_of_a_code_also_at_the_same_moment() {
    let cloud = Cloud::start().await;
    let (user, rest) = account(&cloud).await;
    send(&rest, &user, "phone").await;
    let first = code(&message(&cloud, 1).await);
    let guesses = join_all((0..5).map(|_| confirm(&rest, &user, "phone", "no"))).await;
    for guess in guesses {
        guess.is_refused_for("code");
    }
    confirm(&rest, &user, "phone", &first).await.is_refused_for("code");

    cloud.age_user_items("WINDOW", "expiresAt", 60).await;
    send(&rest, &user, "phone").await;
    let second = code(&message(&cloud, 2).await);
    for _ in 0..4 {
        confirm(&rest, &user, "phone", &wrong(&second)).await.is_refused_for("code");
    }
    confirm(&rest, &user, "phone", &second).await.expect(200);
    cloud.stop().await;
}

#[tokio::test]
async fn a_code_expires_after_ten_minutes_though_its_row_is_still_there() {
    let cloud = Cloud::start().await;
    let (user, rest) = account(&cloud).await;
    confirm(&rest, &user, "email", "ABCDEF").await.is_refused_for("code");
    send(&rest, &user, "email").await;
    let code = code(&message(&cloud, 1).await);
    cloud.age_user_items("CODE#", "expiresAt", TEN_MINUTES).await;
    confirm(&rest, &user, "email", &code).await.is_refused_for("code");
    assert_eq!(cloud.user_items("CODE#").await.len(), 1);
    assert_eq!(rest.get("/auth/me").await.expect(200)["user"], user);
    cloud.stop().await;
}

#[tokio::test]
async fn codes_go_out_once_a_minute_and_the_newest_counts() {
    let cloud = Cloud::start().await;
    let (user, rest) = account(&cloud).await;
    let route = path_to(&user, "/email/verify/send");
    let answers = join_all((0..5).map(|_| rest.post(&route, json!({})))).await;
    let (sent, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(sent.len(), 1);
    for answer in refused {
        let retry_after: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&retry_after), "{retry_after}");
        answer.is_refused(429, "TOO_MANY_ATTEMPTS");
    }
    let first = code(&message(&cloud, 1).await);
    send(&rest, &user, "phone").await;
    message(&cloud, 2).await;
    cloud.age_user_items("WINDOW", "expiresAt", 60).await;
    send(&rest, &user, "email").await;
    let second = code(&message(&cloud, 3).await);
    confirm(&rest, &user, "email", &first).await.is_refused_for("code");
    confirm(&rest, &user, "email", &second).await.expect(200);
    cloud.stop().await;
}

#[tokio::test]
async fn a_number_gets_ten_codes_a_day_one_a_minute_however_many_accounts_have_it() {
    let cloud = Cloud::start().await;
    let mut accounts = Vec::new();
    for _ in 0..2 {
        let mut form = Rest::registration();
        form["phone"] = json!("+989129990002");
        let user = cloud.rest().post("/users/register", form).await.expect(201)["user"].clone();
        accounts.push((cloud.rest().login(&user).await, user));
    }
    let limited = async |account: &(Rest, Value), most: u64| {
        let answer = account.0.post(&path_to(&account.1, "/phone/verify/send"), json!({})).await;
        let retry_after: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((most / 2..=most).contains(&retry_after), "{retry_after}");
        answer.is_refused(429, "TOO_MANY_ATTEMPTS");
    };
    for n in 0..10 {
        let (rest, user) = &accounts[n % 2];
        send(rest, user, "phone").await;
        limited(&accounts[(n + 1) % 2], 60).await;
        cloud.age_user_items("WINDOW", "expiresAt", 60).await;
    }
    for account in &accounts {
        limited(account, 24 * 60 * 60).await;
        cloud.age_user_items("WINDOW", "expiresAt", 60).await;
    }
    send(&accounts[0].0, &accounts[0].1, "email").await;
    message(&cloud, 11).await;
    cloud.age_user_items("WINDOW", "expiresAt", 24 * 60 * 60).await;
    send(&accounts[1].0, &accounts[1].1, "phone").await;
    cloud.stop().await;
}

#[tokio::test]
async fn the_user_and_administrators_verify_and_nobody_else() {
    let cloud = Cloud::start().await;
    let (user, rest) = account(&cloud).await;
    let (_, other) = account(&cloud).await;
    let admin = cloud.admin().await;
    for route in ["/email/verify/send", "/email/verify/confirm", "/phone/verify/send", "/phone/verify/confirm"] {
        let body = json!({ "code": "ABCDEF" });
        other.post(&path_to(&user, route), body.clone()).await.is_refused(403, "FORBIDDEN");
        cloud.rest().post(&path_to(&user, route), body.clone()).await.is_refused(401, "UNAUTHENTICATED");
        let nobody = json!({ "id": "8f14e45f-ceea-4672-a8f5-2d9f4bd0a3c1" });
        admin.post(&path_to(&nobody, route), body).await.is_refused(404, "NOT_FOUND");
    }
    send(&admin, &user, "email").await;
    let code = code(&message(&cloud, 1).await);
    for body in [json!({}), json!({ "code": 5 })] {
        admin.post(&path_to(&user, "/email/verify/confirm"), body).await.is_refused_for("code");
    }
    confirm(&admin, &user, "email", &code).await.expect(200);
    assert_eq!(rest.get("/auth/me").await.expect(200)["user"]["emailVerified"], true);
    cloud.stop().await;
}

#[tokio::test]
async fn the_table_gives_away_neither_code_nor_address() {
    let cloud = Cloud::start().await;
    let (user, rest) = account(&cloud).await;
    for channel in ["email", "phone"] {
        send(&rest, &user, channel).await;
    }
    message(&cloud, 2).await;
    let rows = format!("{:?}", cloud.user_items("CODE#").await);
    for message in cloud.messages().await {
        assert!(!rows.contains(&format!("{:?}", code(&message))), "{rows}");
        assert!(!rows.contains(message["to"].as_str().unwrap()), "{rows}");
    }
    cloud.admin().await.delete(&path(&user)).await.expect(200);
    assert!(cloud.user_items("CODE#").await.is_empty());
    cloud.stop().await;
}

#[tokio::test]
async fn a_failing_delivery_is_repeated_and_what_was_sent_is_not() {
    let cloud = Cloud::start().await;
    let every = Often::Percent(100);
    cloud.running().faults().set([Fault::Fail("notify".into(), Often::Next(2)), Fault::Duplicate(every)]);
    let accounts = join_all((0..6).map(|_| account(&cloud))).await;
    join_all(accounts.iter().map(|(user, rest)| send(rest, user, "email"))).await;
    message(&cloud, 6).await;
    let mut receivers: Vec<_> = cloud.messages().await.iter().map(|m| m["to"].to_string()).collect();
    receivers.sort();
    receivers.dedup();
    assert_eq!(receivers.len(), 6);
    assert_eq!(cloud.running().dead_letters(), Vec::<Value>::new());
    cloud.stop().await;
}

#[tokio::test]
async fn a_record_that_is_no_code_of_ours_is_parked_and_holds_up_nobody() {
    let cloud = Cloud::start().await;
    let (user, rest) = account(&cloud).await;
    let poison = json!({"pk": "USER#x", "sk": "CODE#email", "sealed": "x", "expiresAt": i64::from(u32::MAX)});
    cloud.put_user_item(&poison).await;
    send(&rest, &user, "email").await;
    send(&rest, &user, "phone").await;
    message(&cloud, 2).await;
    until(async || cloud.running().dead_letters().len() == 1).await;
    message(&cloud, 2).await;
    cloud.stop().await;
}

#[tokio::test]
async fn what_can_never_be_delivered_is_parked_without_the_code() {
    let cloud = Cloud::start().await;
    let (user, rest) = account(&cloud).await;
    // The template allows three retries.
    cloud.running().faults().set([Fault::Fail("notify".into(), Often::Next(4))]);
    send(&rest, &user, "email").await;
    until(async || cloud.running().dead_letters().len() == 1).await;
    let letter = cloud.running().dead_letters().remove(0);
    assert_eq!(letter["requestContext"]["condition"], "RetryAttemptsExhausted");
    assert!(!letter.to_string().contains("sealed"), "no item data");
    assert!(cloud.messages().await.is_empty());
    send(&rest, &user, "phone").await;
    message(&cloud, 1).await;
    cloud.stop().await;
}

#[tokio::test]
async fn what_the_message_services_do_not_know_is_refused_in_their_own_words() {
    let cloud = Cloud::start().await;
    let client = reqwest::Client::new();
    let form = |form: &'static str| {
        let request = client.post(cloud.url()).header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(form).send();
        async move {
            let answer = answer.await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        }
    };
    for (body, code) in [
        ("Action=CreateTopic&Name=x", "<Code>InvalidAction</Code>"),
        ("Action=Publish&TopicArn=x&Message=x", "<Code>InvalidParameter</Code>"),
        ("Action=Publish&PhoneNumber=123&Message=x", "<Code>InvalidParameter</Code>"),
        ("Action=Publish&PhoneNumber=%2B491701234567", "<Code>InvalidParameter</Code>"),
    ] {
        let (status, answer) = form(body).await;
        assert!(status == 400 && answer.contains(code), "{status} {answer}");
    }
    let nobody = json!({
        "FromEmailAddress": "a@example.com", "Destination": {},
        "Content": {"Simple": {"Subject": {"Data": "x"}, "Body": {"Text": {"Data": "x"}}}},
    });
    let email = client.post(format!("{}/v2/email/outbound-emails", cloud.url())).json(&nobody).send().await.unwrap();
    assert_eq!(
        (email.status().as_u16(), &email.headers()["x-amzn-errortype"]),
        (400, &"BadRequestException".parse().unwrap())
    );
    assert!(cloud.messages().await.is_empty());
    cloud.stop().await;
}
