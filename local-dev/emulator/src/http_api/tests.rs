//! Requests against an HTTP API whose functions are slow or fail.

use std::collections::HashMap;

use axum::body::Body;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::*;
use crate::{
    event_source::Wakeup,
    faults::{Fault, Faults, Often},
    functions::{Code, handler},
    server::{CloseHandle, Port, serve},
    template::Template,
    throttle::Throttle,
};

const TEMPLATE: &str = "
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: ../functions/f
      Timeout: 60
      Events: { E: { Type: HttpApi, Properties: { Path: '/users/{id}', Method: GET } } }
";

fn functions(faults: Vec<Fault>) -> (Template, Functions) {
    let template = Template::parse(TEMPLATE).unwrap();
    let in_force = Arc::new(Faults::default());
    in_force.set(faults);
    let (code, environments) = (Code::of([("f", handler(async |_, _| Ok(Value::Null)))]), HashMap::new());
    let functions = Functions::start(template.functions(), &code, &environments, Wakeup::default(), in_force).unwrap();
    (template, functions)
}

fn peer() -> Peer {
    let local = ([127, 0, 0, 1], 3000).into();
    Peer { address: ([203, 0, 113, 7], 4711).into(), local, close_handle: CloseHandle::default() }
}

/// The status of `GET /users/5` of a function that is so slow, or fails.
async fn status(fault: Fault, integration: Duration) -> StatusCode {
    let (template, functions) = functions(vec![fault]);
    let routes = template.functions()[0].routes.iter().map(|route| (route.clone(), "F".to_owned())).collect();
    let api = Arc::new(HttpApi { functions, routes, integration, throttle: Buckets::new(StageThrottle::default()) });
    let request = Request::get("/users/5").body(Body::empty()).unwrap();
    handle(State(api), ConnectInfo(Peer::example()), request).await.status()
}

#[tokio::test(start_paused = true)]
async fn a_functions_own_time_out_is_500_and_one_of_the_integration_503() {
    let second = Duration::from_secs(1);
    let slow = |time| Fault::Slow("f".to_owned(), time);
    let own = status(slow(second * 61), second * 62).await;
    assert_eq!(own, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(status(slow(INTEGRATION + second), INTEGRATION).await, StatusCode::SERVICE_UNAVAILABLE);
    let failing = Fault::Fail("f".to_owned(), Often::Next(1));
    assert_eq!(status(failing, INTEGRATION).await, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn what_is_above_the_throttle_of_a_route_is_429_and_reaches_no_function() {
    let (_, functions) = functions(vec![Fault::Fail("f".to_owned(), Often::Percent(100))]);
    let route = |path: &str| (Route { method: "GET".to_owned(), path: path.to_owned() }, "F".to_owned());
    let routes = vec![route("/login"), route("/{proxy+}")];
    let of = |burst| Throttle { rate: 0.001, burst };
    let own = BTreeMap::from([("GET /login".to_owned(), of(1.0))]);
    let throttle = Buckets::new(StageThrottle { default: Some(of(2.0)), routes: own });
    let api = Arc::new(HttpApi { functions, routes, integration: INTEGRATION, throttle });
    let ask = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        handle(State(Arc::clone(&api)), ConnectInfo(Peer::example()), request).await
    };
    // Whoever reaches the function finds that it fails.
    let mut seen = Vec::new();
    for path in ["/login", "/login", "/a", "/b", "/c"] {
        seen.push(ask(path).await.status().as_u16());
    }
    assert_eq!(seen, [500, 429, 500, 500, 429]);
    let body = axum::body::to_bytes(ask("/login").await.into_body(), 1000).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), json!({ "message": "Too Many Requests" }));
}

#[test]
fn an_event_has_the_variables_of_its_path() {
    let event = |path: &str, pattern: &str| -> Value {
        let request = Request::get(path).body(()).unwrap();
        let routes = [(Route { method: "GET".into(), path: pattern.into() }, "F".to_owned())];
        let route = route::choose(&routes, &Method::GET, path).unwrap();
        event::to_json(&request_event(&request.into_parts().0, &Bytes::new(), route, &Peer::example()))
    };
    let with = event("/users/a%20b", "/users/{id}");
    assert_eq!(with["pathParameters"], json!({"id": "a b"}));
    assert_eq!((&with["routeKey"], &with["rawPath"]), (&json!("GET /users/{id}"), &json!("/users/a%20b")));
    assert!(event("/health", "/health").get("pathParameters").is_none(), "absent, not empty");
}

/// What a server of this API answers to a preflight for `GET /users/5`, in lower case.
async fn preflight(method: &str, cors: &Cors) -> String {
    let (template, functions) = functions(vec![Fault::Fail("f".to_owned(), Often::Next(1))]);
    let mut declared = template.functions().to_vec();
    declared[0].routes[0].method = method.to_owned();
    let router = router(functions, &declared, Some(cors), INTEGRATION, StageThrottle::default());
    let port = Port::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = port.local_addr().unwrap();
    let ask = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = "OPTIONS /users/5 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                       Origin: https://any.example\r\nAccess-Control-Request-Method: GET\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.to_lowercase()
    };
    tokio::select! { () = serve(port, router, std::future::pending()) => String::new(), answer = ask => answer }
}

#[tokio::test]
async fn a_star_allows_every_origin() {
    let cors = Cors { allow_origins: vec!["*".to_owned()], ..Cors::default() };
    let answer = preflight("GET", &cors).await;
    assert!(answer.contains("access-control-allow-origin: *"), "{answer}");
}

#[tokio::test]
async fn a_route_that_takes_options_gets_the_preflight_before_the_cors_configuration() {
    let cors = Cors { allow_origins: vec!["https://any.example".to_owned()], ..Cors::default() };
    let answer = preflight("GET", &cors).await;
    assert!(answer.starts_with("http/1.1 200") && answer.contains("access-control-allow-origin"), "{answer}");
    for method in ["ANY", "OPTIONS"] {
        // The function fails, as one would that knows no OPTIONS.
        let answer = preflight(method, &cors).await;
        assert!(answer.starts_with("http/1.1 500") && !answer.contains("access-control"), "{method}: {answer}");
    }
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
