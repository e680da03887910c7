//! A cloud of one's own, on the embedded DynamoDB or on the one at `DYNAMODB_ENDPOINT`.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use jiff::{Timestamp, ToSpan as _};
use local_dev::{Call, Options, Running};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::config::Environment;
use tokio::time::{interval, timeout};
use tracing_subscriber::EnvFilter;

use crate::{Edge, Rest, Socket, TOKEN_SECRET};

/// Tests ask for more in a moment than people do; those about throttles say so.
const NO_THROTTLE: &str = "1000000";

/// A running cloud; [`Cloud::stop`] it at the end of the test.
pub struct Cloud {
    running: Running,
    url: String,
    stack: String,
    shared_database: bool,
}

/// What the functions did in one test: a file in the folder `RECORD_CALLS`.
#[derive(Serialize, Deserialize)]
pub struct Recording {
    /// Name of the test.
    pub test: String,
    /// Each distinct call that was allowed.
    pub calls: Vec<Call>,
}

/// The address where the cloud listens, for clients.
impl AsRef<str> for Cloud {
    fn as_ref(&self) -> &str {
        &self.url
    }
}

impl Cloud {
    /// Starts a cloud with the defaults: anonymous sockets hear the feed. Functions may do what the template grants and
    /// no more.
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// Starts a cloud with other options; the port is always a free one.
    pub async fn with(options: Options) -> Self {
        Self::begin(Options { enforce_policies: true, ..options }).await
    }

    /// Starts a cloud for hundreds of clients at once, or where time is taken: without the hop that enforces policies,
    /// which all of them would queue for.
    pub async fn for_crowds() -> Self {
        Self::begin(Options::default()).await
    }

    async fn begin(options: Options) -> Self {
        log_to_the_test();
        let dynamodb_endpoint = options.dynamodb_endpoint.clone().or_else(|| std::env::var("DYNAMODB_ENDPOINT").ok());
        let shared_database = dynamodb_endpoint.is_some();
        let stack = format!("test-{}", uuid::Uuid::new_v4().simple());
        // First, so that a test can say otherwise.
        let unthrottled = ["RestRequestsPerSecond", "PasswordRequestsPerSecond"]
            .map(|name| (name.to_owned(), NO_THROTTLE.to_owned()));
        let options = Options {
            port: 0,
            parameters: unthrottled.into_iter().chain(options.parameters).collect(),
            dynamodb_endpoint,
            stack_name: stack.clone(),
            loopback: options.loopback || std::env::var_os("LOCAL_DEV_LOOPBACK").is_some_and(|value| value == "true"),
            token_secret: Some(TOKEN_SECRET.to_owned()),
            ..options
        };
        let running = local_dev::start(options).await.expect("the cloud starts");
        Self { url: running.url(), running, stack, shared_database }
    }

    /// The running program.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether the cloud runs on the DynamoDB at `DYNAMODB_ENDPOINT`.
    pub fn has_shared_database(&self) -> bool {
        self.shared_database
    }

    /// A REST client without a token.
    pub fn rest(&self) -> Rest {
        Rest::new(&self.url)
    }

    /// A REST client with the administrator's token.
    pub async fn admin(&self) -> Rest {
        self.rest().login_admin().await
    }

    /// What `local-dev` would have sent to people, oldest first.
    pub async fn messages(&self) -> Vec<Value> {
        self.rest().messages().await
    }

    /// Where the management API has this connection.
    pub fn management_url(&self, connection_id: &str) -> String {
        format!("{}/dev/@connections/{}", self.url, connection_id.replace('=', "%3D"))
    }

    /// Eight minutes of heartbeats: every slot's turn comes once. Pongs are noted at the real time, so made-up minutes
    /// must not make them look late; backwards, none comes after a ping.
    pub async fn beat_for_a_round(&self, from: Timestamp) {
        for minute in (0..8).rev() {
            self.running.tick(from + minute.minutes()).await.unwrap();
        }
    }

    /// The connections the connections table knows.
    pub async fn connection_ids(&self) -> Vec<String> {
        self.sort_keys_of("SLOT#", "connectionId").await
    }

    /// The connection of every membership in any room.
    pub async fn room_members(&self) -> Vec<String> {
        self.sort_keys_of("ROOM#", "sk").await
    }

    /// The partition of every membership in any room.
    pub async fn room_partitions(&self) -> Vec<String> {
        self.sort_keys_of("ROOM#", "pk").await
    }

    /// A number of every membership in any room that has it.
    pub async fn room_attributes(&self, attribute: &str) -> Vec<i64> {
        let items = self.items_of("ConnectionsTable").await;
        let rooms = items.iter().filter(|item| item["pk"].as_s().unwrap().starts_with("ROOM#"));
        rooms.filter_map(|item| item.get(attribute)?.as_n().unwrap().parse().ok()).collect()
    }

    /// Registers a user and waits until the feed has heard it: a socket that connects before that may hear it as well,
    /// although the registration was answered before.
    pub async fn register_told(&self) -> Value {
        let mut feed = Socket::connected(self, Edge::Gateway, None).await;
        let user = self.rest().register().await;
        assert_eq!(feed.event().await, ("users.created".into(), user.clone()));
        user
    }

    /// Whether everyone was told what the logs of rooms have, and not in this very moment.
    pub async fn has_settled(&self) -> bool {
        let before = (Timestamp::now() - 20.milliseconds()).as_millisecond();
        let items = self.items_of("ConnectionsTable").await;
        let mut log =
            items.iter().filter(|item| item["pk"].as_s().unwrap().starts_with("LOG#") && item.contains_key("events"));
        let told_at = |item: &HashMap<_, AttributeValue>| item.get("toldAt")?.as_n().ok()?.parse::<i64>().ok();
        log.all(|item| told_at(item).is_some_and(|at| at < before))
    }

    /// Makes it look as if the log of the feed had been kept since that time, epoch milliseconds.
    pub async fn begin_logs(&self, at: i64) {
        let put = self.database().put_item().table_name(format!("{}-ConnectionsTable", self.stack));
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let put = put.item("pk", text("LOG#/users#feed")).item("sk", text("~"));
        put.item("completeSince", AttributeValue::N(at.to_string())).send().await.expect("a put");
    }

    /// The items of the users table whose sort key begins like this.
    pub async fn user_items(&self, sort_key: &str) -> Vec<HashMap<String, AttributeValue>> {
        let items = self.items_of("UsersTable").await;
        items.into_iter().filter(|item| item["sk"].as_s().unwrap().starts_with(sort_key)).collect()
    }

    /// Puts an item of strings and whole numbers into the users table.
    pub async fn put_user_item(&self, item: &Value) {
        let value = |value: &Value| match value {
            Value::String(text) => AttributeValue::S(text.clone()),
            other => AttributeValue::N(other.to_string()),
        };
        let item = item.as_object().unwrap().iter().map(|(name, attribute)| (name.clone(), value(attribute)));
        let put = self.database().put_item().table_name(format!("{}-UsersTable", self.stack));
        put.set_item(Some(item.collect())).send().await.expect("a put");
    }

    /// Puts a whole row into the users table.
    pub async fn put_user_row(&self, row: HashMap<String, AttributeValue>) {
        let put = self.database().put_item().table_name(format!("{}-UsersTable", self.stack));
        put.set_item(Some(row)).send().await.expect("a put");
    }

    /// Deletes a row of the users table.
    pub async fn delete_user_row(&self, pk: &str, sk: &str) {
        let delete = self.database().delete_item().table_name(format!("{}-UsersTable", self.stack));
        let key = |text: &str| AttributeValue::S(text.to_owned());
        delete.key("pk", key(pk)).key("sk", key(sk)).send().await.expect("a delete");
    }

    /// Sets a number of those items.
    pub async fn set_user_items(&self, sort_key: &str, attribute: &str, number: i64) {
        for item in self.user_items(sort_key).await {
            let update = self.database().update_item().table_name(format!("{}-UsersTable", self.stack));
            let update = update.key("pk", item["pk"].clone()).key("sk", item["sk"].clone());
            let update = update.update_expression("SET #name = :number").expression_attribute_names("#name", attribute);
            let update = update.expression_attribute_values(":number", AttributeValue::N(number.to_string()));
            update.send().await.expect("an update");
        }
    }

    /// Moves a time (epoch seconds) of those items into the past, as if that many seconds had gone by.
    pub async fn age_user_items(&self, sort_key: &str, attribute: &str, seconds: i64) {
        for item in self.user_items(sort_key).await {
            let earlier = item[attribute].as_n().unwrap().parse::<i64>().unwrap() - seconds;
            let update = self.database().update_item().table_name(format!("{}-UsersTable", self.stack));
            let update = update.key("pk", item["pk"].clone()).key("sk", item["sk"].clone());
            let update =
                update.update_expression("SET #time = :earlier").expression_attribute_names("#time", attribute);
            let update = update.expression_attribute_values(":earlier", AttributeValue::N(earlier.to_string()));
            update.send().await.expect("an update");
        }
    }

    /// Writes a row into the users table that claims to be a profile and is none.
    pub async fn poison(&self, text: &str) {
        let s = |text: &str| AttributeValue::S(text.to_owned());
        let put = self.database().put_item().table_name(format!("{}-UsersTable", self.stack));
        let put = put.item("pk", s("USER#poison")).item("sk", s("PROFILE")).item("isBanned", s(text));
        put.send().await.expect("a row");
    }

    /// Gives a user another name, past the rules of the API.
    pub async fn put_profile_with_name(&self, user: &Value, name: &str) {
        let key = AttributeValue::S(format!("USER#{}", user["id"].as_str().unwrap()));
        let update = self.database().update_item().table_name(format!("{}-UsersTable", self.stack));
        let update = update.key("pk", key).key("sk", AttributeValue::S("PROFILE".to_owned()));
        let update = update.update_expression("SET fullName = :name");
        let update = update.expression_attribute_values(":name", AttributeValue::S(name.to_owned()));
        update.send().await.expect("an update");
    }

    /// Ends the cloud and removes what it left in a shared DynamoDB. No function may have wanted more than the template
    /// grants; what they did is added to the folder `RECORD_CALLS`, if that is set.
    pub async fn stop(self) {
        if let Some(permissions) = self.running.permissions() {
            let denied: Vec<_> = permissions.denied().iter().map(ToString::to_string).collect();
            assert!(denied.is_empty(), "not granted in infra/template.yaml: {denied:#?}");
            if let Ok(folder) = std::env::var("RECORD_CALLS") {
                std::fs::create_dir_all(&folder).unwrap();
                // The thread of a test has its name.
                let test = std::thread::current().name().unwrap_or("a test").to_owned();
                let recording = serde_json::to_vec(&Recording { test, calls: permissions.calls() }).unwrap();
                std::fs::write(format!("{folder}/{}.json", self.stack), recording).unwrap();
            }
        }
        if self.shared_database {
            self.running.stop_and_drop_tables().await;
        } else {
            self.running.stop().await;
        }
    }

    async fn sort_keys_of(&self, prefix: &str, attribute: &str) -> Vec<String> {
        let items = self.items_of("ConnectionsTable").await;
        let text = |value: &AttributeValue| value.as_s().unwrap().clone();
        let wanted = items.iter().filter(|item| item["pk"].as_s().unwrap().starts_with(prefix));
        wanted.map(|item| text(&item[attribute])).collect()
    }

    async fn items_of(&self, table: &str) -> Vec<HashMap<String, AttributeValue>> {
        let scan = self.database().scan().table_name(format!("{}-{table}", self.stack)).consistent_read(true);
        scan.into_paginator().items().send().collect::<Result<_, _>>().await.expect("a scan")
    }

    /// The variables of stores of both tables, at this endpoint of their database.
    pub fn users_at(&self, endpoint: &str) -> Environment {
        let [users, connections] = ["UsersTable", "ConnectionsTable"].map(|table| format!("{}-{table}", self.stack));
        let tables = [("USERS_TABLE", &*users), ("CONNECTIONS_TABLE", &connections), ("REGISTRATIONS_PER_HOUR", "1")];
        environment(of_a_database(endpoint).into_iter().chain(tables))
    }

    fn database(&self) -> Client {
        database_at(self.running.dynamodb_endpoint())
    }
}

/// A client of the DynamoDB at this endpoint, a local one.
pub fn database_at(endpoint: &str) -> Client {
    shared::aws::Clients::from_env(&environment(of_a_database(endpoint))).unwrap().dynamodb()
}

/// The variables that lead to a local DynamoDB.
fn of_a_database(endpoint: &str) -> [(&str, &str); 4] {
    [
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_ENDPOINT_URL_DYNAMODB", endpoint),
    ]
}

fn environment<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Environment {
    variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Waits until something holds that no message tells of.
pub async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        let mut look = interval(Duration::from_millis(20));
        while !holds().await {
            look.tick().await;
        }
    };
    timeout(Duration::from_secs(60), wait).await.expect("it holds in time");
}

/// What the cloud says is part of a failing test's output; `RUST_LOG` chooses how much.
fn log_to_the_test() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,dynoxide=error"));
    // Every test of a binary comes by; the first one sets it.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
}
