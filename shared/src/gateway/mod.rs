//! API Gateway's management API (`@connections`): the only way a frame reaches a socket outside of an answer.
//!
//! Posts are made without the SDK: they are nearly all calls there are, and half of what a delivery cost was the SDK's
//! orchestration of them. Signing ([`signature`]), the day's key ([`keys`]) and connections ([`connections`]) are its
//! own libraries' or held against it by tests. Closing a connection is rare, and stays with the SDK.

mod connections;
mod endpoint;
mod keys;
mod payload;
mod poster;
mod signature;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_sdk_apigatewaymanagement::{Client, error::SdkError, operation::delete_connection::DeleteConnectionError};

pub use self::{
    endpoint::{Address, Endpoint, NotAnId},
    payload::Payload,
    signature::{Signature, SigningKey},
};
use self::{
    keys::Keys,
    poster::{PostError, Poster, RetryConfig},
};
use crate::{
    aws::{ATTEMPT_TIMEOUT, ATTEMPTS, CALL_TIMEOUT, Clients},
    config::{ConfigError, Environment},
    error::Chain,
};

/// What became of a call about one connection. That a socket is gone is an outcome, not an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatewayAnswer {
    /// The gateway took it.
    Accepted,
    /// 410: the connection is closed, or its `$connect` has not been answered yet (ARCHITECTURE.md, "An early 410 means
    /// not open yet").
    Gone,
}

/// The gateway could not do it: throttled, unreachable, or not permitted.
#[derive(Debug, thiserror::Error)]
#[error("management API: {}", Chain(&*self.cause))]
pub struct GatewayError {
    status: Option<u16>,
    cause: Box<dyn std::error::Error + Send + Sync>,
}

impl GatewayError {
    fn of<E>(error: SdkError<E>) -> Self
    where
        SdkError<E>: std::error::Error + Send + Sync + 'static,
    {
        Self { status: error.raw_response().map(|response| response.status().as_u16()), cause: error.into() }
    }

    /// 413: the frame is larger than the gateway takes. No connection will ever take it.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.status == Some(413)
    }
}

impl From<PostError> for GatewayError {
    fn from(error: PostError) -> Self {
        Self { status: error.status(), cause: error.into() }
    }
}

/// Largest frame the gateway takes, in bytes
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html>).
pub const MAX_FRAME: usize = 128 * 1024;

/// Posts to connections and closes them.
#[derive(Clone)]
pub struct Gateway {
    client: Client,
    poster: Arc<Poster>,
    /// What was sent since somebody asked, in billed units.
    sent: Arc<AtomicU64>,
}

impl Gateway {
    /// The gateway of `AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI`. What may be better the next time is tried again, as the
    /// SDK does it.
    ///
    /// # Errors
    /// [`ConfigError`] without the endpoint, or if it is none.
    pub fn new(clients: &Clients, env: &Environment) -> Result<Self, ConfigError> {
        let retry_config = RetryConfig { attempts: ATTEMPTS, attempt: ATTEMPT_TIMEOUT, call: CALL_TIMEOUT };
        Self::with(clients.management(env)?, clients, env, retry_config)
    }

    /// A gateway for callers that make their own repetitions: a call is made once, and has failed when it has no answer
    /// in this time.
    ///
    /// # Errors
    /// [`ConfigError`] without the endpoint, or if it is none.
    pub fn without_retries(clients: &Clients, env: &Environment, timeout: Duration) -> Result<Self, ConfigError> {
        let retry_config = RetryConfig { attempts: 1, attempt: timeout, call: timeout };
        Self::with(clients.management_without_retries(env, timeout)?, clients, env, retry_config)
    }

    fn with(
        client: Client,
        clients: &Clients,
        env: &Environment,
        retry_config: RetryConfig,
    ) -> Result<Self, ConfigError> {
        let endpoint = Endpoint::parse(env.required(endpoint::VARIABLE)?)?;
        let keys = Keys::new(clients.credentials().clone(), env.required("AWS_REGION")?.to_owned());
        let poster = Arc::new(Poster::new(endpoint, keys, clients.transport(), retry_config)?);
        Ok(Self { client, poster, sent: Arc::default() })
    }

    /// Sends one text frame, at most 128 KB.
    ///
    /// # Errors
    /// [`GatewayError`] when it stays unknown whether the frame arrived.
    pub async fn post(&self, connection_id: &str, payload: &Payload) -> Result<GatewayAnswer, GatewayError> {
        let outcome = self.poster.post(connection_id, payload).await?;
        if outcome == GatewayAnswer::Accepted {
            self.sent.fetch_add(payload.units(), Ordering::Relaxed);
        }
        Ok(outcome)
    }

    /// Messages sent since the last time this was asked, as they are billed: in units of 32 KB.
    #[must_use]
    pub fn take_sent(&self) -> u64 {
        self.sent.swap(0, Ordering::Relaxed)
    }

    /// Closes the WebSocket. A client that was not sent `41` before comes back by itself.
    ///
    /// # Errors
    /// [`GatewayError`] when the connection may still be open.
    pub async fn close(&self, connection_id: &str) -> Result<GatewayAnswer, GatewayError> {
        match self.client.delete_connection().connection_id(connection_id).send().await {
            Ok(_) => Ok(GatewayAnswer::Accepted),
            Err(error) if is_gone(&error, DeleteConnectionError::is_gone_exception) => Ok(GatewayAnswer::Gone),
            Err(error) => Err(GatewayError::of(error)),
        }
    }
}

/// 410 comes with an empty body, which the SDK may fail to parse: the status decides, the error type confirms.
fn is_gone<E>(error: &SdkError<E>, typed: impl Fn(&E) -> bool) -> bool {
    error.raw_response().is_some_and(|response| response.status().as_u16() == 410)
        || error.as_service_error().is_some_and(typed)
}
