//! DynamoDB: embedded in this process, or wherever an endpoint says.
//!
//! Everything else here speaks to it through the ordinary SDK clients and cannot tell the difference.

mod difference;
mod embedded;
mod inspect;
mod retention;
mod server;
mod tables;
mod turn;
mod written;

use std::{path::Path, time::Duration};

use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, SharedHttpClient, timeout::TimeoutConfig,
};
use aws_smithy_http_client::tls;
use aws_types::SdkConfig;
use tokio::sync::{Semaphore, watch};
use transport::{Local, Service, Transport};

use self::{embedded::Embedded, inspect::Unusable};
pub(crate) use self::{retention::Claim, tables::LiveTable};

/// How to sign requests and for which region.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// E.g. `eu-central-1`.
    pub(crate) region: String,
    /// Real ones for AWS only.
    pub(crate) credentials: Credentials,
}

impl Access {
    /// Access to an endpoint that checks nothing. DynamoDB Local wants the key to be alphanumeric.
    pub(crate) fn local(region: impl Into<String>) -> Self {
        Self { region: region.into(), credentials: Credentials::new("local", "local", None, None, "local-dev") }
    }
}

/// A call that got no answer for this long is tried again; without it, one lost answer would stop a stream for good.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// DynamoDB Local writes one row of a table after the other. With a hundred writers a busy machine takes longer for each
/// than the functions wait, and what these then try again keeps it from ever catching up: fifty clients that came back at
/// once were still refused a minute and a half later.
const DYNAMODB_LOCAL_CONCURRENCY: usize = 16;

/// A DynamoDB and the clients for it.
pub(crate) struct Database {
    endpoint: String,
    client: aws_sdk_dynamodb::Client,
    streams: aws_sdk_dynamodbstreams::Client,
    embedded: Option<Embedded>,
}

impl Database {
    /// Opens the embedded database, in memory or as `dynamodb.db` in `data_dir`, and serves it on a loopback port.
    pub(crate) async fn embedded(data_dir: Option<&Path>, access: &Access) -> Result<Self, DatabaseError> {
        let embedded = Embedded::start(data_dir).await?;
        let endpoint = format!("http://{}", embedded.address());
        let transport = Transport::default();
        transport.connect(embedded.address().to_string(), embedded.service());
        let local = transport.to(&endpoint).map(Local::http_client);
        let http = local.unwrap_or_else(|| network(&endpoint));
        Ok(Self { embedded: Some(embedded), ..Self::over(http, &endpoint, access) })
    }

    /// DynamoDB Local or AWS itself.
    pub(crate) fn remote(endpoint: &str, access: &Access) -> Self {
        Self::over(network(endpoint), endpoint, access)
    }

    /// A database with both clients over one HTTP client, and so one pool of connections.
    fn over(http: SharedHttpClient, endpoint: &str, access: &Access) -> Self {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(access.region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(access.credentials.clone()))
            .endpoint_url(endpoint)
            .http_client(http)
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build())
            .build();
        let streams = config.to_builder().endpoint_url(streams_endpoint(endpoint)).build();
        Self {
            endpoint: endpoint.to_owned(),
            client: aws_sdk_dynamodb::Client::new(&config),
            streams: aws_sdk_dynamodbstreams::Client::new(&streams),
            embedded: None,
        }
    }

    /// Where other processes reach the database: the value for `AWS_ENDPOINT_URL_DYNAMODB`.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The database as a service for requests of this process; `None` where it is in another process.
    pub(crate) fn service(&self) -> Option<Service> {
        self.embedded.as_ref().map(Embedded::service)
    }

    /// Whether the database is in this process.
    pub(crate) fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// Changes with every write to the table; `None` where the database cannot tell, and has to be asked.
    pub(crate) fn written(&self, table: &str) -> Option<watch::Receiver<u64>> {
        self.embedded.as_ref().map(|embedded| embedded.written(table))
    }

    /// Has the stream of a table keep what this reader has not passed, for 24 hours. `None` where nothing goes sooner.
    pub(crate) fn claim(&self, table: &str, reader: &str) -> Option<Claim> {
        self.embedded.as_ref().map(|embedded| embedded.claim(table, reader))
    }

    /// Who has the stream of a table keep what he has not passed.
    #[cfg(test)]
    pub(crate) fn readers(&self, table: &str) -> Vec<String> {
        self.embedded.as_ref().map(|embedded| embedded.readers(table)).unwrap_or_default()
    }

    /// Most invocations that should use it at once.
    pub(crate) fn max_concurrency(&self) -> usize {
        let is_dynamodb_local = self.embedded.is_none() && self.endpoint.starts_with("http://");
        if is_dynamodb_local { DYNAMODB_LOCAL_CONCURRENCY } else { Semaphore::MAX_PERMITS }
    }

    /// Client for tables and items.
    pub(crate) fn client(&self) -> &aws_sdk_dynamodb::Client {
        &self.client
    }

    /// Client for streams.
    pub(crate) fn streams(&self) -> &aws_sdk_dynamodbstreams::Client {
        &self.streams
    }

    /// Stops serving. Only the embedded database has anything to stop.
    pub(crate) async fn stop(self) {
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

/// An HTTP client for this endpoint, without TLS unless it is needed: loading certificates takes longer than all else.
fn network(endpoint: &str) -> SharedHttpClient {
    let builder = aws_smithy_http_client::Builder::new();
    if endpoint.starts_with("https://") {
        builder.tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc)).build_https()
    } else {
        builder.build_http()
    }
}

/// AWS has the streams on a host of their own; emulators have them on the same port.
fn streams_endpoint(endpoint: &str) -> String {
    match endpoint.strip_prefix("https://dynamodb.") {
        Some(rest) if rest.contains("amazonaws.com") => format!("https://streams.dynamodb.{rest}"),
        _ => endpoint.to_owned(),
    }
}

/// The whole story of an SDK error. Its own text is often just "unhandled error", with the reason further down.
pub(crate) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut texts: Vec<String> =
        std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}

/// Why there is no usable database.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatabaseError {
    /// The embedded database did not open or could not be served.
    #[error("the embedded database at {place} could not be opened: {reason}")]
    Open {
        /// File name, or "memory".
        place: String,
        /// What SQLite or the system said.
        reason: String,
    },
    /// The file of `--data-dir` is none of ours, or nothing can be done with it.
    #[error("cannot use {file}: {reason}; or choose another --data-dir")]
    Unusable {
        /// The whole name of the file.
        file: String,
        /// Why, and what to do.
        reason: Unusable,
    },
    /// A request failed.
    #[error("{action} of table `{table}` failed: {}", causes(source))]
    Request {
        /// E.g. `CreateTable`.
        action: &'static str,
        /// Physical table name.
        table: String,
        /// What DynamoDB answered.
        source: Box<aws_sdk_dynamodb::Error>,
    },
    /// A table did not become active.
    #[error("table `{0}` is not ACTIVE after {1:?}")]
    NotActive(String, Duration),
    /// A table of that name exists, but it is another one.
    #[error(
        "table `{table}` exists and differs from the template: {}. \
         Start with an empty --data-dir, or with another --stack-name, or delete that table",
        differences.join("; ")
    )]
    Differs {
        /// Physical table name.
        table: String,
        /// The differences, one sentence each.
        differences: Vec<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_endpoint_where_nobody_listens_is_said_to_be_that() {
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let database = Database::remote(&format!("http://{free}"), &Access::local("eu-central-1"));
        let message = database.describe("t").await.unwrap_err().to_string();
        assert!(message.contains("DescribeTable of table `t`") && message.contains("refused"), "{message}");
    }

    #[test]
    fn the_streams_of_aws_have_a_host_of_their_own() {
        assert_eq!(
            streams_endpoint("https://dynamodb.eu-central-1.amazonaws.com"),
            "https://streams.dynamodb.eu-central-1.amazonaws.com"
        );
        assert_eq!(streams_endpoint("http://localhost:8000"), "http://localhost:8000");
    }
}
