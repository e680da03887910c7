//! One reading for all event sources of a shard, against a stand-in for the Streams API that counts what it is asked.

use axum::{Json, Router, extract::State, http::HeaderMap, routing::post};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use super::*;
use crate::{
    dynamodb::{Access, Database},
    event_source::{record::RecordSource, sequence_number::SequenceNumber},
};

/// A Streams API with one shard of numbered changes, which counts how often it is read.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Shard>>);

#[derive(Default)]
struct Shard {
    changes: usize,
    reads: usize,
    is_closed: bool,
}

/// The fake, served, and the stream over it.
struct Bench {
    fake: Fake,
    written: watch::Sender<u64>,
    stream: Arc<Stream>,
    _database: Database,
    server: JoinHandle<()>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(fake): State<Fake>, headers: HeaderMap, body: String) -> Json<Value> {
    let request: Value = serde_json::from_str(&body).unwrap();
    let mut shard = fake.0.lock().unwrap();
    let target = headers["x-amz-target"].to_str().unwrap();
    if target.ends_with("GetShardIterator") {
        let from = match request["ShardIteratorType"].as_str().unwrap() {
            "LATEST" => shard.changes,
            "TRIM_HORIZON" => 0,
            _ => request["SequenceNumber"].as_str().unwrap().parse().unwrap(),
        };
        return Json(json!({ "ShardIterator": from.to_string() }));
    }
    shard.reads += 1;
    let from: usize = request["ShardIterator"].as_str().unwrap().parse().unwrap();
    let change = |number: usize| json!({ "eventName": "REMOVE", "dynamodb": { "Keys": { "pk": { "S": "a" } }, "SequenceNumber": number.to_string() } });
    let records: Vec<_> = (from + 1..=shard.changes).map(change).collect();
    let next = (!shard.is_closed).then(|| shard.changes.to_string());
    Json(json!({ "Records": records, "NextShardIterator": next }))
}

impl Bench {
    async fn new() -> Self {
        let fake = Fake::default();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/", post(answer)).with_state(fake.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let database = Database::remote(&endpoint, &Access::local("eu-central-1"));
        let written = watch::Sender::default();
        let source = RecordSource::new("eu-central-1", "arn:aws:dynamodb:local:000000000000:table/t/stream/1", "pk");
        let wake = Wake::Written(written.subscribe());
        let stream = Arc::new(Stream::new(database.streams().clone(), "arn".to_owned(), source, wake));
        Self { fake, written, stream, _database: database, server }
    }

    fn write(&self, changes: usize) {
        self.fake.0.lock().unwrap().changes += changes;
        self.written.send_modify(|count| *count += 1);
    }

    fn reads(&self) -> usize {
        self.fake.0.lock().unwrap().reads
    }

    async fn cursor(&self, start: Start) -> Cursor {
        self.stream.cursor("shard", start).await.unwrap()
    }
}

fn after(number: usize) -> Start {
    Start::After(SequenceNumber::new(&number.to_string()))
}

fn numbers(part: &Part) -> Vec<usize> {
    part.changes().iter().map(|change| number(change).as_str().parse().unwrap()).collect()
}

fn is_same(one: &Part, other: &Part) -> bool {
    Arc::ptr_eq(&one.page, &other.page)
}

#[tokio::test]
async fn a_page_is_read_and_converted_once_for_all_who_read_the_shard() {
    let bench = Bench::new().await;
    bench.write(3);
    let (mut one, mut other) = (bench.cursor(Start::TrimHorizon).await, bench.cursor(Start::TrimHorizon).await);
    let (first, second) = tokio::join!(one.next(), other.next());
    assert_eq!(numbers(&first), [1, 2, 3]);
    assert!(is_same(&first, &second));
    assert_eq!(bench.reads(), 1);
}

#[tokio::test]
async fn nobody_reads_what_was_not_written() {
    let bench = Bench::new().await;
    bench.write(1);
    let (mut one, mut other) = (bench.cursor(Start::TrimHorizon).await, bench.cursor(Start::TrimHorizon).await);
    tokio::join!(one.next(), other.next());
    let waiting = [
        tokio::spawn(async move { numbers(&one.next().await) }),
        tokio::spawn(async move { numbers(&other.next().await) }),
    ];
    tokio::task::yield_now().await;
    bench.write(1);
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap(), [2]);
    }
    assert_eq!(bench.reads(), 2, "one for each write");
}

#[tokio::test]
async fn one_that_starts_later_in_the_shard_gets_what_comes_after_that_of_the_same_page() {
    let bench = Bench::new().await;
    bench.write(5);
    let (mut one, mut other) = (bench.cursor(after(1)).await, bench.cursor(after(3)).await);
    let (first, second) = tokio::join!(one.next(), other.next());
    assert_eq!((numbers(&first), numbers(&second)), (vec![2, 3, 4, 5], vec![4, 5]));
    assert!(is_same(&first, &second));
    assert_eq!(bench.reads(), 1);
}

#[tokio::test]
async fn one_that_starts_earlier_reads_for_itself_until_it_has_caught_up() {
    let bench = Bench::new().await;
    bench.write(5);
    let (mut one, mut behind) = (bench.cursor(after(3)).await, bench.cursor(Start::TrimHorizon).await);
    assert_eq!(numbers(&one.next().await), [4, 5]);
    assert_eq!(numbers(&behind.next().await), [1, 2, 3, 4, 5]);
    bench.write(2);
    let (first, second) = tokio::join!(one.next(), behind.next());
    assert_eq!(numbers(&second), [6, 7]);
    assert!(is_same(&first, &second));
}

#[tokio::test]
async fn one_that_is_stuck_holds_up_nobody_and_misses_nothing() {
    let bench = Bench::new().await;
    let (mut one, mut stuck) = (bench.cursor(Start::TrimHorizon).await, bench.cursor(Start::TrimHorizon).await);
    for expected in 1..=50 {
        bench.write(1);
        assert_eq!(numbers(&one.next().await), [expected]);
    }
    let mut heard = Vec::new();
    while heard.len() < 50 {
        heard.extend(numbers(&stuck.next().await));
    }
    assert_eq!(heard, (1..=50).collect::<Vec<_>>());
    bench.write(1);
    let (first, second) = tokio::join!(one.next(), stuck.next());
    assert_eq!(numbers(&second), [51]);
    assert!(is_same(&first, &second), "it reads with the others again");
}

#[tokio::test]
async fn latest_means_now_for_each_and_is_shared_from_the_first_change_on() {
    let bench = Bench::new().await;
    bench.write(2);
    let (mut one, mut other) = (bench.cursor(Start::Latest).await, bench.cursor(Start::Latest).await);
    bench.write(1);
    let (first, second) = tokio::join!(one.next(), other.next());
    assert_eq!(numbers(&first), [3]);
    assert!(is_same(&first, &second));
    let mut late = bench.cursor(Start::Latest).await;
    bench.write(1);
    assert_eq!(numbers(&late.next().await), [4]);
    assert_eq!((numbers(&one.next().await), numbers(&other.next().await)), (vec![4], vec![4]));
    bench.write(1);
    let (first, second) = tokio::join!(one.next(), late.next());
    assert_eq!(numbers(&second), [5]);
    assert!(is_same(&first, &second));
}

#[tokio::test]
async fn everybody_hears_of_the_end_of_a_closed_shard() {
    let bench = Bench::new().await;
    bench.write(2);
    bench.fake.0.lock().unwrap().is_closed = true;
    let (mut one, mut other) = (bench.cursor(Start::TrimHorizon).await, bench.cursor(Start::TrimHorizon).await);
    let (first, second) = tokio::join!(one.next(), other.next());
    assert!(first.is_last() && second.is_last());
    assert_eq!(numbers(&second), [1, 2]);
    // One that had all of it already hears of it as well.
    assert!(bench.cursor(after(2)).await.next().await.is_last());
}

#[tokio::test]
async fn a_reader_that_goes_away_in_the_middle_leaves_the_shard_to_the_others() {
    let bench = Bench::new().await;
    let (mut gone, mut other) = (bench.cursor(Start::TrimHorizon).await, bench.cursor(Start::TrimHorizon).await);
    let reading = tokio::spawn(async move { numbers(&gone.next().await) });
    tokio::task::yield_now().await;
    let waiting = tokio::spawn(async move { numbers(&other.next().await) });
    tokio::task::yield_now().await;
    reading.abort();
    assert!(reading.await.unwrap_err().is_cancelled());
    bench.write(1);
    assert_eq!(waiting.await.unwrap(), [1]);
}
