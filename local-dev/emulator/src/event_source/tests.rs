//! Event sources on an embedded database, end to end.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use tokio::sync::mpsc;

use super::*;
use crate::{
    dynamodb::Access,
    template::{OnFailure, StartingPosition, Template},
};

/// A pause between polls that is so long that no poll can explain a delivery.
const NEVER: Duration = Duration::from_secs(3600);

const TEMPLATE: &str = "
Resources:
  T:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{ AttributeName: pk, AttributeType: S }]
      KeySchema: [{ AttributeName: pk, KeyType: HASH }]
      StreamSpecification: { StreamViewType: NEW_AND_OLD_IMAGES }
  F:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: ../functions/f
      Events:
        E:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt T.StreamArn
            StartingPosition: TRIM_HORIZON
            ParallelizationFactor: 10
            FunctionResponseTypes: [ReportBatchItemFailures]
";

/// A table, and a function that takes or refuses what is written to it.
struct Bench {
    database: Database,
    /// The database as if it were not in this process.
    remote: Option<Database>,
    poll_every: Duration,
    table: LiveTable,
    source: EventSource,
}

/// Running event sources, and what the function was given: key and value of every record.
struct Run {
    sources: EventSources,
    delivered: mpsc::UnboundedReceiver<(String, String)>,
    release: watch::Sender<bool>,
    wakeup: Wakeup,
}

/// A function that refuses all records of some keys, and what it was given of the others.
fn collector(refused: &'static [&'static str]) -> (Invoke, mpsc::UnboundedReceiver<(String, String)>) {
    let (log, delivered) = mpsc::unbounded_channel();
    let invoke: Invoke = Arc::new(move |event| {
        let log = log.clone();
        Box::pin(async move {
            for record in event["Records"].as_array().unwrap() {
                let text = |pointer: &str| record.pointer(pointer).unwrap().as_str().unwrap().to_owned();
                let key = text("/dynamodb/Keys/pk/S");
                if refused.contains(&key.as_str()) {
                    let number = text("/dynamodb/SequenceNumber");
                    return Ok(json!({ "batchItemFailures": [{ "itemIdentifier": number }] }));
                }
                let _ = log.send((key, text("/dynamodb/NewImage/value/S")));
            }
            Ok(json!({ "batchItemFailures": [] }))
        })
    });
    (invoke, delivered)
}

impl Bench {
    async fn new() -> Self {
        let template = Template::parse(TEMPLATE).unwrap();
        let database = Database::embedded(None, &Access::local("eu-central-1")).await.unwrap();
        let mut tables = database.create_tables("stack", template.tables()).await.unwrap();
        let source = template.event_sources().next().unwrap().clone();
        Self { database, remote: None, poll_every: NEVER, table: tables.remove("T").unwrap(), source }
    }

    /// The database does not say when something was written.
    fn polled(self, every: Duration) -> Self {
        let remote = Database::remote(self.database.endpoint(), &Access::local("eu-central-1"));
        Self { remote: Some(remote), poll_every: every, ..self }
    }

    fn settings(&self, is_released: bool) -> (Settings<'_>, watch::Sender<bool>) {
        let (release, released) = watch::channel(is_released);
        let settings = Settings {
            database: self.remote.as_ref().unwrap_or(&self.database),
            stack: "stack",
            region: "eu-central-1",
            poll_every: self.poll_every,
            wakeup: Wakeup::default(),
            record_age: None,
            release: released,
        };
        (settings, release)
    }

    async fn write(&self, key: &str, value: &str) {
        let put = self.database.client().put_item().table_name(&self.table.name);
        let put = put.item("pk", AttributeValue::S(key.to_owned()));
        put.item("value", AttributeValue::S(value.to_owned())).send().await.unwrap();
    }

    /// A function that refuses all records of some keys.
    async fn run(&self, refused: &'static [&'static str], is_released: bool) -> Run {
        self.try_run(refused, is_released).await.unwrap()
    }

    async fn try_run(&self, refused: &'static [&'static str], is_released: bool) -> Result<Run, EventSourceError> {
        let (invoke, delivered) = collector(refused);
        let (settings, release) = self.settings(is_released);
        let wakeup = settings.wakeup.clone();
        let wiring = Wiring { source: self.source.clone(), table: self.table.clone(), invoke };
        let sources = EventSources::start(settings, vec![wiring]).await?;
        Ok(Run { sources, delivered, release, wakeup })
    }
}

impl Run {
    async fn next(&mut self) -> (String, String) {
        self.delivered.recv().await.unwrap()
    }

    async fn expect(&mut self, key: &str, value: &str) {
        assert_eq!(self.next().await, (key.to_owned(), value.to_owned()));
    }
}

fn lane_of(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    json!({ "S": key }).to_string().hash(&mut hasher);
    hasher.finish() % 10
}

#[tokio::test]
async fn a_write_to_the_embedded_database_is_delivered_without_a_wakeup_or_a_poll() {
    let bench = Bench::new().await;
    let mut run = bench.run(&[], true).await;
    for value in ["1", "2", "3"] {
        bench.write("a", value).await;
        run.expect("a", value).await;
    }
    run.sources.stop().await;
}

#[tokio::test]
async fn from_any_other_database_a_wakeup_delivers_without_waiting_for_the_next_poll() {
    let bench = Bench::new().await.polled(NEVER);
    let mut run = bench.run(&[], true).await;
    for value in ["1", "2", "3"] {
        bench.write("a", value).await;
        run.wakeup.wake();
        run.expect("a", value).await;
    }
    run.sources.stop().await;
}

#[tokio::test]
async fn from_any_other_database_the_next_poll_delivers_without_a_wakeup() {
    let bench = Bench::new().await.polled(Duration::from_millis(10));
    let mut run = bench.run(&[], true).await;
    for value in ["1", "2", "3"] {
        bench.write("a", value).await;
        run.expect("a", value).await;
    }
}

#[tokio::test]
async fn every_event_source_of_a_table_gets_everything_though_another_one_fails() {
    let bench = Bench::new().await;
    let (refusing, mut refused) = collector(&["a"]);
    let (taking, mut taken) = collector(&[]);
    let mut other = bench.source.clone();
    other.function = "G".to_owned();
    let wirings = [(bench.source.clone(), refusing), (other, taking)].map(|(source, invoke)| Wiring {
        source,
        table: bench.table.clone(),
        invoke,
    });
    let (settings, _release) = bench.settings(true);
    let sources = EventSources::start(settings, wirings.into()).await.unwrap();
    let good = ["b", "c", "d", "e"].into_iter().find(|key| lane_of(key) != lane_of("a")).unwrap();
    for value in ["1", "2", "3"] {
        bench.write("a", value).await;
        bench.write(good, value).await;
        // Of one key in order; what becomes of another key does not matter to it.
        let mut of_both = BTreeSet::from([taken.recv().await.unwrap(), taken.recv().await.unwrap()]);
        assert!(of_both.remove(&("a".to_owned(), value.to_owned())), "{of_both:?}");
        assert!(of_both.remove(&(good.to_owned(), value.to_owned())), "{of_both:?}");
        assert_eq!(refused.recv().await.unwrap(), (good.to_owned(), value.to_owned()));
    }
    sources.stop().await;
}

#[tokio::test]
async fn changes_of_one_key_arrive_in_order() {
    let bench = Bench::new().await;
    let mut run = bench.run(&[], true).await;
    for value in 0..20 {
        for key in ["a", "b", "c"] {
            bench.write(key, &value.to_string()).await;
        }
    }
    let mut last = std::collections::HashMap::<String, u32>::new();
    for _ in 0..60 {
        let (key, value) = run.next().await;
        let next = last.entry(key).or_default();
        assert_eq!(value, next.to_string());
        *next += 1;
    }
}

#[tokio::test]
async fn a_failing_batch_blocks_only_its_lane() {
    let bench = Bench::new().await;
    let good: Vec<_> = ["a", "b", "c", "d", "e"].into_iter().filter(|key| lane_of(key) != lane_of("bad")).collect();
    bench.write("bad", "1").await;
    for key in &good {
        bench.write(key, "1").await;
    }
    let mut run = bench.run(&["bad"], true).await;
    let mut delivered = BTreeSet::new();
    while delivered.len() < good.len() {
        delivered.insert(run.next().await.0);
    }
    assert!(good.iter().all(|key| delivered.contains(*key)));
}

#[tokio::test]
async fn what_was_delivered_does_not_come_again_after_a_clean_stop() {
    let bench = Bench::new().await;
    let mut run = bench.run(&[], true).await;
    bench.write("a", "1").await;
    run.expect("a", "1").await;
    run.sources.stop().await;
    let mut run = bench.run(&[], true).await;
    assert_eq!(run.sources.backlog(), 0);
    bench.write("a", "2").await;
    run.expect("a", "2").await;
}

#[tokio::test]
async fn what_was_not_delivered_comes_again_after_a_crash() {
    let bench = Bench::new().await;
    bench.write("a", "1").await;
    bench.write("bad", "2").await;
    bench.write("a", "3").await;
    let mut run = bench.run(&["bad"], true).await;
    run.expect("a", "1").await;
    drop(run);
    let mut run = bench.run(&[], true).await;
    let mut delivered = BTreeSet::new();
    while !delivered.contains(&("bad".to_owned(), "2".to_owned()))
        || !delivered.contains(&("a".to_owned(), "3".to_owned()))
    {
        delivered.insert(run.next().await);
    }
}

#[tokio::test]
async fn a_failed_record_survives_a_clean_stop() {
    let bench = Bench::new().await;
    let good = ["a", "b", "c", "d"].into_iter().find(|key| lane_of(key) != lane_of("bad")).unwrap();
    bench.write("bad", "1").await;
    bench.write(good, "2").await;
    let mut run = bench.run(&["bad"], true).await;
    run.expect(good, "2").await;
    run.sources.stop().await;
    let mut run = bench.run(&[], true).await;
    assert_eq!(run.sources.backlog(), 2);
    let delivered = BTreeSet::from([run.next().await.0, run.next().await.0]);
    assert!(delivered.contains("bad"));
}

#[tokio::test]
async fn a_backlog_waits_for_its_release() {
    let bench = Bench::new().await;
    let run = bench.run(&[], true).await;
    run.sources.stop().await;
    bench.write("a", "1").await;
    bench.write("a", "2").await;
    let mut run = bench.run(&[], false).await;
    assert_eq!(run.sources.backlog(), 2);
    // New writes queue up behind the old ones.
    bench.write("a", "3").await;
    bench.write("b", "1").await;
    assert!(run.delivered.try_recv().is_err());
    run.release.send(true).unwrap();
    let mut of_a = Vec::new();
    while of_a.len() < 3 {
        let (key, value) = run.next().await;
        if key == "a" {
            of_a.push(value);
        }
    }
    assert_eq!(of_a, ["1", "2", "3"]);
}

#[tokio::test]
async fn a_held_backlog_does_not_hold_up_a_stop() {
    let bench = Bench::new().await;
    bench.run(&[], true).await.sources.stop().await;
    bench.write("a", "1").await;
    let run = bench.run(&[], false).await;
    run.sources.stop().await;
    assert_eq!(bench.run(&[], false).await.sources.backlog(), 1);
}

#[tokio::test]
async fn latest_sees_nothing_of_the_past_and_all_of_the_future() {
    let mut bench = Bench::new().await;
    bench.source.starting_position = StartingPosition::Latest;
    bench.write("a", "past").await;
    let mut run = bench.run(&[], true).await;
    bench.write("a", "future").await;
    run.expect("a", "future").await;
}

#[tokio::test]
async fn writes_without_a_change_and_filtered_records_are_not_delivered() {
    let mut bench = Bench::new().await;
    bench.source.filters =
        vec![json!({ "dynamodb": { "NewImage": { "value": { "S": [{ "anything-but": ["no"] }] } } } })];
    for value in ["1", "1", "no", "2"] {
        bench.write("a", value).await;
    }
    let mut run = bench.run(&[], true).await;
    run.expect("a", "1").await;
    run.expect("a", "2").await;
}

#[tokio::test]
async fn what_is_given_up_is_a_dead_letter_and_the_lane_goes_on() {
    let mut bench = Bench::new().await;
    bench.source.maximum_retry_attempts = Some(0);
    bench.source.parallelization_factor = 1;
    bench.source.bisect_batch_on_function_error = true;
    bench.source.on_failure = Some(OnFailure { destination: "Queue".to_owned(), keeps_records: false });
    for key in ["a", "b", "bad", "c"] {
        bench.write(key, "1").await;
    }
    let mut run = bench.run(&["bad"], true).await;
    let mut delivered = BTreeSet::new();
    while !delivered.contains("c") {
        delivered.insert(run.next().await.0);
    }
    let [letter] = run.sources.dead_letters().list().try_into().unwrap();
    assert_eq!((letter.function.as_str(), letter.destination.as_deref()), ("F", Some("Queue")));
    assert_eq!(letter.body["DDBStreamBatchInfo"]["batchSize"], 1);
}

#[tokio::test]
async fn a_filter_nobody_understands_stops_the_start() {
    let mut bench = Bench::new().await;
    bench.source.filters = vec![json!({ "eventName": [{ "wildcard": "*" }] })];
    let message = bench.try_run(&[], true).await.err().unwrap().to_string();
    for part in ["`F`", "`E`", "wildcard"] {
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn a_disabled_mapping_delivers_nothing_and_the_stream_keeps_what_it_has_not_passed() {
    let mut bench = Bench::new().await;
    bench.source.enabled = false;
    let mut run = bench.run(&[], true).await;
    // Its sender went with the mapping that was never started.
    assert!(run.delivered.recv().await.is_none());
    assert_eq!(bench.database.readers(&bench.table.name), ["F.E"]);
}

#[tokio::test]
async fn an_expired_item_is_removed_by_the_service() {
    let directory = std::env::temp_dir().join(format!("local-dev-{}", uuid::Uuid::new_v4()));
    let access = Access::local("eu-central-1");
    let mut bench = Bench::new().await;
    let expiring = "TimeToLiveSpecification: { AttributeName: expiresAt, Enabled: true }\n      StreamSpec";
    let template = Template::parse(&TEMPLATE.replace("StreamSpec", expiring)).unwrap();
    // The embedded database sweeps when it is opened, so the item has to be there before.
    let database = Database::embedded(Some(&directory), &access).await.unwrap();
    bench.table = database.create_tables("stack", template.tables()).await.unwrap().remove("T").unwrap();
    let put = database.client().put_item().table_name(&bench.table.name);
    let put = put.item("pk", AttributeValue::S("a".to_owned()));
    put.item("expiresAt", AttributeValue::N("1700000000".to_owned())).send().await.unwrap();
    database.stop().await;
    bench.database = Database::embedded(Some(&directory), &access).await.unwrap();

    let (log, mut events) = mpsc::unbounded_channel();
    let settings = Settings {
        database: &bench.database,
        stack: "stack",
        region: "eu-central-1",
        poll_every: Duration::from_millis(10),
        wakeup: Wakeup::default(),
        record_age: None,
        release: watch::channel(true).1,
    };
    let invoke: Invoke = Arc::new(move |event| {
        let _ = log.send(event);
        Box::pin(async { Ok(Value::Null) })
    });
    let wiring = Wiring { source: bench.source, table: bench.table, invoke };
    let sources = EventSources::start(settings, vec![wiring]).await.unwrap();
    let removal = loop {
        let event = events.recv().await.unwrap();
        let records = event["Records"].as_array().unwrap();
        if let Some(removal) = records.iter().find(|record| record["eventName"] == "REMOVE") {
            break removal.clone();
        }
    };
    assert_eq!(removal["userIdentity"], json!({ "type": "Service", "principalId": "dynamodb.amazonaws.com" }));
    assert!(removal["dynamodb"].get("NewImage").is_none());
    sources.stop().await;
    std::fs::remove_dir_all(directory).unwrap();
}
