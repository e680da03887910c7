//! What is told in which order, against a database whose log grows while it is read.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::{
    config::Environment,
    recovery::{Pid, Pids},
};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::tests::{TOKEN_SECRET, gateway, hand_over, hand_over_all, slow_gateway};

fn user(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// A database, at a moment: how often its log was read, and what will be in it.
struct Database {
    /// Whether the socket is in its room.
    joined: bool,
    read: usize,
    /// The users of each entry. Each time the log is read it has one entry more, the first time the first.
    entries: Vec<Vec<u128>>,
    /// Users who are not there any more.
    gone: &'static [u128],
    /// Epoch milliseconds of the first entry.
    since: i64,
    /// Since when the log is complete, epoch milliseconds.
    complete_since: Option<i64>,
    /// Into how many pages the log is divided.
    pages: usize,
}

/// The row of a log that says since when it is complete.
fn beginning(at: i64) -> Value {
    json!({ "pk": { "S": "LOG#/users#feed" }, "sk": { "S": "~" }, "completeSince": { "N": at.to_string() } })
}

impl Database {
    fn answer(&mut self, operation: &str, request: &Value) -> Value {
        match operation {
            "TransactWriteItems" => {
                self.joined = true;
                json!({})
            }
            "Query" => {
                assert!(self.joined, "what is committed between reading and joining would be missed");
                assert_eq!(request["ConsistentRead"], true, "{request}");
                let page = request["ExclusiveStartKey"]["sk"]["S"].as_str().map_or(0, |page| page.parse().unwrap());
                self.read += usize::from(page == 0);
                let entries = self.entries.iter().take(self.read).enumerate();
                let mut items: Vec<_> = entries.map(|(n, users)| self.entry(n, users)).collect();
                items.extend(self.complete_since.map(beginning));
                let size = items.len().div_ceil(self.pages);
                let items: Vec<_> = items.into_iter().skip(page * size).take(size).collect();
                let next = json!({ "pk": { "S": "LOG#" }, "sk": { "S": (page + 1).to_string() } });
                if page + 1 < self.pages {
                    json!({ "Items": items, "LastEvaluatedKey": next })
                } else {
                    json!({ "Items": items })
                }
            }
            "BatchGetItem" => {
                assert_eq!(request["RequestItems"]["users"]["ConsistentRead"], true, "{request}");
                let keys = request["RequestItems"]["users"]["Keys"].as_array().unwrap().iter();
                let ids = keys.map(|key| key["pk"]["S"].as_str().unwrap().strip_prefix("USER#").unwrap());
                let numbers = ids.map(|id| id.parse::<Uuid>().unwrap().as_u128());
                let users = numbers.filter(|number| !self.gone.contains(number)).map(|number| self.row(number));
                json!({ "Responses": { "users": users.collect::<Vec<_>>() }, "UnprocessedKeys": {} })
            }
            _ => json!({}),
        }
    }

    fn entry(&self, n: usize, users: &[u128]) -> Value {
        let key = format!("{:013}-{n:08x}", self.since + i64::try_from(n).unwrap());
        let event = |number: &u128| json!({ "M": { "user": { "S": user(*number) } } });
        let events: Vec<_> = users.iter().map(event).collect();
        let key = json!({ "S": key });
        json!({ "pk": { "S": "LOG#/users#feed" }, "sk": key, "expiresAt": { "N": "0" }, "events": { "L": events } })
    }

    /// A user as it is now: changed by each entry that is in the log.
    fn row(&self, number: u128) -> Value {
        let changes = self.entries.iter().take(self.read).filter(|users| users.contains(&number)).count();
        let text = |text: &str| json!({ "S": text });
        json!({
            "id": text(&user(number).to_string()), "fullName": text(&format!("State {changes}")), "countryCode": text("IR"),
            "countryName": text("Iran"), "phone": text("+989121234567"), "email": text("sara@example.com"),
            "createdAt": text("2025-02-09T18:23:27.396Z"), "passwordHash": text("$argon2id$"),
        })
    }

    async fn serve(self) -> String {
        let database = Arc::new(Mutex::new(self));
        let answer = async move |headers: HeaderMap, body: String| {
            let operation = headers["x-amz-target"].to_str().unwrap().rsplit('.').next().unwrap();
            let answer = database.lock().unwrap().answer(operation, &serde_json::from_str(&body).unwrap());
            ([(CONTENT_TYPE, "application/x-amz-json-1.0")], answer.to_string())
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        endpoint
    }
}

/// The `pid` of an anonymous socket that was here a minute ago.
fn pid() -> String {
    let env = Environment::from_iter([("TOKEN_SECRET".to_owned(), TOKEN_SECRET.to_owned())]);
    let pid = Pid {
        sid: "the id it had".into(),
        namespace: "/users".into(),
        room: "ROOM#/users#feed".into(),
        subject: None,
        generation: None,
        issued_at: Timestamp::now().as_millisecond() - 60_000,
    };
    Pids::from_env(&env).unwrap().sign(&pid).unwrap()
}

/// What a client hears that was here a minute ago: number of the user and state, or `None` for one who is gone; and
/// whether the answer, which comes last, says that it was recovered.
async fn told(entries: &[&[u128]], gone: &'static [u128]) -> (Vec<(u128, Option<String>)>, bool) {
    told_by(entries, gone, Duration::ZERO).await
}

/// What a client hears as in [`told`], where each post takes so long.
async fn told_by(entries: &[&[u128]], gone: &'static [u128], takes: Duration) -> (Vec<(u128, Option<String>)>, bool) {
    let now = Timestamp::now().as_millisecond();
    let entries = entries.iter().map(|users| users.to_vec()).collect();
    told_from(
        Database {
            joined: false,
            read: 0,
            entries,
            gone,
            since: now - 5_000,
            complete_since: Some(now - 300_000),
            pages: 1,
        },
        takes,
    )
    .await
}

/// What a client hears as in [`told_by`], from this database.
async fn told_from(database: Database, takes: Duration) -> (Vec<(u128, Option<String>)>, bool) {
    let pid = pid();
    let database = database.serve().await;
    let (gateway, asked) = slow_gateway(StatusCode::OK, StatusCode::NO_CONTENT, takes).await;
    hand_over(&database, &gateway, &format!("40/users,{}", json!({ "recovery": true, "pid": pid }))).await;
    let asked = asked.lock().unwrap().clone();
    let (mut events, mut answer) = (Vec::new(), None);
    for frame in asked.iter().map(|call| call.split_once(": ").unwrap().1) {
        assert_eq!(answer, None, "the answer comes last: {asked:?}");
        if let Some(event) = frame.strip_prefix("42/users,") {
            let event: Value = serde_json::from_str(event).unwrap();
            assert!(event[2].is_string(), "an offset: {event}");
            let number = event[1]["id"].as_str().unwrap().parse::<Uuid>().unwrap().as_u128();
            events.push((number, event[1]["fullName"].as_str().map(str::to_owned)));
        } else {
            answer = Some(serde_json::from_str::<Value>(frame.strip_prefix("40/users,").unwrap()).unwrap());
        }
    }
    let answer = answer.unwrap();
    let recovered = answer["pid"] == *pid;
    assert_eq!(recovered, answer["sid"] == "the id it had");
    (events, recovered)
}

fn state(number: u128, state: u32) -> (u128, Option<String>) {
    (number, Some(format!("State {state}")))
}

#[tokio::test]
async fn who_changed_is_told_once_and_who_is_gone_as_gone() {
    let (mut events, recovered) = told(&[&[1, 2, 3, 1]], &[3]).await;
    // The last one comes last; those before it are posted together.
    assert_eq!(events.pop(), Some(state(1, 1)));
    events.sort_unstable();
    assert_eq!((events, recovered), (vec![state(2, 1), (3, None)], true));
}

/// Their event may have come before the older state that was told. Whatever the order, the newest state comes last.
#[tokio::test]
async fn who_changes_while_being_told_of_is_told_of_again_until_it_was_quiet() {
    let again = told(&[&[1, 2], &[2], &[2]], &[]).await;
    assert_eq!(again, (vec![state(1, 1), state(2, 1), state(2, 2), state(2, 3)], true));
    // One who was not told of before, or not in the round before, is heard as an event alone.
    let (events, recovered) = told(&[&[1, 2], &[3, 1], &[2], &[1]], &[]).await;
    assert_eq!((events, recovered), (vec![state(1, 1), state(2, 1), state(1, 2)], true));
}

#[tokio::test]
async fn a_client_that_cannot_be_told_the_newest_state_is_to_load_the_list() {
    let restless: Vec<&[u128]> = vec![&[1]; super::ROUNDS + 5];
    let (events, recovered) = told(&restless, &[]).await;
    assert!(!recovered && events.len() > super::ROUNDS, "{events:?}");
}

/// Otherwise it would be closed in the middle, come back with the same offset and be told of all of them again, for ever.
#[tokio::test]
async fn where_posts_are_slow_the_answer_comes_in_time_and_the_list_is_to_be_loaded() {
    let many: Vec<u128> = (0..500).collect();
    let (events, recovered) = told_by(&[&many], &[], Duration::from_millis(400)).await;
    assert!(!recovered && (16..500).contains(&events.len()), "{} were told", events.len());
    let (events, recovered) = told_by(&[&many], &[], Duration::ZERO).await;
    assert!(recovered && events.len() == 500, "{} were told", events.len());
}

/// A log may be that of another table, or behind changes that were given up.
#[tokio::test]
async fn a_log_that_is_not_complete_since_then_recovers_nobody() {
    let now = Timestamp::now().as_millisecond();
    for (complete_since, expected) in [(None, false), (Some(now - 30_000), false), (Some(now - 90_000), true)] {
        let database = Database {
            joined: false,
            read: 0,
            entries: vec![vec![1]],
            gone: &[],
            since: now - 5_000,
            complete_since,
            pages: 1,
        };
        let (events, recovered) = told_from(database, Duration::ZERO).await;
        assert_eq!((recovered, events.len()), (expected, usize::from(expected)), "{complete_since:?}");
    }
}

/// DynamoDB answers a query megabyte by megabyte.
#[tokio::test]
async fn a_log_of_some_pages_is_read_to_its_end_and_one_of_many_recovers_nobody() {
    let now = Timestamp::now().as_millisecond();
    for (pages, expected) in [(2, true), (4, true), (5, false)] {
        let entries = vec![(0..40).collect(), vec![40], vec![41], vec![42], vec![43]];
        let complete_since = Some(now - 300_000);
        let database =
            Database { joined: false, read: 4, entries, gone: &[], since: now - 5_000, complete_since, pages };
        let (events, recovered) = told_from(database, Duration::ZERO).await;
        assert_eq!((recovered, events.len()), (expected, if expected { 44 } else { 0 }), "{pages}");
    }
}

#[tokio::test]
async fn a_connection_that_recovers_again_and_again_is_closed() {
    let now = Timestamp::now().as_millisecond();
    let complete_since = Some(now - 300_000);
    let entries = vec![(0..500).collect()];
    let database =
        Database { joined: false, read: 0, entries, gone: &[], since: now - 5_000, complete_since, pages: 1 }
            .serve()
            .await;
    let (gateway, asked) = gateway(StatusCode::OK, StatusCode::NO_CONTENT).await;
    let again = format!("40/users,{}", json!({ "recovery": true, "pid": pid() }));
    hand_over_all(&database, &gateway, &[&*again; 40]).await;
    let posts = asked.lock().unwrap().iter().filter(|call| call.starts_with("POST")).count();
    // A window of the count may end in between.
    assert!(posts <= 2 * 4 * 501, "{posts}");
    assert!(asked.lock().unwrap().iter().any(|call| call.starts_with("DELETE")));
}

#[tokio::test]
async fn who_missed_nothing_is_answered_at_once() {
    assert_eq!(told(&[], &[]).await, (vec![], true));
}
