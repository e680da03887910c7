//! Lambda's Invoke API, as far as it is used here: one function has another one run and does not wait for it.
//!
//! A signed POST of its own instead of `aws-sdk-lambda`: that crate is generated for more than eighty operations, of which
//! this would use one that has no answer to be read. It would be the second largest thing to compile, and one more client
//! to be set up in every cold start of the function a client is waiting for. Signing is the SDK's, and the request is made
//! by its orchestrator with the HTTP client that all clients of a function have: its certificates are loaded once.

use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::{config::http::HttpResponse, error::SdkError};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::client::{
    identity::Identity,
    orchestrator::{HttpRequest, OrchestratorError},
};
use aws_smithy_types::body::SdkBody;
use http::{Request, StatusCode, header::CONTENT_TYPE};
use serde::Serialize;
use tokio::time::{sleep, timeout};

use crate::{
    Error,
    aws::Clients,
    config::{ConfigError, Environment},
};

/// An attempt without an answer for this long is tried again. Lambda only has to put the event into its queue.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// Most attempts of a call. With their pauses they are over before the ten seconds of the function that calls.
const ATTEMPTS: u32 = 4;

/// First pause between two attempts; it doubles.
const BACKOFF: Duration = Duration::from_millis(100);

/// The header that says whether the caller waits for the answer.
const INVOCATION_TYPE: &str = "x-amz-invocation-type";

/// A function that another one may have run.
pub struct AsynchronousFunction {
    lambda: Operation<HttpRequest, (), Refusal>,
    identity: Identity,
    region: String,
    endpoint: String,
    path: String,
}

/// Lambda's own error.
#[derive(Debug, thiserror::Error)]
#[error("Lambda answered {status}: {kind}")]
struct Refusal {
    status: u16,
    /// The type says it all.
    kind: String,
}

/// Why one attempt failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("no answer within {ATTEMPT_TIMEOUT:?}")]
    NoAnswer,
    #[error("Lambda cannot be reached: {0}")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error(transparent)]
    Refused(Refusal),
    #[error("the request cannot be built: {0}")]
    Unbuildable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Failure {
    /// Whether another attempt may be better.
    fn is_passing(&self) -> bool {
        match self {
            Self::NoAnswer | Self::Unreachable(_) => true,
            Self::Refused(Refusal { status, .. }) => *status == StatusCode::TOO_MANY_REQUESTS || *status >= 500,
            Self::Unbuildable(_) => false,
        }
    }
}

impl AsynchronousFunction {
    /// The function whose name is in that variable. `AWS_ENDPOINT_URL_LAMBDA`, or `AWS_ENDPOINT_URL`, points to a Lambda
    /// elsewhere than in `AWS_REGION`.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] without name or region.
    pub fn new(clients: &Clients, env: &Environment, name_variable: &'static str) -> Result<Self, ConfigError> {
        let region = env.required("AWS_REGION")?.to_owned();
        let given = env.optional("AWS_ENDPOINT_URL_LAMBDA").or_else(|| env.optional("AWS_ENDPOINT_URL"));
        let endpoint = given.map_or_else(|| endpoint_of(&region), |given| given.trim_end_matches('/').to_owned());
        Ok(Self {
            lambda: clients
                .operation(&endpoint)
                .service_name("Lambda")
                .operation_name("Invoke")
                .serializer(Ok)
                .deserializer(read)
                .build(),
            identity: clients.credentials().clone().into(),
            region,
            endpoint,
            path: format!("/2015-03-31/functions/{}/invocations", env.required(name_variable)?),
        })
    }

    /// Has the function run with this event, at least once and soon. What becomes of that is not known here.
    ///
    /// # Errors
    /// [`Error::Internal`] if Lambda did not take the event, after several attempts where another one may be better.
    pub async fn invoke(&self, event: &impl Serialize) -> Result<(), Error> {
        let failed = Error::internal("invoking a function");
        let body = match serde_json::to_string(event) {
            Ok(body) => body,
            Err(error) => return Err(failed(error)),
        };
        let mut pause = BACKOFF;
        for attempt in 1.. {
            match self.attempt(&body).await {
                Ok(()) => break,
                Err(failure) if attempt < ATTEMPTS && failure.is_passing() => {
                    tracing::debug!(%failure, "invoking a function again");
                    sleep(pause).await;
                    pause *= 2;
                }
                Err(failure) => return Err(Error::internal("invoking a function")(failure)),
            }
        }
        Ok(())
    }

    async fn attempt(&self, body: &str) -> Result<(), Failure> {
        let request = self.request(body).map_err(Failure::Unbuildable)?;
        let answer = timeout(ATTEMPT_TIMEOUT, self.lambda.invoke(request)).await.map_err(|_| Failure::NoAnswer)?;
        answer.map_err(|error| match error {
            SdkError::ServiceError(error) => Failure::Refused(error.into_err()),
            SdkError::TimeoutError(_) => Failure::NoAnswer,
            error => Failure::Unreachable(error.into()),
        })
    }

    /// A signed request. Its signature is good for some minutes, so each attempt has one of its own.
    fn request(&self, body: &str) -> Result<HttpRequest, Box<dyn std::error::Error + Send + Sync>> {
        // Signed with where it goes; that itself is added when it is sent.
        let url = format!("{}{}", self.endpoint, self.path);
        let mut request = Request::post(&self.path)
            .header(CONTENT_TYPE, "application/json")
            .header(INVOCATION_TYPE, "Event")
            .body(SdkBody::from(body))?;
        let headers = request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let signable = SignableRequest::new("POST", &url, headers, SignableBody::Bytes(body.as_bytes()))?;
        let parameters = SigningParams::builder()
            .identity(&self.identity)
            .region(&self.region)
            .name("lambda")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?;
        let (instructions, _signature) = sign(signable, &parameters.into())?.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        Ok(HttpRequest::try_from(request)?)
    }
}

fn endpoint_of(region: &str) -> String {
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://lambda.{region}.{suffix}")
}

/// What an answer says.
fn read(answer: &HttpResponse) -> Result<(), OrchestratorError<Refusal>> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let kind = answer.headers().get("x-amzn-errortype").unwrap_or_default().to_owned();
    Err(OrchestratorError::operation(Refusal { status: status.as_u16(), kind }))
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use axum::{
        Router,
        extract::Path,
        http::{HeaderMap, HeaderValue},
        routing::post,
    };
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;

    /// A Lambda that answers these statuses, the last one for ever.
    async fn lambda(statuses: &'static [u16]) -> (AsynchronousFunction, Arc<AtomicUsize>) {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let answer = async move |Path(name): Path<String>, headers: HeaderMap, body: String| {
            assert_eq!((name.as_str(), body.as_str()), ("stack-Handshake-1X", r#"{"a":"é"}"#));
            assert_eq!(headers[INVOCATION_TYPE], "Event");
            let authorization = headers["authorization"].to_str().unwrap();
            assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=key/"), "{authorization}");
            assert!(authorization.contains("/eu-central-1/lambda/aws4_request"), "{authorization}");
            assert!(authorization.contains("x-amz-invocation-type"), "{authorization}");
            assert_eq!(headers["x-amz-security-token"], "session");
            let call = counted.fetch_add(1, Ordering::SeqCst);
            let kind = [("x-amzn-errortype", HeaderValue::from_static("Kind"))];
            (StatusCode::from_u16(statuses[call.min(statuses.len() - 1)]).unwrap(), kind)
        };
        let router = Router::new().route("/2015-03-31/functions/{name}/invocations", post(answer));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (function(&endpoint), calls)
    }

    fn function(endpoint: &str) -> AsynchronousFunction {
        let env = [
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", "session"),
            ("AWS_ENDPOINT_URL_LAMBDA", endpoint),
            ("FUNCTION", "stack-Handshake-1X"),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
        AsynchronousFunction::new(&Clients::from_env(&env).unwrap(), &env, "FUNCTION").unwrap()
    }

    async fn outcome(statuses: &'static [u16]) -> (Result<(), String>, usize) {
        let (function, calls) = lambda(statuses).await;
        let outcome = function.invoke(&json!({ "a": "é" })).await;
        let outcome = outcome.map_err(|error| match error {
            Error::Internal { source, .. } => source.to_string(),
            other => panic!("{other:?}"),
        });
        (outcome, calls.load(Ordering::SeqCst))
    }

    #[tokio::test]
    async fn an_event_is_a_signed_post() {
        assert_eq!(outcome(&[202]).await, (Ok(()), 1));
    }

    #[tokio::test]
    async fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
        assert_eq!(outcome(&[429, 503, 202]).await, (Ok(()), 3));
        assert_eq!(outcome(&[500]).await, (Err("Lambda answered 500: Kind".to_owned()), 4));
        assert_eq!(outcome(&[403]).await, (Err("Lambda answered 403: Kind".to_owned()), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lambda_that_hangs_is_an_error_before_the_function_times_out() {
        let hanging = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let function = function(&format!("http://{}", hanging.local_addr().unwrap()));
        let started = tokio::time::Instant::now();
        assert!(function.invoke(&json!({})).await.is_err());
        assert!(started.elapsed() < Duration::from_secs(9), "{:?}", started.elapsed());
    }

    #[test]
    fn without_an_endpoint_it_is_the_lambda_of_the_region() {
        assert_eq!(endpoint_of("eu-central-1"), "https://lambda.eu-central-1.amazonaws.com");
        assert_eq!(endpoint_of("cn-north-1"), "https://lambda.cn-north-1.amazonaws.com.cn");
    }
}
