//! Where the policies are enforced: in front of DynamoDB, of the management API, of Lambda, and of SES and SNS.

use std::{future::pending, io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, Request, State},
    http::{self, HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinHandle};
use tower::ServiceExt as _;
use transport::Service;

use super::{Call, Permissions, call};
use crate::{
    dynamodb::Database,
    functions,
    invoke_api::Names,
    own_host,
    server::{Port, in_process, serve},
    tally::Spent,
};

/// A reverse proxy in front of DynamoDB that lets functions do what they are granted. It ends when dropped.
pub(crate) struct Guard {
    address: SocketAddr,
    /// Answers as the port does.
    service: Service,
    server: JoinHandle<()>,
}

struct Upstream {
    database: Behind,
    stack: String,
    permissions: Arc<Permissions>,
    turns: Semaphore,
}

/// Where allowed requests go.
enum Behind {
    /// A database of this process.
    Service(Service),
    /// Any other one, at this endpoint.
    Network(reqwest::Client, String),
}

/// Requests that are passed on at the same time; more of them would only use up file descriptors.
const AT_ONCE: usize = 64;

impl Guard {
    pub(crate) async fn start(database: &Database, stack: &str, permissions: Arc<Permissions>) -> io::Result<Self> {
        let port = Port::bind_one(([127, 0, 0, 1], 0).into()).await?;
        let address = port.local_addr()?;
        let network = || Behind::Network(reqwest::Client::new(), database.endpoint().to_owned());
        let upstream = Upstream {
            database: database.service().map_or_else(network, Behind::Service),
            stack: stack.to_owned(),
            permissions,
            turns: Semaphore::new(AT_ONCE),
        };
        let router = Router::new().fallback(forward).with_state(Arc::new(upstream));
        let router = router.layer(axum::extract::DefaultBodyLimit::disable());
        let router = own_host::only(router, &[]);
        let service = in_process(router.clone(), address);
        let server = tokio::spawn(serve(port, router, pending()));
        Ok(Self { address, service, server })
    }

    /// The guard as a service for requests of this process.
    pub(crate) fn service(&self) -> Service {
        self.service.clone()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL for the functions' `AWS_ENDPOINT_URL_DYNAMODB`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn forward(State(upstream): State<Arc<Upstream>>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(denied) = upstream.judge(&headers, &body) {
        return refused(StatusCode::BAD_REQUEST, &denied);
    }
    let _turn = upstream.turns.acquire().await;
    let passed_on = headers.into_iter().filter_map(|(name, value)| Some((name?, value)));
    let passed_on = passed_on.filter(|(name, _)| *name != header::HOST && *name != header::CONTENT_LENGTH).collect();
    match &upstream.database {
        Behind::Service(service) => hand_over(service.clone(), passed_on, body).await,
        Behind::Network(client, endpoint) => send(client.post(endpoint).headers(passed_on).body(body)).await,
    }
}

async fn hand_over(service: Service, headers: HeaderMap, body: Bytes) -> Response {
    let mut request = http::Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.headers_mut() = headers;
    // The database wants to be called by a name of this machine.
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
    let Ok(answer) = service.oneshot(request).await;
    answer.map(Body::new)
}

async fn send(request: reqwest::RequestBuilder) -> Response {
    match request.send().await {
        Ok(answer) => {
            let (status, headers) = (answer.status(), answer.headers().clone());
            let mut response = (status, Body::from(answer.bytes().await.unwrap_or_default())).into_response();
            let kept = headers.into_iter().filter_map(|(name, value)| Some((name?, value)));
            response.headers_mut().extend(kept.filter(|(name, _)| name != header::TRANSFER_ENCODING));
            response
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

impl Upstream {
    fn judge(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Call> {
        let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let operation = call::operation(target);
        for (action, resource) in call::needs(operation, &request, &self.stack) {
            self.permissions.judge(caller(headers), action, resource)?;
        }
        self.permissions.spend(caller(headers), Spent::request(operation, &request));
        Ok(())
    }
}

/// Guards the management API: `POST` or `DELETE` on `/<stage>/@connections/<id>`.
pub(crate) async fn of_management(
    State((permissions, stage)): State<(Arc<Permissions>, String)>,
    request: Request,
    next: Next,
) -> Response {
    // Never the connection itself: policies do not name it, and recordings of two runs must be the same.
    let resource = format!(
        "arn:aws:execute-api:{}:{}:{}/{stage}/{}/@connections/*",
        crate::REGION,
        crate::event::ACCOUNT,
        crate::event::API_ID,
        request.method()
    );
    let (caller, method) = (caller(request.headers()).to_owned(), request.method().to_string());
    match permissions.judge(&caller, "execute-api:ManageConnections".to_owned(), resource) {
        Ok(()) => {
            let answer = next.run(request).await;
            // One that was refused is no message.
            if answer.status().is_success() {
                permissions.spend(&caller, Spent::management(&method));
            }
            answer
        }
        Err(denied) => refused(StatusCode::FORBIDDEN, &denied),
    }
}

/// Guards Lambda's Invoke API, whatever the invocation type.
pub(crate) async fn of_functions(
    State((permissions, names)): State<(Arc<Permissions>, Names)>,
    Path(name): Path<String>,
    request: Request,
    next: Next,
) -> Response {
    // One that does not exist is as good as any other that was not granted.
    let function = names.function(&name, None).unwrap_or(&name).to_owned();
    match permissions.judge(caller(request.headers()), "lambda:InvokeFunction".to_owned(), functions::arn(&function)) {
        Ok(()) => next.run(request).await,
        Err(denied) => refused(StatusCode::FORBIDDEN, &denied),
    }
}

/// Guards Amazon SES and SNS: an e-mail from an identity, a text message to a number, which has no ARN. The identity
/// has a default configuration set, as many have: SES then asks for a permission on both.
pub(crate) async fn of_messages(State(permissions): State<Arc<Permissions>>, request: Request, next: Next) -> Response {
    let of_ses = |resource: &str| format!("arn:aws:ses:{}:{}:{resource}", crate::REGION, crate::event::ACCOUNT);
    let (action, resources) = match (request.method(), request.uri().path()) {
        (&Method::POST, "/") => ("sns:Publish", vec!["*".to_owned()]),
        (&Method::POST, _) => ("ses:SendEmail", vec![of_ses("identity/sender"), of_ses("configuration-set/default")]),
        // The page for developers.
        _ => return next.run(request).await,
    };
    for resource in resources {
        if let Err(denied) = permissions.judge(caller(request.headers()), action.to_owned(), resource) {
            return refused(StatusCode::FORBIDDEN, &denied);
        }
    }
    next.run(request).await
}

/// The access key id of a signed request: `AWS4-HMAC-SHA256 Credential=<id>/…`.
fn caller(headers: &HeaderMap) -> &str {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let credential = authorization.split_once("Credential=").map_or("", |(_, rest)| rest);
    credential.split('/').next().unwrap_or_default()
}

fn refused(status: StatusCode, call: &Call) -> Response {
    let Call { function, action, resource } = call;
    let message =
        format!("{function} is not authorized to perform: {action} on resource: {resource}; grant it in the template");
    let body = json!({ "__type": "com.amazon.coral.service#AccessDeniedException", "message": message });
    let headers =
        [(header::CONTENT_TYPE.as_str(), "application/x-amz-json-1.0"), ("x-amzn-errortype", "AccessDeniedException")];
    (status, headers, body.to_string()).into_response()
}
