//! SDK clients from an [`Environment`].
//!
//! Deliberately without `aws-config`: on Lambda credentials are plain variables for the life of the process, so the
//! profile, SSO and IMDS providers would only cost start-up time; in `local-dev` several functions with different
//! variables share one process.

use std::time::Duration;

use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedHttpClient, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};

use crate::config::{ConfigError, Environment};

/// A call that got no answer for this long is tried again; the slowest healthy one takes a tenth of it.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

/// Four attempts over about a second: longer is the business of whoever invoked the function.
const ATTEMPTS: u32 = 4;

/// First pause between two attempts; it doubles, with jitter.
const BACKOFF: Duration = Duration::from_millis(100);

/// The DynamoDB client; `AWS_ENDPOINT_URL_DYNAMODB` points it elsewhere.
///
/// # Errors
/// [`ConfigError::Missing`] without region or credentials.
pub fn dynamodb(env: &Environment) -> Result<aws_sdk_dynamodb::Client, ConfigError> {
    let endpoint = env.optional("AWS_ENDPOINT_URL_DYNAMODB").or_else(|| env.optional("AWS_ENDPOINT_URL"));
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(region(env)?)
        .credentials_provider(credentials(env)?)
        .http_client(http_client(endpoint))
        .retry_config(retries())
        .timeout_config(timeouts());
    let config = if let Some(endpoint) = endpoint { config.endpoint_url(endpoint) } else { config };
    Ok(aws_sdk_dynamodb::Client::from_conf(config.build()))
}

/// The client of API Gateway's management API, at `AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI`.
///
/// The endpoint is configuration and not taken from events: behind a custom domain they do not contain it.
///
/// # Errors
/// [`ConfigError::Missing`] without endpoint, region or credentials.
pub fn management(env: &Environment) -> Result<aws_sdk_apigatewaymanagement::Client, ConfigError> {
    let endpoint = env.required("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI")?;
    let config = aws_sdk_apigatewaymanagement::Config::builder()
        .behavior_version(aws_sdk_apigatewaymanagement::config::BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(region(env)?)
        .credentials_provider(credentials(env)?)
        .http_client(http_client(Some(endpoint)))
        .retry_config(retries())
        .timeout_config(timeouts());
    Ok(aws_sdk_apigatewaymanagement::Client::from_conf(config.build()))
}

fn region(env: &Environment) -> Result<Region, ConfigError> {
    Ok(Region::new(env.required("AWS_REGION")?.to_owned()))
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

/// The client of Amazon SES, version 2; `AWS_ENDPOINT_URL_SESV2` points it elsewhere.
///
/// # Errors
/// [`ConfigError::Missing`] without region or credentials.
pub fn ses(env: &Environment) -> Result<aws_sdk_sesv2::Client, ConfigError> {
    let endpoint = env.optional("AWS_ENDPOINT_URL_SESV2").or_else(|| env.optional("AWS_ENDPOINT_URL"));
    let config = aws_sdk_sesv2::Config::builder()
        .behavior_version(aws_sdk_sesv2::config::BehaviorVersion::latest())
        .region(region(env)?)
        .credentials_provider(credentials(env)?)
        .http_client(http_client(endpoint))
        .retry_config(retries())
        .timeout_config(timeouts());
    let config = if let Some(endpoint) = endpoint { config.endpoint_url(endpoint) } else { config };
    Ok(aws_sdk_sesv2::Client::from_conf(config.build()))
}

/// The client of Amazon SNS; `AWS_ENDPOINT_URL_SNS` points it elsewhere.
///
/// # Errors
/// [`ConfigError::Missing`] without region or credentials.
pub fn sns(env: &Environment) -> Result<aws_sdk_sns::Client, ConfigError> {
    let endpoint = env.optional("AWS_ENDPOINT_URL_SNS").or_else(|| env.optional("AWS_ENDPOINT_URL"));
    let config = aws_sdk_sns::Config::builder()
        .behavior_version(aws_sdk_sns::config::BehaviorVersion::latest())
        .region(region(env)?)
        .credentials_provider(credentials(env)?)
        .http_client(http_client(endpoint))
        .retry_config(retries())
        .timeout_config(timeouts());
    let config = if let Some(endpoint) = endpoint { config.endpoint_url(endpoint) } else { config };
    Ok(aws_sdk_sns::Client::from_conf(config.build()))
}

/// Plain HTTP needs no certificates, and loading them is the slowest part of a client's start.
fn http_client(endpoint: Option<&str>) -> SharedHttpClient {
    if endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
        Builder::new().build_http()
    } else {
        Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https()
    }
}

fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(BACKOFF)
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build()
}
