//! SDK clients from an [`Environment`].
//!
//! Deliberately without `aws-config`: on Lambda credentials are plain variables for the life of the process, so the
//! profile, SSO and IMDS providers would only cost start-up time; in `local-dev` several functions with different
//! variables share one process.

use std::time::Duration;

use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, SharedHttpClient, StalledStreamProtectionConfig,
    retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_types::SdkConfig;

use crate::{
    config::{ConfigError, Environment},
    dynamodb::RetryConflicts,
};

/// A call that got no answer for this long is tried again; the slowest healthy one takes a tenth of it.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

/// Most attempts of a call; refused ones are over within a second or so.
const ATTEMPTS: u32 = 4;

/// Most time of a call with all its attempts. A service that hangs thus ends in an error of ours, with its cause in the
/// log, and not in the time-out of a function, of which the shortest is ten seconds.
const CALL_TIMEOUT: Duration = Duration::from_secs(8);

/// First pause between two attempts; it doubles, with jitter.
const BACKOFF: Duration = Duration::from_millis(100);

/// The DynamoDB client; `AWS_ENDPOINT_URL_DYNAMODB` points it elsewhere.
///
/// # Errors
/// [`ConfigError::Missing`] without region or credentials.
pub fn dynamodb(env: &Environment) -> Result<aws_sdk_dynamodb::Client, ConfigError> {
    let config = aws_sdk_dynamodb::config::Builder::from(&of_service(env, "AWS_ENDPOINT_URL_DYNAMODB")?);
    Ok(aws_sdk_dynamodb::Client::from_conf(config.retry_classifier(RetryConflicts).build()))
}

/// The client of API Gateway's management API, at `AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI`.
///
/// The endpoint is configuration and not taken from events: behind a custom domain they do not contain it.
///
/// # Errors
/// [`ConfigError::Missing`] without endpoint, region or credentials.
pub fn management(env: &Environment) -> Result<aws_sdk_apigatewaymanagement::Client, ConfigError> {
    let endpoint = env.required("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI")?;
    Ok(aws_sdk_apigatewaymanagement::Client::new(&config(env, Some(endpoint))?))
}

/// The same client, which makes each call once and waits so long for its answer.
///
/// # Errors
/// [`ConfigError::Missing`] without endpoint, region or credentials.
pub fn management_without_retries(
    env: &Environment,
    timeout: Duration,
) -> Result<aws_sdk_apigatewaymanagement::Client, ConfigError> {
    let endpoint = env.required("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI")?;
    let config = config(env, Some(endpoint))?.into_builder();
    let timeouts = TimeoutConfig::builder().operation_timeout(timeout).build();
    let config = config.retry_config(RetryConfig::disabled()).timeout_config(timeouts).build();
    Ok(aws_sdk_apigatewaymanagement::Client::new(&config))
}

/// The configuration of a client of any other service; the variable, or `AWS_ENDPOINT_URL`, points it elsewhere.
///
/// # Errors
/// [`ConfigError::Missing`] without region or credentials.
pub fn of_service(env: &Environment, endpoint_variable: &'static str) -> Result<SdkConfig, ConfigError> {
    config(env, env.optional(endpoint_variable).or_else(|| env.optional("AWS_ENDPOINT_URL")))
}

/// What the clients of all services have in common.
fn config(env: &Environment, endpoint: Option<&str>) -> Result<SdkConfig, ConfigError> {
    let credentials = Credentials::new(
        env.required("AWS_ACCESS_KEY_ID")?,
        env.required("AWS_SECRET_ACCESS_KEY")?,
        env.optional("AWS_SESSION_TOKEN").map(str::to_owned),
        None,
        "environment",
    );
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(env.required("AWS_REGION")?.to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client(endpoint))
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(BACKOFF))
        .timeout_config(
            TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).operation_timeout(CALL_TIMEOUT).build(),
        )
        // For downloads that trickle. Ours are small and end with their attempt; watching each costs.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    config.set_endpoint_url(endpoint.map(str::to_owned));
    Ok(config.build())
}

/// Plain HTTP needs no certificates, and loading them is the slowest part of a client's start.
fn http_client(endpoint: Option<&str>) -> SharedHttpClient {
    if endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
        Builder::new().build_http()
    } else {
        Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https()
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
        let client = dynamodb(&env.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect());
        let (client, started) = (client.unwrap(), Instant::now());
        let outcome = client.get_item().table_name("users").key("pk", s("USER#1")).send().await;
        assert!(matches!(outcome, Err(SdkError::TimeoutError(_))), "{outcome:?}");
        assert!(started.elapsed() < Duration::from_millis(8100), "{:?}", started.elapsed());
    }
}
