//! The heartbeat against a DynamoDB and a gateway that note what they are asked.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex as Lock,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::Method,
};
use serde_json::json;
use shared::heartbeat::{PARTS, slot_at, slot_of};
use tokio::net::TcpListener;

use super::*;

/// A minute in which it is the turn of slot 4.
const MINUTE: i64 = 28_985_428;
const NOW: i64 = MINUTE * 60 + 7;

/// What is there, and what was asked.
#[derive(Default)]
struct Aws {
    /// The connections of slot 4, by partition.
    connections: BTreeMap<String, Vec<String>>,
    /// The items of the heartbeat's tasks.
    tasks: Vec<Value>,
    /// Whether there is somebody else at every task.
    is_busy: bool,
    queries: Lock<Vec<Value>>,
    pinged: Lock<Vec<String>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Aws {
    fn dynamodb(&self, operation: &str, request: &Value) -> (u16, Value) {
        match operation {
            "DynamoDB_20120810.Query" => (200, self.query(request)),
            // Who sets no condition is not refused.
            "DynamoDB_20120810.UpdateItem" if self.is_busy && !request["ConditionExpression"].is_null() => {
                (400, json!({ "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException" }))
            }
            "DynamoDB_20120810.UpdateItem" => (200, json!({})),
            other => panic!("{other} is not needed: {request}"),
        }
    }

    fn query(&self, request: &Value) -> Value {
        self.queries.lock().unwrap().push(request.clone());
        let partition = partition_of(request);
        if partition == "HEARTBEAT" {
            return json!({ "Items": self.tasks });
        }
        let all = self.connections.get(&partition).cloned().unwrap_or_default();
        let after = request["ExclusiveStartKey"]["sk"]["S"].as_str().unwrap_or_default();
        let limit = usize::try_from(request["Limit"].as_u64().expect("a page has a limit")).unwrap();
        let rest: Vec<_> = all.iter().filter(|id| format!("CONNECTION#{id}").as_str() > after).collect();
        let item = |id: &&String| {
            json!({
                "pk": { "S": partition }, "sk": { "S": format!("CONNECTION#{id}") }, "connectionId": { "S": id },
                "connectedAt": { "N": ((NOW - 1000) * 1000).to_string() },
                "lastSeen": { "N": ((NOW - 400) * 1000).to_string() },
                "joined": { "BOOL": true }, "namespaces": { "M": {} }, "expiresAt": { "N": "9999999999" },
            })
        };
        let page: Vec<_> = rest.iter().take(limit).map(item).collect();
        let mut answer = json!({ "Items": page });
        if rest.len() > limit {
            answer["LastEvaluatedKey"] = json!({ "pk": page[limit - 1]["pk"], "sk": page[limit - 1]["sk"] });
        }
        answer
    }

    async fn post(&self, path: &str) {
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        // Others get the chance to come before this one is done.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        self.pinged.lock().unwrap().push(path.rsplit('/').next().unwrap().replace("%3D", "="));
    }

    /// The partitions that were read.
    fn partitions(&self) -> BTreeSet<String> {
        self.queries.lock().unwrap().iter().map(partition_of).collect()
    }
}

fn partition_of(query: &Value) -> String {
    assert_eq!(query["IndexName"], Value::Null);
    let values = query["ExpressionAttributeValues"].as_object().unwrap();
    let names = [":partition", ":minute", ":tasks"];
    names.iter().find_map(|name| values.get(*name)).unwrap()["S"].as_str().unwrap().to_owned()
}

async fn serve(State(aws): State<Arc<Aws>>, request: Request) -> (axum::http::StatusCode, String) {
    let (parts, body) = request.into_parts();
    let body: Bytes = to_bytes(body, usize::MAX).await.unwrap();
    let (status, answer) = match parts.headers.get("x-amz-target") {
        Some(operation) => aws.dynamodb(operation.to_str().unwrap(), &serde_json::from_slice(&body).unwrap()),
        None => {
            assert_eq!((parts.method, &*body), (Method::POST, b"2".as_slice()));
            aws.post(parts.uri.path()).await;
            (200, json!({}))
        }
    };
    (axum::http::StatusCode::from_u16(status).unwrap(), answer.to_string())
}

/// Has the heartbeat do one minute's work.
async fn beat(aws: Aws) -> Arc<Aws> {
    let aws = Arc::new(aws);
    let router = Router::new().fallback(serve).with_state(Arc::clone(&aws));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let env = [
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
        ("AWS_ENDPOINT_URL", &endpoint),
        ("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", &endpoint),
        ("CONNECTIONS_TABLE", "connections"),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
    let time = Timestamp::from_second(NOW).unwrap().to_string();
    let event = json!({ "source": "aws.events", "detail-type": "Scheduled Event", "time": time, "detail": {} });
    let event = LambdaEvent::new(serde_json::from_value(event).unwrap(), lambda_runtime::Context::default());
    Heartbeat::from_env(&env).unwrap().handle(event).await.unwrap();
    aws
}

fn parts_of(partition: &str) -> impl Iterator<Item = String> {
    (0..PARTS).map(move |part| format!("{partition}#{part}"))
}

/// A task that is known to have come so far.
fn task(name: &str, progress: &Value) -> Value {
    json!({ "pk": { "S": "HEARTBEAT" }, "sk": { "S": name }, "revision": { "N": "7" }, "progress": { "M": progress } })
}

#[tokio::test]
async fn a_minute_reads_its_slot_the_one_of_two_minutes_ago_and_what_is_due_and_nothing_else() {
    let pinged =
        json!({ "M": { "started": { "N": (NOW - 120).to_string() }, "ended": { "N": (NOW - 118).to_string() } } });
    let progress = json!({
        "minute": { "N": (MINUTE - 2).to_string() }, "pinged": pinged, "checked": { "BOOL": false }, "connections": { "N": "9" },
    });
    let former = json!({ "minute": { "N": (MINUTE - 1).to_string() }, "checked": { "BOOL": false }, "connections": { "N": "9" } });
    let swept = json!({ "swept": { "N": (NOW - 60).to_string() } });
    let tasks = vec![task("SLOT#2", &progress), task("SLOT#3", &former), task("DUE", &swept)];
    let aws = beat(Aws { tasks, ..Aws::default() }).await;
    let due =
        [MINUTE - 1, MINUTE].into_iter().flat_map(|minute| parts_of(&format!("DUE#{minute}")).collect::<Vec<_>>());
    let slots = parts_of("SLOT#4").chain(parts_of("SLOT#2"));
    let expected: BTreeSet<_> = slots.chain(due).chain(["HEARTBEAT".to_owned()]).collect();
    assert_eq!(aws.partitions(), expected);
    // Of those that were pinged only the silent ones are sent.
    let queries = aws.queries.lock().unwrap();
    let checks = queries.iter().filter(|query| partition_of(query).starts_with("SLOT#2"));
    assert!(checks.clone().all(|query| query["FilterExpression"].as_str().unwrap().contains("lastSeen < :since")));
    assert_eq!(checks.count(), usize::from(PARTS));
}

#[tokio::test]
async fn a_slot_of_any_size_is_read_page_by_page_and_pinged_by_a_fixed_number_of_workers() {
    const CONNECTIONS: usize = 3000;
    assert_eq!(slot_at(MINUTE), 4);
    let mut connections = BTreeMap::<String, Vec<String>>::new();
    let mut ids = (0_u64..).map(|number| format!("{number:015}=")).filter(|id| slot_of(id) == 4).take(CONNECTIONS);
    // Nine tenths of them in one part, so that it has several pages.
    for (number, id) in ids.by_ref().enumerate() {
        let part = if number % 10 == 0 { 5 } else { 2 };
        connections.entry(format!("SLOT#4#{part}")).or_default().push(id);
    }
    let all: Vec<_> = connections.values().flatten().cloned().collect();
    let aws = beat(Aws { connections, ..Aws::default() }).await;
    let mut pinged = aws.pinged.lock().unwrap().clone();
    assert_eq!(pinged.len(), CONNECTIONS, "each once");
    pinged.sort();
    assert_eq!(pinged, BTreeSet::from_iter(all).into_iter().collect::<Vec<_>>());
    assert!(aws.most_at_once.load(Ordering::SeqCst) <= CONCURRENCY);
    let pages = aws.queries.lock().unwrap().iter().filter(|query| partition_of(query) == "SLOT#4#2").count();
    assert_eq!(pages, 6, "2,700 connections, 500 at a time");
}

#[tokio::test]
async fn what_somebody_else_is_at_is_left_alone() {
    let connections = BTreeMap::from([("SLOT#4#5".to_owned(), vec!["000000000000000=".to_owned()])]);
    let aws = beat(Aws { connections, is_busy: true, ..Aws::default() }).await;
    assert_eq!(aws.partitions(), BTreeSet::from(["HEARTBEAT".to_owned()]));
    assert_eq!(aws.pinged.lock().unwrap().len(), 0);
}
