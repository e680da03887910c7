//! Pages on the internet are kept out of the ports that are opened here, whatever name they make point to this machine.

use local_dev::Options;
use reqwest::{Client, Method, RequestBuilder, header::HOST};
use serde_json::Value;
use tests::Cloud;

/// The content type that the SDKs send.
const JSON: &str = "application/x-amz-json-1.0";

/// What the functions and the AWS CLI send to DynamoDB.
fn list_tables(url: &str, content_type: &str) -> RequestBuilder {
    let request = Client::new().post(url).header("x-amz-target", "DynamoDB_20120810.ListTables");
    let request = request.header("content-type", content_type).header("x-amz-date", "20261126T120000Z");
    let signature = "AWS4-HMAC-SHA256 Credential=local/20261126/eu-central-1/dynamodb/aws4_request, \
                     SignedHeaders=host;x-amz-date, Signature=0";
    request.header("authorization", signature).body("{}")
}

#[tokio::test]
async fn requests_for_another_host_are_refused_on_every_port() {
    let allowed_hosts = vec!["Moien.Test".to_owned()];
    let cloud = Cloud::with(Options { allowed_hosts, ..Options::default() }).await;
    let ports = cloud.running().ports();
    assert_eq!(ports.len(), if cloud.has_shared_database() { 2 } else { 3 }, "{ports:?}");
    for port in ports {
        let number = port.rsplit(':').next().unwrap();
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.1", "moien.test"] {
            let request = Client::new().get(&port).header(HOST, format!("{host}:{number}"));
            let answer = request.send().await.unwrap();
            let is_named = host == "moien.test" && port == cloud.url();
            assert_eq!(answer.status() == 403, !is_named, "{host} at {port}: {}", answer.status());
            if !is_named {
                let answer: Value = answer.json().await.unwrap();
                let words = answer["message"].as_str().unwrap();
                assert!(words.contains(host) && words.contains("--allowed-hosts"), "{words}");
            }
        }
        for host in ["localhost", "127.0.0.1"] {
            let answer = Client::new().get(&port).header(HOST, format!("{host}:{number}")).send().await.unwrap();
            assert_ne!(answer.status(), 403, "{host} at {port}");
        }
    }
    cloud.stop().await;
}

#[tokio::test]
async fn a_socket_for_another_host_is_refused() {
    use tests::{Edge, Socket};
    let cloud = Cloud::start().await;
    for edge in Edge::ALL {
        // What a page would send that has its name point here: Host and Origin agree.
        let headers = [("host", "evil.example:3000"), ("origin", "http://evil.example:3000")];
        assert_eq!(Socket::dial_with(&cloud, edge.path(), &headers).await.err(), Some(403), "{edge:?}");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn what_stands_for_aws_answers_programs_and_no_web_page() {
    let cloud = Cloud::start().await;
    for path in [
        "/2015-03-31/functions/HeartbeatFunction/invocations",
        "/dev/@connections/QQFxqeZfIAMCKRA%3D",
        "/v2/email/outbound-emails",
    ] {
        let post =
            || Client::new().post(format!("{}{path}", cloud.url())).header("content-type", "text/plain").body("{}");
        let of_page = post().header("origin", "https://evil.example").send().await.unwrap();
        assert_eq!(of_page.status(), 403, "{path}");
        let words: Value = of_page.json().await.unwrap();
        assert!(words["message"].as_str().unwrap().contains("Origin"), "{path}: {words}");
        let of_program = post().send().await.unwrap();
        let answer = of_program.text().await.unwrap();
        assert!(!answer.contains("Origin"), "{path}: {answer}");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn the_embedded_database_answers_programs_and_no_web_page() {
    let cloud = Cloud::start().await;
    if cloud.has_shared_database() {
        return cloud.stop().await;
    }
    let url = cloud.running().dynamodb_endpoint();
    let answer: Value = list_tables(url, JSON).send().await.unwrap().json().await.unwrap();
    assert!(answer["TableNames"].as_array().is_some_and(|names| !names.is_empty()), "{answer}");
    for origin in ["https://evil.example", "http://localhost:4200", "null"] {
        let answer = list_tables(url, JSON).header("origin", origin).send().await.unwrap();
        let preflight = Client::new().request(Method::OPTIONS, url).header("origin", origin);
        let preflight = preflight.header("access-control-request-method", "POST").send().await.unwrap();
        assert!(!preflight.status().is_success(), "{}", preflight.status());
        for headers in [answer.headers(), preflight.headers()] {
            assert!(headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{headers:?}");
        }
    }
    // What a page can send without asking first is not taken for a request at all.
    let simple = list_tables(url, "text/plain").send().await.unwrap();
    assert_eq!(simple.status(), 404);
    cloud.stop().await;
}
