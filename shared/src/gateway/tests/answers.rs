//! What answers mean: the same as they meant when the SDK made these calls.

use aws_sdk_apigatewaymanagement::{operation::post_to_connection::PostToConnectionError, primitives::Blob};
use axum::{Router, extract::Path, response::IntoResponse, routing::post};
use http::{HeaderMap, StatusCode};

use super::*;

/// Status, type of error and body of an answer.
type Answer = (u16, Option<&'static str>, &'static str);

const ANSWERS: [Answer; 16] = [
    (200, None, ""),
    (204, None, ""),
    (410, Some("GoneException"), ""),
    (410, None, ""),
    (410, None, r#"{"message":null}"#),
    (413, Some("PayloadTooLargeException"), r#"{"message":"Payload too large"}"#),
    (413, None, "<html>"),
    (429, Some("LimitExceededException"), ""),
    (429, None, ""),
    (403, Some("ForbiddenException"), r#"{"message":"Forbidden"}"#),
    (403, Some("AccessDeniedException:http://x/"), r#"{"Message":"User: a is not authorized to perform: b"}"#),
    (400, Some("BadRequestException"), r#"{"message":"Invalid connectionId: x"}"#),
    (500, Some("InternalServerErrorException"), "{}"),
    (503, None, ""),
    (504, None, r#"{"message":"Endpoint request timed out"}"#),
    (302, None, ""),
];

/// Answers the n-th of [`ANSWERS`] to whoever posts to connection n.
async fn answering() -> String {
    let answer = async |Path(number): Path<usize>| {
        let (status, kind, body) = ANSWERS[number];
        let mut headers = HeaderMap::new();
        headers.insert("x-amzn-requestid", "c6af9ac6".parse().unwrap());
        if let Some(kind) = kind {
            headers.insert("x-amzn-errortype", kind.parse().unwrap());
        }
        (StatusCode::from_u16(status).unwrap(), headers, body).into_response()
    };
    let router = Router::new().route("/prod/@connections/{id}", post(answer));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}/prod", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    endpoint
}

/// Makes a post with the SDK: what its answer meant while the SDK made these calls.
async fn by_the_sdk(endpoint: &str, id: &str) -> Result<GatewayAnswer, GatewayError> {
    let env = env(endpoint);
    let clients = Clients::from_env(&env).unwrap();
    let client = clients.management_without_retries(&env, Duration::from_secs(3)).unwrap();
    match client.post_to_connection().connection_id(id).data(Blob::new("2")).send().await {
        Ok(_) => Ok(GatewayAnswer::Accepted),
        Err(error) if is_gone(&error, PostToConnectionError::is_gone_exception) => Ok(GatewayAnswer::Gone),
        Err(error) => Err(GatewayError::of(error)),
    }
}

/// What callers look at.
fn seen(outcome: Result<GatewayAnswer, GatewayError>) -> Result<GatewayAnswer, (Option<u16>, bool)> {
    outcome.map_err(|error| (error.status, error.is_too_large()))
}

#[tokio::test]
async fn every_answer_means_what_it_meant_with_the_sdk() {
    let endpoint = answering().await;
    let gateway = gateway(&endpoint);
    for (number, answer) in ANSWERS.into_iter().enumerate() {
        let id = number.to_string();
        let ours = seen(gateway.post(&id, &Payload::new("2")).await);
        assert_eq!(ours, seen(by_the_sdk(&endpoint, &id).await), "{answer:?}");
    }
    assert_eq!(gateway.take_sent(), 2, "only what was accepted is billed");
}

#[tokio::test]
async fn an_error_says_what_the_gateway_says() {
    let endpoint = answering().await;
    let gateway = gateway(&endpoint);
    let text =
        async |number: usize| gateway.post(&number.to_string(), &Payload::new("2")).await.unwrap_err().to_string();
    assert_eq!(text(7).await, "management API: it answered 429 LimitExceededException (request c6af9ac6)");
    assert_eq!(text(9).await, "management API: it answered 403 ForbiddenException: Forbidden (request c6af9ac6)");
    assert_eq!(
        text(10).await,
        "management API: it answered 403 AccessDeniedException: User: a is not authorized to perform: b (request c6af9ac6)"
    );
    assert_eq!(text(13).await, "management API: it answered 503 (request c6af9ac6)");
}

#[tokio::test]
async fn a_gateway_that_is_not_there_is_named_in_the_error() {
    let nobody = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}/prod", nobody.local_addr().unwrap());
    drop(nobody);
    let error = gateway(&endpoint).post("a", &Payload::new("2")).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("cannot be reached") && text.contains("refused"), "{text}");
    assert_eq!(seen(Err(error)), seen(by_the_sdk(&endpoint, "a").await));
}

#[tokio::test]
async fn a_gateway_that_hangs_is_an_error_after_the_callers_time() {
    let script = Script::play(|_, _| Act::Hang).await;
    let env = env(&script.endpoint());
    let clients = Clients::from_env(&env).unwrap();
    let gateway = Gateway::without_retries(&clients, &env, Duration::from_millis(50)).unwrap();
    let error = gateway.post("a", &Payload::new("2")).await.unwrap_err();
    assert_eq!(error.to_string(), "management API: no answer within 50ms");
    assert!(script.counts().1 <= 1, "it is asked once");
}

#[tokio::test]
async fn what_is_no_id_is_an_error_without_a_call() {
    let script = Script::play(|_, _| Act::Answer).await;
    for id in ["", ".", ".."] {
        let error = gateway(&script.endpoint()).post(id, &Payload::new("2")).await.unwrap_err();
        assert!(error.to_string().contains("is not the id of a connection"), "{error}");
    }
    assert_eq!(script.counts(), (0, 0));
}

#[tokio::test]
async fn without_a_session_token_none_is_sent() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}/prod", listener.local_addr().unwrap());
    let variables = env(&endpoint);
    let variables = variables.iter().filter(|(name, _)| *name != "AWS_SESSION_TOKEN");
    let env: Environment = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let gateway = Gateway::new(&Clients::from_env(&env).unwrap(), &env).unwrap();
    let (id, payload) = ("QQFxqeZfIAMCKRA=", Payload::new("42[\"users.updated\",{}]"));
    let read = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_request(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        request
    };
    let (outcome, request) = tokio::join!(gateway.post(id, &payload), read);
    assert_eq!(outcome.unwrap(), GatewayAnswer::Accepted);
    assert!(request.starts_with("POST /prod/@connections/QQFxqeZfIAMCKRA%3D HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("SignedHeaders=content-length;content-type;host;x-amz-date, "), "{request}");
    assert!(!request.contains("x-amz-security-token"), "{request}");
    assert!(request.ends_with("\r\n\r\n42[\"users.updated\",{}]"), "{request}");
}

/// What came of posting with repetitions, and after how many requests.
async fn insisting(statuses: &'static [u16]) -> (Result<GatewayAnswer, Option<u16>>, usize) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let answer = async move || {
        let call = counted.fetch_add(1, Ordering::SeqCst);
        StatusCode::from_u16(statuses[call.min(statuses.len() - 1)]).unwrap()
    };
    let router = Router::new().route("/prod/@connections/{id}", post(answer));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let env = env(&format!("http://{}/prod", listener.local_addr().unwrap()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let gateway = Gateway::new(&Clients::from_env(&env).unwrap(), &env).unwrap();
    let outcome = gateway.post("a", &Payload::new("2")).await;
    (outcome.map_err(|error| error.status), calls.load(Ordering::SeqCst))
}

#[tokio::test]
async fn who_wants_repetitions_gets_them_where_they_may_help() {
    assert_eq!(insisting(&[429, 503, 200]).await, (Ok(GatewayAnswer::Accepted), 3));
    assert_eq!(insisting(&[502]).await, (Err(Some(502)), 4));
    assert_eq!(insisting(&[403]).await, (Err(Some(403)), 1));
    assert_eq!(insisting(&[410]).await, (Ok(GatewayAnswer::Gone), 1));
}
