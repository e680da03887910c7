//! Requests against an HTTP API whose functions are a Lambda Invoke API that is not there, or fail before they reach it.

use std::{collections::HashMap, net::SocketAddr};

use axum::body::Body;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    event_source::Poke,
    faults::{Fault, Faults, Often},
    functions::COMPILES_WITHIN,
    server::Scissors,
    template::Template,
};

const TEMPLATE: &str = "
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: ../functions/f
      Events: { E: { Type: HttpApi, Properties: { Path: '/users/{id}', Method: GET } } }
";

fn functions(faults: Vec<Fault>) -> (Template, Functions) {
    let template = Template::parse(TEMPLATE).unwrap();
    let in_force = Arc::new(Faults::default());
    in_force.set(faults);
    let nowhere = Some("http://127.0.0.1:9");
    let functions =
        Functions::start(template.functions(), &HashMap::new(), nowhere, Poke::default(), in_force).unwrap();
    (template, functions)
}

fn peer() -> Peer {
    Peer { address: ([203, 0, 113, 7], 4711).into(), scissors: Scissors::default() }
}

/// The status of `GET /users/5` of a function that is so slow, or fails.
async fn status(fault: Fault, integration: Duration) -> StatusCode {
    let (template, functions) = functions(vec![fault]);
    let routes = template.functions()[0].routes.iter().map(|route| (route.clone(), "F".to_owned())).collect();
    let api = Arc::new(HttpApi { functions, routes, integration });
    let request = Request::get("/users/5").body(Body::empty()).unwrap();
    handle(State(api), ConnectInfo(peer()), request).await.status()
}

#[tokio::test(start_paused = true)]
async fn a_functions_own_time_out_is_500_and_one_of_the_integration_503() {
    let second = Duration::from_secs(1);
    let slow = |time| Fault::Slow("f".to_owned(), time);
    let own = status(slow(COMPILES_WITHIN + second), COMPILES_WITHIN + second * 2).await;
    assert_eq!(own, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(status(slow(INTEGRATION + second), INTEGRATION).await, StatusCode::SERVICE_UNAVAILABLE);
    let failing = Fault::Fail("f".to_owned(), Often::Next(1));
    assert_eq!(status(failing, INTEGRATION).await, StatusCode::INTERNAL_SERVER_ERROR);
}

#[test]
fn an_event_has_the_variables_of_its_path() {
    let event = |path: &str, pattern: &str| -> Value {
        let request = Request::get(path).body(()).unwrap();
        let routes = [(Route { method: "GET".into(), path: pattern.into() }, "F".to_owned())];
        let route = route::choose(&routes, &Method::GET, path).unwrap();
        event::to_json(&request_event(&request.into_parts().0, &Bytes::new(), route, &peer()))
    };
    let with = event("/users/a%20b", "/users/{id}");
    assert_eq!(with["pathParameters"], json!({"id": "a b"}));
    assert_eq!((&with["routeKey"], &with["rawPath"]), (&json!("GET /users/{id}"), &json!("/users/a%20b")));
    assert!(event("/health", "/health").get("pathParameters").is_none(), "absent, not empty");
}

async fn preflight(to: SocketAddr) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let request = "OPTIONS /users/5 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nOrigin: https://any.example\r\n\
                   Access-Control-Request-Method: GET\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_star_allows_every_origin() {
    let (template, functions) = functions(vec![]);
    let cors = Cors { allow_origins: vec!["*".to_owned()], ..Cors::default() };
    let router = router(functions, template.functions(), Some(&cors), INTEGRATION);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = async {
        tokio::select! { _ = axum::serve(listener, router) => String::new(), answer = preflight(address) => answer }
    };
    let answer = server.await;
    assert!(answer.to_lowercase().contains("access-control-allow-origin: *"), "{answer}");
}

#[test]
fn a_star_with_credentials_is_refused_in_words() {
    let star = |list: &str| {
        let mut cors = Cors { allow_credentials: true, ..Cors::default() };
        match list {
            "AllowOrigins" => cors.allow_origins.push("*".to_owned()),
            "AllowHeaders" => cors.allow_headers.push("*".to_owned()),
            _ => {}
        }
        check_cors(&cors)
    };
    for list in ["AllowOrigins", "AllowHeaders"] {
        assert!(star(list).unwrap_err().to_string().contains(list));
    }
    assert!(star("").is_ok());
}

#[test]
fn the_gateway_says_itself_where_a_request_comes_from_and_every_header_has_a_text() {
    let sent = [
        ("x-forwarded-for", &b"198.51.100.1"[..]),
        ("x-forwarded-proto", b"https://x/?"),
        ("x-forwarded-port", b""),
        ("host", b"localhost:3000"),
        ("accept", b"a"),
        ("accept", b"b"),
        ("cookie", b"c=1"),
        ("x-bytes", b"a\xff"),
    ];
    let mut map = HeaderMap::new();
    for (name, value) in sent {
        map.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
    }
    assert_eq!(
        json!(headers(&map, &peer())),
        json!({
            "x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "http", "x-forwarded-port": "3000",
            "host": "localhost:3000", "accept": "a,b", "x-bytes": "a\u{fffd}",
        })
    );
}
