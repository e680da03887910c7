//! SDK clients from an [`Environment`].
//!
//! Deliberately without `aws-config`: on Lambda credentials are plain variables for the life of the process, so the
//! profile, SSO and IMDS providers would only cost start-up time; in `local-dev` several functions with different
//! variables share one process.

use std::{sync::OnceLock, time::Duration};
use transport::Transport;

use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, SharedHttpClient, StalledStreamProtectionConfig,
    retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime::client::orchestrator::operation::{Operation, OperationBuilder};
use aws_types::SdkConfig;

use crate::{
    config::{ConfigError, Environment},
    dynamodb::RetryConflicts,
};

/// A call that got no answer for this long is tried again; the slowest healthy one takes a tenth of it.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

/// Most attempts of a call; refused ones are over within a second or so.
pub(crate) const ATTEMPTS: u32 = 4;

/// Most time of a call with all its attempts. A service that hangs thus ends in an error of ours, with its cause in the
/// log, and not in the time-out of a function, of which the shortest is ten seconds.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(8);

/// First pause between two attempts; it doubles, with jitter.
const BACKOFF: Duration = Duration::from_millis(100);

/// The SDK clients of one function: one configuration, one client of DynamoDB, and one HTTP client for all calls but posts
/// to sockets, which have connections of their own ([`crate::gateway`]). A function makes one of these, and everything that
/// calls AWS is made from it.
pub struct Clients {
    /// What the clients of all services have in common; has no endpoint and no HTTP client yet.
    common: SdkConfig,
    credentials: Credentials,
    http: HttpClients,
    dynamodb: aws_sdk_dynamodb::Client,
}

impl Clients {
    /// The clients for these variables; `AWS_ENDPOINT_URL_DYNAMODB` points that of DynamoDB elsewhere.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] without region or credentials.
    pub fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        let credentials = credentials(env)?;
        let (common, http) = (common(env, credentials.clone())?, HttpClients::over(env.transport().clone()));
        let config = at(&common, &http, endpoint(env, "AWS_ENDPOINT_URL_DYNAMODB"));
        let config = aws_sdk_dynamodb::config::Builder::from(&config).retry_classifier(RetryConflicts);
        Ok(Self { common, credentials, http, dynamodb: aws_sdk_dynamodb::Client::from_conf(config.build()) })
    }

    /// The client of DynamoDB.
    #[must_use]
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        self.dynamodb.clone()
    }

    /// A client of API Gateway's management API, at `AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI`.
    ///
    /// The endpoint is configuration and not taken from events: behind a custom domain they do not contain it.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] without the endpoint.
    pub fn management(&self, env: &Environment) -> Result<aws_sdk_apigatewaymanagement::Client, ConfigError> {
        let endpoint = env.required("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI")?;
        Ok(aws_sdk_apigatewaymanagement::Client::new(&at(&self.common, &self.http, Some(endpoint))))
    }

    /// The client of the management API for callers that make their own repetitions: a call is made once, and has
    /// failed when it has no answer in this time.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] without the endpoint.
    pub fn management_without_retries(
        &self,
        env: &Environment,
        timeout: Duration,
    ) -> Result<aws_sdk_apigatewaymanagement::Client, ConfigError> {
        let endpoint = env.required("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI")?;
        let timeouts = TimeoutConfig::builder().operation_timeout(timeout).build();
        let config = at(&self.common, &self.http, Some(endpoint)).into_builder();
        let config = config.retry_config(RetryConfig::disabled()).timeout_config(timeouts).build();
        Ok(aws_sdk_apigatewaymanagement::Client::new(&config))
    }

    /// The configuration of a client of any other service; the variable, or `AWS_ENDPOINT_URL`, points it elsewhere.
    #[must_use]
    pub fn of_service(&self, env: &Environment, endpoint_variable: &'static str) -> SdkConfig {
        at(&self.common, &self.http, endpoint(env, endpoint_variable))
    }
}

impl Clients {
    /// What requests are signed with.
    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// How requests get to services.
    pub(crate) fn transport(&self) -> &Transport {
        &self.http.transport
    }

    /// A single call over the HTTP client of all others, to be named and given its request and answer. It is neither signed
    /// nor repeated.
    pub(crate) fn operation(&self, endpoint: &str) -> OperationBuilder {
        Operation::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(self.http.of(Some(endpoint)))
            .endpoint_url(endpoint)
            .no_auth()
            .no_retry()
            // With the timeouts of all others it is their pool of connections, too.
            .timeout_config(timeouts())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
    }
}

fn endpoint<'env>(env: &'env Environment, variable: &'static str) -> Option<&'env str> {
    env.optional(variable).or_else(|| env.optional("AWS_ENDPOINT_URL"))
}

fn credentials(env: &Environment) -> Result<Credentials, ConfigError> {
    Ok(Credentials::new(
        env.required("AWS_ACCESS_KEY_ID")?,
        env.required("AWS_SECRET_ACCESS_KEY")?,
        env.optional("AWS_SESSION_TOKEN").map(str::to_owned),
        None,
        "environment",
    ))
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).operation_timeout(CALL_TIMEOUT).build()
}

/// What the clients of all services have in common.
fn common(env: &Environment, credentials: Credentials) -> Result<SdkConfig, ConfigError> {
    Ok(SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(env.required("AWS_REGION")?.to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(BACKOFF))
        .timeout_config(timeouts())
        // For downloads that trickle. Ours are small and end with their attempt; watching each costs.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build())
}

/// The configuration for a service at an endpoint of its own, or where AWS has it.
fn at(common: &SdkConfig, http: &HttpClients, endpoint: Option<&str>) -> SdkConfig {
    let mut config = common.to_builder().http_client(http.of(endpoint));
    config.set_endpoint_url(endpoint.map(str::to_owned));
    config.build()
}

/// One HTTP client for plain endpoints and one for those with TLS, made when they are asked for: all services of AWS have
/// TLS, all on a laptop have none, and loading certificates is the slowest part of a client's start.
/// For a service of this process there is a client that hands requests over.
struct HttpClients {
    transport: Transport,
    plain: OnceLock<SharedHttpClient>,
    tls: OnceLock<SharedHttpClient>,
}

impl HttpClients {
    fn over(transport: Transport) -> Self {
        Self { transport, plain: OnceLock::new(), tls: OnceLock::new() }
    }

    fn of(&self, endpoint: Option<&str>) -> SharedHttpClient {
        if let Some(local) = endpoint.and_then(|endpoint| self.transport.to(endpoint)) {
            return local.http_client();
        }
        if endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
            self.plain.get_or_init(|| self.transport.bounded(Builder::new().build_http())).clone()
        } else {
            let tls = || Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https();
            self.tls.get_or_init(|| self.transport.bounded(tls())).clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::error::SdkError;
    use tokio::{net::TcpListener, time::Instant};

    use super::*;
    use crate::dynamodb::s;

    #[tokio::test(start_paused = true)]
    async fn a_service_that_hangs_is_an_error_after_eight_seconds() {
        let hanging = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", hanging.local_addr().unwrap());
        let env = [
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"),
            ("AWS_ENDPOINT_URL_DYNAMODB", &endpoint),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
        let (client, started) = (Clients::from_env(&env).unwrap().dynamodb(), Instant::now());
        let outcome = client.get_item().table_name("users").key("pk", s("USER#1")).send().await;
        assert!(matches!(outcome, Err(SdkError::TimeoutError(_))), "{outcome:?}");
        assert!(started.elapsed() < Duration::from_millis(8100), "{:?}", started.elapsed());
    }
}
