//! The SDK as the oracle of signatures, and what happens to keys over time.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use aws_sdk_apigatewaymanagement::{
    Config,
    config::{
        BehaviorVersion, ConfigBag, Intercept, Region, RuntimeComponents,
        interceptors::BeforeTransmitInterceptorContextMut,
    },
    primitives::Blob,
};
use aws_smithy_async::time::StaticTimeSource;
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    interceptors::dyn_dispatch_hint,
    orchestrator::{HttpRequest, HttpResponse},
};
use aws_smithy_types::body::SdkBody;
use proptest::prelude::*;

use super::*;
use crate::gateway::poster::request;

const REGION: &str = "eu-central-1";
const ENDPOINTS: [&str; 5] = [
    "https://abc123.execute-api.eu-central-1.amazonaws.com/prod",
    "https://abc123.execute-api.eu-central-1.amazonaws.com:443/prod/",
    "https://ws.example.com",
    "http://127.0.0.1:3000/a-b_c~d",
    "http://localhost:80/prod/v1",
];

/// What would be sent, as far as it is signed or names the receiver.
type Sent = (String, BTreeMap<String, String>, Vec<u8>);

fn headers<'a>(all: impl Iterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    let left_out = ["user-agent", "x-amz-user-agent", "amz-sdk-invocation-id", "amz-sdk-request", "host"];
    all.filter(|(name, _)| !left_out.contains(name)).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The header of Amazon's statistics is signed where it is sent, and it is not sent here.
#[derive(Debug)]
struct WithoutStatistics;

#[dyn_dispatch_hint]
impl Intercept for WithoutStatistics {
    fn name(&self) -> &'static str {
        "without statistics"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        context.request_mut().headers_mut().remove("x-amz-user-agent");
        Ok(())
    }
}

/// Keeps what the SDK sends, and accepts it.
#[derive(Debug, Clone, Default)]
struct Captured(Arc<Mutex<Option<HttpRequest>>>);

impl HttpConnector for Captured {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        *self.0.lock().unwrap() = Some(request);
        let answer = http::Response::builder().status(200).body(SdkBody::empty()).unwrap();
        HttpConnectorFuture::ready(Ok(HttpResponse::try_from(answer).unwrap()))
    }
}

/// What the SDK sends.
async fn by_the_sdk(endpoint: &str, credentials: Credentials, id: &str, body: &str, now: SystemTime) -> Sent {
    let captured = Captured::default();
    let connector = captured.clone();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(credentials)
        .endpoint_url(endpoint)
        .time_source(StaticTimeSource::new(now))
        .interceptor(WithoutStatistics)
        .http_client(http_client_fn(move |_, _| SharedHttpConnector::new(connector.clone())))
        .build();
    let post = Client::from_conf(config).post_to_connection().connection_id(id).data(Blob::new(body));
    post.send().await.unwrap();
    let request = captured.0.lock().unwrap().take().unwrap();
    (request.uri().to_owned(), headers(request.headers().iter()), request.body().bytes().unwrap().to_vec())
}

/// What is sent here, over HTTP/1.1 or HTTP/2.
fn by_us(endpoint: &str, credentials: &Credentials, id: &str, body: &str, now: SystemTime, is_http2: bool) -> Sent {
    let endpoint = Endpoint::parse(endpoint).unwrap();
    let (address, payload) = (endpoint.address(id).unwrap(), Payload::new(body));
    let key = SigningKey::derive(credentials, REGION, now).unwrap();
    let signature = key.sign(&endpoint, &address, &payload, now).unwrap();
    let request = request(&endpoint, &address, &payload, signature, is_http2).unwrap();
    assert_eq!(request.headers().get("host").is_some(), !is_http2);
    let uri = if is_http2 { request.uri().clone() } else { endpoint.absolute(&address).unwrap() };
    assert_eq!(request.uri().path(), uri.path());
    let all = request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    (uri.to_string(), headers(all), payload.body().to_vec())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn credentials(id: &str, token: Option<&str>) -> Credentials {
    Credentials::new(id, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token.map(str::to_owned), None, "test")
}

fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(second)
}

/// Midnight at the beginning of 26 November 2026.
const MIDNIGHT: u64 = 1_795_651_200;

proptest! {
    #[test]
    fn the_signature_is_the_one_the_sdk_makes(
        endpoint in proptest::sample::select(&ENDPOINTS),
        id in prop_oneof!["[A-Za-z0-9_-]{15}=", "\\PC{1,40}"].prop_filter("an id", |id| ![".", ".."].contains(&id.as_str())),
        body in "\\PC{0,300}",
        access_key in "[A-Z0-9]{16,20}",
        secret in "[!-~]{1,60}",
        token in proptest::option::of("[!-~]{1,900}"),
        second in 0_u64..7_258_118_400,
        nanos in 0_u32..1_000_000_000,
        is_http2: bool,
    ) {
        let now = at(second) + Duration::from_nanos(nanos.into());
        let credentials = Credentials::new(access_key, secret, token, None, "test");
        let ours = by_us(endpoint, &credentials, &id, &body, now, is_http2);
        let theirs = runtime().block_on(by_the_sdk(endpoint, credentials, &id, &body, now));
        prop_assert_eq!(ours, theirs);
    }
}

#[test]
fn the_signature_is_the_one_the_sdk_makes_on_both_sides_of_midnight() {
    let (endpoint, id) = (ENDPOINTS[0], "QQFxqeZfIAMCKRA=");
    let credentials = credentials("AKIDEXAMPLE", Some("session"));
    for second in [MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + 1, 951_782_399, 951_868_800, 1_709_164_800] {
        let theirs = runtime().block_on(by_the_sdk(endpoint, credentials.clone(), id, "2", at(second)));
        assert_eq!(by_us(endpoint, &credentials, id, "2", at(second), false), theirs, "{second}");
    }
}

#[test]
fn a_key_of_yesterday_is_not_used_today() {
    let keys = Keys::new(credentials("A", None), REGION.to_owned());
    let endpoint = Endpoint::parse(ENDPOINTS[0]).unwrap();
    let address = endpoint.address("QQFxqeZfIAMCKRA=").unwrap();
    let signer = |now| {
        let signature = keys.key(now).unwrap().sign(&endpoint, &address, &Payload::new("2"), now).unwrap();
        let authorization = signature.authorization.to_str().unwrap();
        let rest = authorization.strip_prefix("AWS4-HMAC-SHA256 Credential=").unwrap();
        rest.split_once("/eu-central-1/").unwrap().0.to_owned()
    };
    assert_eq!(signer(at(MIDNIGHT - 1)), "A/20261125");
    assert_eq!(signer(at(MIDNIGHT)), "A/20261126");
    assert_eq!(signer(at(MIDNIGHT + 60)), "A/20261126");
    let key = |second| keys.key(at(second)).unwrap();
    assert!(Arc::ptr_eq(&key(MIDNIGHT), &key(MIDNIGHT + 86_399)), "one derivation a day");
}

#[test]
fn a_session_token_that_no_header_can_have_is_an_error() {
    let keys = Keys::new(credentials("A", Some("a\nb")), REGION.to_owned());
    assert!(keys.key(at(MIDNIGHT)).is_err());
}
