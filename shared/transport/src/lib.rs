//! How requests get from a function to the services it calls: over the network, or, where function and services are one
//! process, from hand to hand.
//!
//! On Lambda everything goes over the network. A program that has services of its own names the authorities (`host:port`)
//! they are reached at; requests for these are what they would be on the wire, signature included, and are handed to the
//! service without a connection in between. Time limits, repetitions and errors of the callers stay the same.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::{
    collections::HashMap,
    convert::Infallible,
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient as _, HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::HttpError,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use tokio::{sync::Semaphore, task::yield_now};
use tower::{ServiceExt as _, util::BoxCloneSyncService};

/// Calls of SDK clients over the network at the same time, of all functions of a process; others wait, within their own
/// time limits. Each has a connection, and a connection is an open file. On Lambda only a broadcast that closes more sockets at
/// once than this comes to the limit.
const NETWORK_AT_ONCE: usize = 64;

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, BrokenBody>;

/// A service of this process.
pub type Service = BoxCloneSyncService<Request<Full<Bytes>>, Response<Body>, Infallible>;

/// The services of this process, by authority. By default there are none.
#[derive(Clone, Default)]
pub struct Transport {
    services: Arc<RwLock<HashMap<String, Option<Service>>>>,
    network: Arc<Network>,
}

/// Calls over the network.
#[derive(Debug)]
struct Network(Semaphore);

impl Default for Network {
    fn default() -> Self {
        Self(Semaphore::new(NETWORK_AT_ONCE))
    }
}

/// The way to one of them.
#[derive(Clone)]
pub struct Local {
    transport: Transport,
    authority: String,
}

/// The service is not there yet, or not any more.
#[derive(Debug, thiserror::Error)]
#[error("nobody answers at {0} in this process")]
pub struct NobodyThere(String);

/// The rest of an answer is not there.
#[derive(Debug, thiserror::Error)]
#[error("the answer ended early: {0}")]
pub struct BrokenBody(#[source] pub Box<dyn std::error::Error + Send + Sync>);

impl Transport {
    /// Requests for this authority, such as `127.0.0.1:3000`, stay in this process; [`Transport::connect`] says who answers
    /// them. It takes effect for clients that are made afterwards.
    pub fn announce(&self, authority: impl Into<String>) {
        self.change(|services| _ = services.entry(authority.into()).or_default());
    }

    /// Connects a service: from now on it answers requests for the authority.
    pub fn connect(&self, authority: impl Into<String>, service: Service) {
        self.change(|services| _ = services.insert(authority.into(), Some(service)));
    }

    /// Disconnects all services, so that nobody answers any more. Services that call functions have to be let go like
    /// this, as functions hold the transport that holds the services.
    pub fn disconnect(&self) {
        self.change(|services| services.values_mut().for_each(|service| *service = None));
    }

    /// The way to the service at this URL, if it is one of this process.
    #[must_use]
    pub fn to(&self, url: &str) -> Option<Local> {
        let uri: Uri = url.parse().ok()?;
        let authority = uri.authority()?.as_str();
        let is_here = self.services().contains_key(authority);
        is_here.then(|| Local { transport: self.clone(), authority: authority.to_owned() })
    }

    /// A client for the AWS SDK whose calls go over the network, with no more than so many connections.
    #[must_use]
    pub fn bounded(&self, client: SharedHttpClient) -> SharedHttpClient {
        let network = Arc::clone(&self.network);
        http_client_fn(move |settings, components| {
            let connector = client.http_connector(settings, components);
            SharedHttpConnector::new(Bounded { connector, network: Arc::clone(&network) })
        })
    }

    fn services(&self) -> RwLockReadGuard<'_, HashMap<String, Option<Service>>> {
        self.services.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, how: impl FnOnce(&mut HashMap<String, Option<Service>>)) {
        how(&mut self.services.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Local {
    /// Hands a request over.
    ///
    /// # Errors
    /// [`NobodyThere`], as a refused connection would be.
    pub async fn call(&self, request: Request<Full<Bytes>>) -> Result<Response<Body>, NobodyThere> {
        // As over a network, calls that are made together are under way together, and none is answered before the others
        // have begun: what became of the others is what a refusal is judged by. Nothing else here waits, so without this
        // whoever makes many calls would keep a thread, and its clock, for as long as they take together.
        yield_now().await;
        let service = {
            let services = self.transport.services();
            services.get(&self.authority).cloned().flatten()
        };
        let service = service.ok_or_else(|| NobodyThere(self.authority.clone()))?;
        let Ok(answer) = service.oneshot(request).await;
        Ok(answer)
    }

    /// A client for the AWS SDK.
    #[must_use]
    pub fn http_client(self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self);
        http_client_fn(move |_, _| connector.clone())
    }

    async fn exchange(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let wrong = |error: HttpError| ConnectorError::user(error.into());
        let (head, body) = request.try_into_http1x().map_err(wrong)?.into_parts();
        let body = body.bytes().ok_or_else(|| ConnectorError::user("a body that is not in memory".into()))?;
        let request = Request::from_parts(head, Full::new(Bytes::copy_from_slice(body)));
        let answer = self.call(request).await.map_err(|error| ConnectorError::io(error.into()))?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| ConnectorError::io(error.into()))?.to_bytes();
        HttpResponse::try_from(Response::from_parts(head, SdkBody::from(body))).map_err(wrong)
    }
}

impl HttpConnector for Local {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().exchange(request))
    }
}

/// A connector with a bound that it shares.
#[derive(Debug)]
struct Bounded {
    connector: SharedHttpConnector,
    network: Arc<Network>,
}

impl HttpConnector for Bounded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (connector, network) = (self.connector.clone(), Arc::clone(&self.network));
        HttpConnectorFuture::new(async move {
            // It is never closed.
            let _turn = network.0.acquire().await;
            connector.call(request).await
        })
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Local").field(&self.authority).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tower::service_fn;

    use super::*;

    /// Answers with what it was asked.
    fn echo() -> Service {
        BoxCloneSyncService::new(service_fn(async |request: Request<Full<Bytes>>| {
            let asked = format!("{} {}", request.method(), request.uri());
            Ok(Response::new(UnsyncBoxBody::new(Full::from(asked).map_err(|never| match never {}))))
        }))
    }

    async fn ask(local: &Local) -> Result<String, NobodyThere> {
        let answer = local.call(Request::new(Full::default())).await?;
        Ok(String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
    }

    /// Answers after a moment, and knows how many waited at most.
    #[derive(Debug, Default)]
    struct Slow {
        now: AtomicUsize,
        most: Arc<AtomicUsize>,
    }

    impl HttpConnector for Slow {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            HttpConnectorFuture::new(std::future::pending())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_over_the_network_are_no_more_at_once_than_there_are_files_for() {
        let (transport, most) = (Transport::default(), Arc::new(AtomicUsize::new(0)));
        let connector = SharedHttpConnector::new(Slow { most: Arc::clone(&most), ..Slow::default() });
        let connectors = [(); 2].map(|()| Bounded { connector: connector.clone(), network: transport.clone().network });
        let calls = (0..500).map(|call| connectors[call % 2].call(HttpRequest::get("http://there:1/").unwrap()));
        let all = futures::future::join_all(calls);
        assert!(tokio::time::timeout(std::time::Duration::from_secs(1), all).await.is_err());
        assert_eq!(most.load(Ordering::SeqCst), NETWORK_AT_ONCE);
    }

    #[tokio::test]
    async fn only_what_is_announced_stays_in_the_process() {
        let transport = Transport::default();
        transport.announce("127.0.0.1:3000");
        assert!(transport.to("http://127.0.0.1:3001/dev").is_none());
        assert!(transport.to("https://abc.execute-api.eu-central-1.amazonaws.com/prod").is_none());
        assert!(transport.to("/dev").is_none());
        assert!(transport.to("http://127.0.0.1:3000/dev").is_some());
    }

    #[tokio::test]
    async fn a_service_answers_from_when_it_is_connected_until_it_is_let_go() {
        let transport = Transport::default();
        transport.announce("here:1");
        let local = transport.to("http://here:1").unwrap();
        assert!(ask(&local).await.is_err(), "not yet");
        transport.connect("here:1", echo());
        assert_eq!(ask(&local).await.unwrap(), "GET /");
        transport.announce("here:1");
        assert!(ask(&local).await.is_ok(), "it is still there");
        transport.disconnect();
        assert!(ask(&local).await.unwrap_err().to_string().contains("here:1"), "not any more");
    }
}
