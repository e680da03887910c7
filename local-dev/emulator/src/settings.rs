//! How the emulator runs: where, on which database, how AWS's limits are set, and what goes wrong on purpose.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use crate::Fault;

/// How to run. [`Settings::default()`] is a free port of this machine, a database in memory, and the limits of AWS.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen; port 0 picks a free one.
    pub address: SocketAddr,
    /// Further names this machine is reached by. Requests for any other are refused, so that a web page cannot pass for a
    /// local one by pointing its name here.
    pub allowed_hosts: Vec<String>,
    /// The DynamoDB to use.
    pub dynamodb: DynamoDb,
    /// Name of the stack, and with it the beginning of the names of tables and functions.
    pub stack_name: String,
    /// Parameters of the template that differ from their defaults.
    pub parameters: BTreeMap<String, String>,
    /// Values of generated secrets, by logical id; others are random, and kept in the folder of the database.
    pub secrets: BTreeMap<String, String>,
    /// Invocations of functions at the same time; beyond them the APIs are refused, as by Lambda.
    pub concurrent_invocations: usize,
    /// The Lambda Invoke API behind which all functions run, instead of in this process.
    pub lambda_endpoint: Option<String>,
    /// Where to write the environment the functions need, for a program that runs them.
    pub env_file: Option<PathBuf>,
    /// Let functions do only what their policies in the template grant.
    pub enforce_policies: bool,
    /// Have functions call services over HTTP, and not within the process.
    pub loopback: bool,
    /// What goes wrong on purpose.
    pub faults: Vec<Fault>,
    /// How long a failed asynchronous invocation waits for its second attempt; the third one waits twice as long.
    pub retry_pause: Duration,
    /// The times after which the gateway ends something.
    pub limits: Limits,
    /// Records that could not be handled for this long are given up, whatever the template says.
    pub record_age: Option<Duration>,
    /// Sockets that may be open at the same time; more are refused.
    pub max_sockets: usize,
}

/// The DynamoDB to use.
#[derive(Debug, Clone)]
pub enum DynamoDb {
    /// A database in this process, in memory or in a folder.
    Embedded(Option<PathBuf>),
    /// The one at this URL, such as DynamoDB Local.
    At(String),
}

/// The limits of API Gateway that end or cut something short. Shorter ones show what a client makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Without a message in either direction a connection ends after this time.
    pub idle: Duration,
    /// Any connection ends after this time.
    pub lifetime: Duration,
    /// A function that has not answered a message by then is not waited for.
    pub integration: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(10 * 60),
            lifetime: Duration::from_secs(2 * 60 * 60),
            integration: Duration::from_secs(29),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            allowed_hosts: Vec::new(),
            dynamodb: DynamoDb::Embedded(None),
            stack_name: "stack".to_owned(),
            parameters: BTreeMap::new(),
            secrets: BTreeMap::new(),
            concurrent_invocations: 1000,
            lambda_endpoint: None,
            env_file: None,
            enforce_policies: false,
            loopback: false,
            faults: Vec::new(),
            retry_pause: Duration::from_secs(60),
            limits: Limits::default(),
            record_age: None,
            max_sockets: usize::MAX,
        }
    }
}

impl Settings {
    /// The folder the database is kept in, if it is.
    pub(crate) fn data_dir(&self) -> Option<&std::path::Path> {
        match &self.dynamodb {
            DynamoDb::Embedded(folder) => folder.as_deref(),
            DynamoDb::At(_) => None,
        }
    }
}
