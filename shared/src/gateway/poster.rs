//! One post: signed, sent over a warm connection, and its answer read.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use transport::{Local, Transport};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT},
};
use http_body_util::{BodyExt as _, Full, Limited};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use super::{
    GatewayAnswer,
    connections::{Connections, Unanswered},
    endpoint::{Address, Endpoint, NotAnId},
    keys::Keys,
    payload::Payload,
    signature::{self, Signature},
};
use crate::{config::ConfigError, error::Chain};

/// First pause between two attempts; it doubles, with jitter.
const BACKOFF: Duration = Duration::from_millis(100);

/// Most bytes that are read of an answer.
const MAX_ANSWER: usize = 64 * 1024;

/// Who is calling, for the access log.
const AGENT: &str = concat!("moien-realtime/", env!("CARGO_PKG_VERSION"));

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// How often a post is tried, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetryConfig {
    pub(super) attempts: u32,
    pub(super) attempt: Duration,
    /// How long a post may take with all attempts.
    pub(super) call: Duration,
}

/// Posts frames to connections.
pub(super) struct Poster {
    endpoint: Endpoint,
    keys: Keys,
    way: Way,
    retry_config: RetryConfig,
}

/// How posts get to the gateway.
enum Way {
    Network(Connections),
    /// The gateway is in this process.
    Local(Local),
}

/// Why a frame was not accepted, or may not have been.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostError {
    #[error(transparent)]
    NotAnId(#[from] NotAnId),
    #[error("the request cannot be built")]
    Unbuildable(#[from] http::Error),
    #[error("it cannot be reached: {}", Chain(&**_0))]
    Unreachable(Box<dyn std::error::Error + Send + Sync>),
    #[error("the connection ended before the answer: {}", Chain(_0))]
    Broken(hyper::Error),
    #[error("no answer within {0:?}")]
    NoAnswer(Duration),
    /// The status of the answer, and what the answer calls the error.
    #[error("it answered {status}{text}")]
    Refused { status: u16, text: String },
}

impl PostError {
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether another attempt may be better: the same as the SDK thinks.
    fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Broken(_) | Self::NoAnswer(_) => true,
            Self::Refused { status, .. } => matches!(status, 429 | 500 | 502 | 503 | 504),
            Self::NotAnId(_) | Self::Unbuildable(_) => false,
        }
    }
}

impl Poster {
    pub(super) fn new(
        endpoint: Endpoint,
        keys: Keys,
        transport: &Transport,
        retry_config: RetryConfig,
    ) -> Result<Self, ConfigError> {
        let origin = endpoint.origin()?;
        let way = match transport.to(&origin.to_string()) {
            Some(local) => Way::Local(local),
            None => {
                let roots = if endpoint.is_encrypted() { system_roots()? } else { RootCertStore::empty() };
                Way::Network(Connections::new(origin, tls(roots)?))
            }
        };
        Ok(Self { endpoint, keys, way, retry_config })
    }

    #[cfg(test)]
    pub(super) fn over(connections: Connections, endpoint: Endpoint, keys: Keys, retry_config: RetryConfig) -> Self {
        Self { endpoint, keys, way: Way::Network(connections), retry_config }
    }

    /// Posts, as often and as long as the retry configuration says.
    pub(super) async fn post(&self, connection_id: &str, payload: &Payload) -> Result<GatewayAnswer, PostError> {
        let RetryConfig { attempts, attempt, call } = self.retry_config;
        let address = self.endpoint.address(connection_id)?;
        if attempts <= 1 {
            let post = timeout(call.min(attempt), self.attempt(&address, payload));
            return post.await.unwrap_or(Err(PostError::NoAnswer(call.min(attempt))));
        }
        let all = async {
            let mut pause = BACKOFF;
            for number in 1.. {
                let post = timeout(attempt, self.attempt(&address, payload));
                match post.await.unwrap_or(Err(PostError::NoAnswer(attempt))) {
                    Err(error) if number < attempts && error.is_passing() => {
                        tracing::debug!(%error, "posting again");
                        sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                        pause *= 2;
                    }
                    outcome => return outcome,
                }
            }
            Err(PostError::NoAnswer(call))
        };
        timeout(call, all).await.unwrap_or(Err(PostError::NoAnswer(call)))
    }

    /// Makes one post. A connection that was used before may have been closed meanwhile, by a server that is tired of
    /// it or while this function was frozen; that is found out only by sending something. Then the frame is sent once
    /// more over another one. The server may have taken it all the same, and so a client may get it twice: that is no
    /// more than the callers' own repetitions risk, who promise delivery at least once.
    async fn attempt(&self, address: &Address, payload: &Payload) -> Result<GatewayAnswer, PostError> {
        let connections = match &self.way {
            Way::Network(connections) => connections,
            Way::Local(local) => {
                let answer = local.call(self.request(address, payload, false)?).await;
                return read(answer.map_err(|error| PostError::Unreachable(error.into()))?).await.0;
            }
        };
        let mut is_second = false;
        loop {
            let mut lease = connections.lease().await.map_err(PostError::Unreachable)?;
            let request = self.request(address, payload, lease.is_http2())?;
            match (lease.send(request).await, lease.used()) {
                (Ok(answer), _) => {
                    let (outcome, is_over) = read(answer).await;
                    if is_over {
                        lease.is_over();
                    }
                    return outcome;
                }
                (Err(Unanswered::Unsent), Some(used)) => connections.forget_unused_since(used),
                (Err(Unanswered::Broken(error)), Some(used)) if !is_second => {
                    tracing::debug!(%error, "a connection was closed; posting over another one");
                    connections.forget_unused_since(used);
                    is_second = true;
                }
                (Err(Unanswered::Unsent), None) => return Err(PostError::Unreachable(CLOSED_AT_ONCE.into())),
                (Err(Unanswered::Broken(error)), _) => return Err(PostError::Broken(error)),
            }
        }
    }

    /// Signed now.
    fn request(
        &self,
        address: &Address,
        payload: &Payload,
        is_http2: bool,
    ) -> Result<Request<Full<Bytes>>, http::Error> {
        let now = SystemTime::now();
        let signature = self.keys.key(now)?.sign(&self.endpoint, address, payload, now)?;
        request(&self.endpoint, address, payload, signature, is_http2)
    }
}

/// A signed request, as HTTP/1.1 or HTTP/2 has it.
pub(super) fn request(
    endpoint: &Endpoint,
    address: &Address,
    payload: &Payload,
    signature: Signature,
    is_http2: bool,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let mut request = Request::new(Full::new(payload.body()));
    *request.method_mut() = Method::POST;
    let mut headers = HeaderMap::with_capacity(8);
    if is_http2 {
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = endpoint.absolute(address)?;
    } else {
        *request.uri_mut() = Uri::from(address.path().clone());
        headers.insert(HOST, endpoint.host().clone());
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(signature::CONTENT_TYPE));
    headers.insert(CONTENT_LENGTH, payload.len().into());
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(DATE, signature.date_time);
    if let Some(token) = signature.token {
        headers.insert(TOKEN, token);
    }
    headers.insert(AUTHORIZATION, signature.authorization);
    *request.headers_mut() = headers;
    Ok(request)
}

const CLOSED_AT_ONCE: &str = "it closed a new connection at once";

/// Reads an answer, and says whether to its end, after which the next post can go over the same connection. The status
/// decides; a body that cannot be read only costs its text.
async fn read<B>(answer: Response<B>) -> (Result<GatewayAnswer, PostError>, bool)
where
    B: hyper::body::Body<Data = Bytes, Error: std::error::Error + Send + Sync + 'static>,
{
    let (head, body) = answer.into_parts();
    let body = if body.is_end_stream() {
        Some(Bytes::new())
    } else {
        Limited::new(body, MAX_ANSWER).collect().await.ok().map(http_body_util::Collected::to_bytes)
    };
    let is_over = body.is_some();
    let outcome = match head.status.as_u16() {
        200..300 => Ok(GatewayAnswer::Accepted),
        410 => Ok(GatewayAnswer::Gone),
        status => Err(PostError::Refused { status, text: text(&head.headers, &body.unwrap_or_default()) }),
    };
    (outcome, is_over)
}

/// What the API calls an error, what it says about it, and the number by which AWS finds the call; each if it is there.
fn text(headers: &HeaderMap, body: &[u8]) -> String {
    #[derive(Default, Deserialize)]
    struct Answer {
        #[serde(alias = "Message")]
        message: Option<String>,
    }
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // Some services add the address of a description to the name.
    let kind = header("x-amzn-errortype").and_then(|kind| kind.split(':').next()).map(|kind| format!(" {kind}"));
    let message = serde_json::from_slice::<Answer>(body).unwrap_or_default().message;
    let message = message.map(|message| format!(": {message}"));
    let id = header("x-amzn-requestid").map(|id| format!(" (request {id})"));
    [kind, message, id].into_iter().flatten().collect()
}

/// What the system trusts. Loading it takes longest of all that is done at start, so it is not done where nothing is
/// encrypted.
fn system_roots() -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(ConfigError::Tls("the system has no certificates".into()));
    }
    Ok(roots)
}

/// TLS with the cryptography of the SDK's own client, so that programs have only one.
pub(super) fn tls(roots: RootCertStore) -> Result<ClientConfig, ConfigError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| ConfigError::Tls(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
