//! HTTP as the RFCs have it, byte by byte where a client library would not send it.

use std::{collections::HashMap, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Cloud, Document, Rest, user::path};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Status, headers and body of what came back for these bytes.
async fn exchange(cloud: &Cloud, request: &[u8]) -> (u16, HashMap<String, String>, Vec<u8>) {
    let mut stream = TcpStream::connect(cloud.url().trim_start_matches("http://")).await.unwrap();
    stream.write_all(request).await.unwrap();
    answer(&mut stream).await
}

async fn answer(stream: &mut TcpStream) -> (u16, HashMap<String, String>, Vec<u8>) {
    let mut bytes = Vec::new();
    timeout(Duration::from_secs(60), stream.read_to_end(&mut bytes))
        .await
        .expect("an answer in time")
        .expect("no reset");
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    (status, lines.filter_map(header).collect(), bytes[end + 4..].to_vec())
}

/// A request for a path, with these lines of headers, that closes the connection.
fn get(path: &[u8], headers: &[&[u8]]) -> Vec<u8> {
    let mut request = [b"GET ", path, b" HTTP/1.1\r\nConnection: close\r\n"].concat();
    for header in headers {
        request.extend([header, &b"\r\n"[..]].concat());
    }
    request.extend(b"\r\n");
    request
}

#[tokio::test]
async fn a_401_says_how_to_authenticate_and_whether_a_token_was_bad() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    let challenge = |answer: tests::Answer| {
        assert_eq!(answer.status, 401);
        answer.headers["www-authenticate"].to_str().unwrap().to_owned()
    };
    assert_eq!(challenge(rest.get("/auth/me").await), "Bearer");
    assert_eq!(challenge(rest.with_token("forged").get("/auth/me").await), r#"Bearer error="invalid_token""#);
    let basic = rest.with_header("authorization", "Basic YTpi");
    assert_eq!(challenge(basic.get("/auth/me").await), "Bearer");
    let login = json!({ "email": "nobody@example.com", "password": "wrong horse" });
    assert_eq!(challenge(rest.post("/auth/user/login", login).await), "Bearer");
    let user = rest.register().await;
    let gone = rest.login(&user).await;
    cloud.admin().await.delete(&path(&user)).await.expect(200);
    assert_eq!(challenge(gone.get("/auth/me").await), r#"Bearer error="invalid_token""#);
    cloud.stop().await;
}

#[tokio::test]
async fn a_body_in_an_encoding_or_charset_nobody_reads_here_is_415_and_a_byte_order_mark_is_nothing() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    for encoding in ["gzip", "br", "deflate, gzip", "x"] {
        let answer = rest.with_header("content-encoding", encoding).post("/users/register", Rest::registration()).await;
        answer.is_refused(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    rest.with_header("content-encoding", "identity").post("/users/register", Rest::registration()).await.expect(201);
    for (kind, status) in [
        ("application/json; charset=utf-16", 415),
        ("application/json;charset=\"ISO-8859-1\"", 415),
        ("application/json; charset=UTF-8", 201),
        ("application/json; charset=\"utf-8\"", 201),
        ("application/json; charset=us-ascii", 201),
        ("application/json; version=1", 201),
        ("application/jsonx", 415),
    ] {
        let answer = rest.raw(Method::POST, "/users/register", kind, Rest::registration().to_string()).await;
        assert_eq!(answer.status, status, "{kind}: {}", answer.body);
    }
    for mark in ["\u{feff}", "\u{feff}\n"] {
        let body = format!("{mark}{}", Rest::registration());
        rest.raw(Method::POST, "/users/register", "application/json", body).await.expect(201);
    }
    rest.raw(Method::POST, "/users/register", "application/json", "\u{feff}\u{feff}{}").await.is_refused_for("body");
    cloud.stop().await;
}

/// Above the limit of API Gateway as well, and where no route, another host or a large head is the reason of the refusal: a
/// connection that is closed with
/// something unread is reset, and its answer lost.
#[tokio::test]
async fn a_body_that_is_too_large_is_answered_however_it_is_sent() {
    let cloud = Cloud::start().await;
    let length = 12 << 20;
    let chunk = [&b"100000\r\n"[..], &vec![b'x'; 1 << 20], b"\r\n"].concat();
    let whole = [format!("Content-Length: {length}\r\n\r\n").into_bytes(), vec![b'x'; length]].concat();
    let chunks = [&b"Transfer-Encoding: chunked\r\n\r\n"[..], &chunk.repeat(12), b"0\r\n\r\n"].concat();
    let large = format!("X-Large: {}", "x".repeat(11_000));
    let foreign = "Host: foreign.example";
    for (line, header, status) in [
        ("POST /api/v1/users/register", "Host: localhost", 413),
        ("POST /nothing", "Host: localhost", 413),
        ("PUT /api/v1/users/register", "Host: localhost", 404),
        ("POST /api/v1/users/register", &format!("Host: localhost\r\n{large}"), 431),
        ("POST /api/v1/users/register", foreign, 403),
        ("POST /nothing", foreign, 403),
    ] {
        let head = format!("{line} HTTP/1.1\r\n{header}\r\nConnection: close\r\nContent-Type: application/json\r\n");
        for body in [&whole, &chunks] {
            let mut stream = TcpStream::connect(cloud.url().trim_start_matches("http://")).await.unwrap();
            let (mut reader, mut writer) = stream.split();
            // Whoever writes all of it before reading must be able to.
            let request = [head.as_bytes(), body].concat();
            let written = timeout(Duration::from_secs(60), writer.write_all(&request)).await.expect("read in time");
            written.unwrap_or_else(|error| panic!("{line}, {status}: {error}"));
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).await.unwrap_or_else(|error| panic!("{line}, {status}: {error}"));
            let text = String::from_utf8_lossy(&bytes);
            assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {}", &text[..text.len().min(200)]);
        }
    }
    cloud.stop().await;
}

/// A client that asks before it sends is answered before it has sent anything.
#[tokio::test]
async fn who_asks_whether_to_send_a_body_nobody_wants_is_answered_at_once() {
    let cloud = Cloud::start().await;
    let mut stream = TcpStream::connect(cloud.url().trim_start_matches("http://")).await.unwrap();
    let head = "PUT /nothing HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9999999\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    let read = timeout(Duration::from_secs(5), stream.read_exact(&mut answer)).await;
    read.expect("not in time: an answer before the body").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 404");
    cloud.stop().await;
}

#[tokio::test]
async fn no_header_takes_part_in_what_is_asked_for() {
    let cloud = Cloud::start().await;
    for headers in [
        &[&b"Host: localhost"[..], b"X-Forwarded-Proto: https://x/api/openapi.json?"][..],
        &[b"Host: localhost", b"X-Forwarded-Proto:"],
        &[b"Host: localhost", b"X-Anything: \xff\xfe"],
        &[b"Host: localhost", b"User-Agent: \xe9", b"Cookie: \xe9=\xff", b"Origin: \xff"],
    ] {
        let (status, _, body) = exchange(&cloud, &get(b"/api/v1/health", headers)).await;
        let shown: Vec<_> = headers.iter().map(|header| header.escape_ascii().to_string()).collect();
        assert_eq!(status, 200, "{shown:?}: {}", String::from_utf8_lossy(&body));
        assert!(String::from_utf8_lossy(&body).contains("uptime"), "{shown:?}");
    }
    // A host that is not this machine is refused before anything is asked, and so is one that is no host at all.
    for host in [&b"Host: x"[..], b"Host: a b", b"Host: x:99999", b"Host: \xe9", b"Host:"] {
        let (status, ..) = exchange(&cloud, &get(b"/api/v1/health", &[host])).await;
        assert!((400..500).contains(&status), "{}: {status}", host.escape_ascii());
    }
    for path in [&b"/api/v1/users/../health"[..], b"/api\\v1\\health", b"/api/v1/health/.", b"/api/v1/%68ealth"] {
        let (status, ..) = exchange(&cloud, &get(path, &[b"Host: localhost"])).await;
        assert_eq!(status, 404, "{}", path.escape_ascii());
    }
    cloud.stop().await;
}

#[tokio::test]
async fn no_header_of_a_handshake_makes_a_5xx() {
    let cloud = Cloud::start().await;
    let websocket =
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let edges = [
        (&b"/dev?EIO=4&transport=websocket"[..], &[&b"Connection: Upgrade\r\n"[..], websocket].concat()[..], 101),
        (b"/socket.io/?EIO=4&transport=polling", b"Connection: close\r\n", 200),
    ];
    for (path, upgrade, open) in edges {
        for (header, expected) in [
            (&b"User-Agent: \xe9"[..], open),
            ("User-Agent: Zoë".as_bytes(), open),
            (b"Cookie: a=\xff", open),
            (b"X-Forwarded-For: \xfe, \xff", open),
            (b"X-Anything: \xff\xfe", open),
            (b"Origin: http://\xff", 403),
        ] {
            let mut stream = TcpStream::connect(cloud.url().trim_start_matches("http://")).await.unwrap();
            let request = [b"GET ", path, b" HTTP/1.1\r\nHost: localhost\r\n", upgrade, header, b"\r\n\r\n"].concat();
            stream.write_all(&request).await.unwrap();
            // Of a WebSocket that is open nothing more is read.
            let mut line = [0; "HTTP/1.1 000".len()];
            timeout(Duration::from_secs(60), stream.read_exact(&mut line)).await.expect("in time").expect("an answer");
            let status = String::from_utf8_lossy(&line[9..]).into_owned();
            let place = format!("{} {}", path.escape_ascii(), header.escape_ascii());
            assert_eq!(status, expected.to_string(), "{place}");
        }
    }
    cloud.stop().await;
}

#[tokio::test]
async fn a_request_line_and_headers_over_10240_bytes_are_refused_as_by_api_gateway() {
    let cloud = Cloud::start().await;
    let sized = |bytes: usize| {
        let frame = get(b"/api/v1/health", &[b"Host: localhost", b"X: "]).len() - 2;
        get(b"/api/v1/health", &[b"Host: localhost", format!("X: {}", "a".repeat(bytes - frame)).as_bytes()])
    };
    assert_eq!(exchange(&cloud, &sized(10_240)).await.0, 200);
    let (status, _, body) = exchange(&cloud, &sized(10_241)).await;
    assert_eq!(
        (status, String::from_utf8(body).unwrap()),
        (431, r#"{"message":"Request Header Fields Too Large"}"#.into())
    );
    let long = format!("/api/v1/{}", "a".repeat(10_241));
    assert_eq!(exchange(&cloud, &get(long.as_bytes(), &[b"Host: localhost"])).await.0, 431);
    cloud.stop().await;
}

/// Bytes of any kind, from a seed.
fn bytes(random: &mut fastrand::Rng, most: usize) -> Vec<u8> {
    let telling = b"/\\.%?#:@ \t\"<>{}[]|^`~;,=&+*'()!$_-aZ09\x00\x7f\x80\xc3\xff";
    let length = random.usize(0..=most);
    (0..length).map(|_| if random.bool() { telling[random.usize(..telling.len())] } else { random.u8(..) }).collect()
}

/// Parts of which paths are made that are nearly valid.
const PARTS: [&[u8]; 14] = [
    b"/api",
    b"/v1",
    b"/users",
    b"/health",
    b"/auth",
    b"/user",
    b"/login",
    b"/..",
    b"/.",
    b"//",
    b"/openapi.json",
    b"/0b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10",
    b"/ban",
    b"/docs",
];

/// Headers that are read by somebody on the way.
const NAMES: [&[u8]; 14] = [
    b"Host",
    b"X-Forwarded-For",
    b"X-Forwarded-Proto",
    b"X-Forwarded-Port",
    b"X-Forwarded-Host",
    b"Forwarded",
    b"Authorization",
    b"Content-Type",
    b"Content-Encoding",
    b"Cookie",
    b"Origin",
    b"User-Agent",
    b"Idempotency-Key",
    b"X-Amzn-Trace-Id",
];

/// A path of parts and of bytes of any kind.
fn any_path(random: &mut fastrand::Rng) -> Vec<u8> {
    let part = |random: &mut fastrand::Rng| match random.u8(..4) {
        0 => [b"/".to_vec(), bytes(random, 8)].concat(),
        _ => PARTS[random.usize(..PARTS.len())].to_vec(),
    };
    (0..random.usize(1..6)).flat_map(|_| part(random)).collect()
}

/// A body of some kind.
fn any_body(random: &mut fastrand::Rng) -> Vec<u8> {
    match random.u8(..4) {
        0 => bytes(random, 64),
        1 => b"{}".to_vec(),
        2 => json!({ "password": String::from_utf8_lossy(&bytes(random, 16)), "email": 1 }).to_string().into(),
        _ => Rest::registration().to_string().into(),
    }
}

/// A request for anything, or for one of these operations (method and path) with perhaps this line of a good token.
fn any_request(random: &mut fastrand::Rng, routes: &[(String, String)], admin: &str) -> Vec<u8> {
    let mut path = any_path(random);
    let methods = ["GET", "POST", "DELETE", "PATCH", "OPTIONS", "FOO"];
    let mut method = methods[random.usize(..methods.len())];
    let mut lines = vec![b"Host: localhost".to_vec()];
    let mut body = Vec::new();
    let whole = random.bool();
    if whole {
        let route = &routes[random.usize(..routes.len())];
        (method, path) = (&route.0, route.1.clone().into_bytes());
        body = any_body(random);
        lines.push(b"Content-Type: application/json".to_vec());
        lines.push(format!("Content-Length: {}", body.len()).into());
        if random.bool() {
            lines.push(admin.into());
        }
    }
    for _ in 0..random.usize(..4) {
        lines.push([NAMES[random.usize(..NAMES.len())], b": ", &bytes(random, 24)].concat());
    }
    // What ends a line is not in a value, and what ends a path is not in one. Control characters end a request before
    // it has reached any route.
    let kept = |byte: &u8| if whole { !byte.is_ascii_control() } else { !b"\r\n".contains(byte) };
    lines.iter_mut().for_each(|line| line.retain(kept));
    path.retain(|byte| !b" \r\n\t".contains(byte));
    let lines: Vec<_> = lines.iter().map(Vec::as_slice).collect();
    let request = get(&path, &lines);
    [method.as_bytes(), &request[3..], &body].concat()
}

#[tokio::test]
async fn no_header_and_no_path_makes_a_5xx() {
    let cloud = Cloud::start().await;
    let document = Document::fetch(&reqwest::Client::new(), &format!("{}/api/v1", cloud.url())).await;
    let id = "0b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10";
    let routes: Vec<_> =
        document.operations().map(|(method, path, _)| (method.to_string(), path.replace("{id}", id))).collect();
    let admin = format!("Authorization: Bearer {}", cloud.admin().await.token());
    let mut reached = 0;
    for seed in 0..600 {
        let request = any_request(&mut fastrand::Rng::with_seed(seed), &routes, &admin);
        let (status, headers, _) = exchange(&cloud, &request).await;
        reached += usize::from(headers.contains_key("x-request-id") && ![404, 405].contains(&status));
        assert!(status < 500, "seed {seed}: {status} for {}", request.escape_ascii());
    }
    assert!(reached > 150, "{reached} of 600 reached a route");
    cloud.stop().await;
}

#[tokio::test]
async fn chunks_that_are_none_are_a_bad_request_and_not_too_large() {
    let cloud = Cloud::start().await;
    let head = "POST /api/v1/users/register HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n";
    let request = format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n");
    assert_eq!(exchange(&cloud, request.as_bytes()).await.0, 400);
    cloud.stop().await;
}

#[tokio::test]
async fn open_operations_say_so_and_nothing_in_the_document_is_left_over() {
    let cloud = Cloud::start().await;
    let document = Document::fetch(&reqwest::Client::new(), &format!("{}/api/v1", cloud.url())).await;
    for (method, path, operation) in document.operations() {
        let open = path.contains("/auth/") && !path.ends_with("/me")
            || path.ends_with("/health")
            || path.ends_with("/register");
        let expected = if open { json!([]) } else { json!([{ "accessToken": [] }]) };
        assert_eq!(operation["security"], expected, "{method} {path}");
        for (status, answer) in operation["responses"].as_object().unwrap() {
            assert_eq!(answer["headers"]["www-authenticate"].is_object(), status == "401", "{method} {path} {status}");
        }
    }
    assert_eq!(document.json()["info"]["license"]["name"], "MIT OR Apache-2.0");
    let text = document.json().to_string();
    for name in document.json()["components"]["schemas"].as_object().unwrap().keys() {
        assert!(text.contains(&format!("\"#/components/schemas/{name}\"")), "{name} is used by nobody");
    }
    let codes: &Value = &document.json()["components"]["schemas"]["PublicUser"]["properties"]["email"]["format"];
    assert_eq!(codes, "idn-email");
    cloud.stop().await;
}
