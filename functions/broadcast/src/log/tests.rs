//! What is in a log, what it costs, and what becomes of a batch whose log cannot be written.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use aws_lambda_events::event::dynamodb::Event;
use axum::{
    Router,
    http::{HeaderMap, Method, StatusCode, Uri},
};
use serde_json::{Value, json};
use shared::lambda::Function as _;
use tokio::{net::TcpListener, time::timeout};

use super::*;
use crate::LAST_CALLS;

/// A registration and a ban of the same user.
fn batch() -> Batch {
    let mut event: Value =
        serde_json::from_str(include_str!("../../../../tests/fixtures/events/broadcast.json")).unwrap();
    let mut ban = event["Records"][0].clone();
    ban["eventName"] = json!("MODIFY");
    ban["dynamodb"]["OldImage"] = ban["dynamodb"]["NewImage"].clone();
    ban["dynamodb"]["NewImage"]["isBanned"] = json!({"BOOL": true});
    event["Records"].as_array_mut().unwrap().push(ban);
    let event: Event = serde_json::from_value(event).unwrap();
    Batch { has_waited: false, ..Batch::read(&event.records) }
}

#[test]
fn the_feed_has_a_log_and_a_ban_of_ones_own_is_in_none() {
    let mut batch = batch();
    let [own, feed] = batch.rooms.as_mut_slice() else { panic!("{batch:?}") };
    assert_eq!(events(own).count(), 0);
    let logged: Vec<_> = events(feed).map(|event| event.is_new).collect();
    assert_eq!(logged, [true, false]);
}

#[test]
fn who_asked_for_recovery_is_told_the_offset_as_last_argument_and_others_what_they_were_always_told() {
    let mut batch = batch();
    let before: Vec<_> = batch.rooms[1].steps.iter().map(|step| step.emission.frame.to_string()).collect();
    let entry = LogEntry::new(events(&batch.rooms[1]).collect());
    give_offsets(&mut batch.rooms[1], &entry);
    for (place, (step, before)) in batch.rooms[1].steps.iter().zip(before).enumerate() {
        assert_eq!(**step.frame(false), *before);
        let arguments =
            |frame: &str| -> Vec<Value> { serde_json::from_str(frame.strip_prefix("42/users,").unwrap()).unwrap() };
        let mut expected = arguments(&before);
        expected.push(json!(format!("{}-{}.{place}", entry.at, entry.name)));
        assert_eq!(arguments(step.frame(true)), expected);
    }
    assert_eq!(batch.rooms[0].steps[0].frame(true), batch.rooms[0].steps[0].frame(false), "account.banned");
}

/// What was asked of the database and of the gateway, in order.
type Calls = Arc<Mutex<Vec<String>>>;

/// A database in which each room has one member, and which takes writes or does not; and a gateway.
async fn cloud(writes: StatusCode) -> (Broadcast, Calls) {
    cloud_with(writes, StatusCode::OK, usize::MAX, Duration::ZERO).await
}

/// A database and a gateway like those of [`cloud`], where each write takes so much longer.
async fn slow_cloud(writes: StatusCode, takes: Duration) -> (Broadcast, Calls) {
    cloud_with(writes, StatusCode::OK, usize::MAX, takes).await
}

/// A database like that of [`slow_cloud`] that answers nothing after so many calls, and a gateway with this answer.
async fn cloud_with(writes: StatusCode, gateway: StatusCode, answers: usize, takes: Duration) -> (Broadcast, Calls) {
    let (calls, status_of_gateway) = (Calls::default(), gateway);
    let asked = Arc::new(AtomicUsize::new(0));
    let note = Arc::clone(&calls);
    let database = async move |headers: HeaderMap, body: String| {
        let operation = headers["x-amz-target"].to_str().unwrap().rsplit('.').next().unwrap().to_owned();
        if asked.fetch_add(1, Ordering::SeqCst) >= answers {
            std::future::pending::<()>().await;
        }
        // As long as a call takes on AWS.
        tokio::time::sleep(Duration::from_millis(4)).await;
        if operation == "PutItem" {
            tokio::time::sleep(takes).await;
        }
        let member = if body.contains("user:") { "own=" } else { "feed=" };
        let (status, answer) = match operation.as_str() {
            "Query" => (StatusCode::OK, json!({"Items": [{"pk": {"S": "ROOM#"}, "sk": {"S": member}}]})),
            "PutItem" if writes != StatusCode::OK => (writes, json!({"__type": "ResourceNotFoundException"})),
            _ => (StatusCode::OK, json!({})),
        };
        note.lock().unwrap().push(operation);
        (status, answer.to_string())
    };
    let note = Arc::clone(&calls);
    let gateway = async move |method: Method, uri: Uri| {
        note.lock().unwrap().push(format!("{method} {}", uri.path()));
        status_of_gateway
    };
    let env = [
        ("AWS_REGION", "eu-central-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "a".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "b".to_owned()),
        ("CONNECTIONS_TABLE", "connections".to_owned()),
        ("AWS_ENDPOINT_URL_DYNAMODB", serve(Router::new().fallback(database)).await),
        ("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", serve(Router::new().fallback(gateway)).await),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
    (Broadcast::from_env(&env).unwrap(), calls)
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    endpoint
}

fn soon() -> SystemTime {
    SystemTime::now() + Duration::from_secs(20)
}

#[tokio::test]
async fn a_log_that_cannot_be_written_keeps_its_room_for_the_next_attempt_and_no_ban_waits_for_it() {
    let (broadcast, calls) = cloud(StatusCode::BAD_REQUEST).await;
    let delivered = broadcast.deliver(batch(), soon()).await;
    assert_eq!(delivered.undelivered, Some(0));
    let calls = calls.lock().unwrap().clone();
    let posted: Vec<_> = calls.iter().filter(|call| call.contains("/@connections/")).collect();
    assert!(posted.iter().all(|call| call.ends_with("/@connections/own%3D")), "{calls:?}");
    assert!(posted.iter().any(|call| call.starts_with("DELETE")), "{calls:?}");
}

#[tokio::test]
async fn a_ban_does_not_wait_for_a_log_that_hangs() {
    let (broadcast, calls) = slow_cloud(StatusCode::OK, Duration::from_secs(60)).await;
    // What is left then is to note where the next attempt goes on, which hangs as well.
    let delivered = timeout(Duration::from_secs(4), broadcast.deliver(batch(), soon())).await;
    let calls = calls.lock().unwrap().clone();
    assert!(delivered.is_err() && calls.iter().any(|call| call == "DELETE /@connections/own%3D"), "{calls:?}");
    assert!(!calls.iter().any(|call| call.ends_with("/@connections/feed%3D")), "{calls:?}");
}

/// What waits for so long may have waited behind changes that were given up and that no log has.
#[tokio::test]
async fn a_log_begins_anew_when_changes_have_waited_for_minutes() {
    let (broadcast, calls) = cloud(StatusCode::OK).await;
    let mut puts = Vec::new();
    for has_waited in [false, false, true, true, false] {
        broadcast.deliver(Batch { has_waited, ..batch() }, soon()).await;
        let calls = std::mem::take(&mut *calls.lock().unwrap());
        puts.push(calls.iter().filter(|call| *call == "PutItem").count());
    }
    assert_eq!(puts, [2, 2, 3, 3, 2], "beside the entry, which is written twice");
}

#[test]
fn a_change_has_waited_when_it_is_five_minutes_old() {
    for (minutes, expected) in [(0, false), (4, false), (6, true)] {
        let mut event: Event =
            serde_json::from_str(include_str!("../../../../tests/fixtures/events/broadcast.json")).unwrap();
        let committed_at = SystemTime::now() - Duration::from_secs(minutes * 60);
        event.records[0].change.approximate_creation_date_time = committed_at.into();
        assert_eq!(Batch::read(&event.records).has_waited, expected, "{minutes}");
    }
}

/// Compares one change that is told by the same function in the same minute, with its log and without.
#[tokio::test]
async fn a_change_costs_one_write_before_its_members_are_read_and_one_when_all_were_told() {
    let (broadcast, calls) = cloud(StatusCode::OK).await;
    let registration = |is_logged: bool| {
        let mut batch = batch();
        batch.rooms.remove(0);
        batch.rooms[0].steps.truncate(1);
        if !is_logged {
            batch.rooms[0].steps[0].emission.logged = None;
        }
        batch
    };
    let post = "POST /@connections/feed%3D";
    let mut took = [Vec::new(), Vec::new()];
    for round in 0..40 {
        let is_logged = round % 2 == 1;
        let began = Instant::now();
        let delivered = broadcast.deliver(registration(is_logged), soon()).await;
        took[usize::from(is_logged)].push(began.elapsed());
        assert_eq!(delivered.undelivered, None);
        let calls = std::mem::take(&mut *calls.lock().unwrap());
        let expected: &[&str] = if is_logged { &["PutItem", "Query", post, "PutItem"] } else { &["Query", post] };
        assert_eq!(calls, expected);
    }
    for took in &mut took {
        took.sort_unstable();
    }
    println!(
        "a delivery to one socket took {:?} without its log and {:?} with it, with 4 ms for a call of the database",
        took[0][10], took[1][10]
    );
}

/// Otherwise Lambda would end the function, and everyone would be told everything again.
#[tokio::test]
async fn a_database_that_hangs_does_not_keep_the_function_from_answering_in_its_time() {
    // It answers the log and both rooms. Both members are gone, and what is stored of them cannot be removed.
    let (broadcast, calls) = cloud_with(StatusCode::OK, StatusCode::GONE, 3, Duration::ZERO).await;
    let began = Instant::now();
    let delivered = broadcast.deliver(batch(), SystemTime::now() + Duration::from_millis(300)).await;
    assert!(began.elapsed() < LAST_CALLS, "{:?}", began.elapsed());
    assert_eq!(delivered.undelivered, None, "{:?}", calls.lock().unwrap());
}
