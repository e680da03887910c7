//! The headers of every answer, whatever it is.

use std::collections::HashSet;

use reqwest::{Client, Method, header::HeaderMap};
use serde_json::json;
use tests::{Cloud, Rest};

async fn answers(cloud: &Cloud) -> Vec<HeaderMap> {
    let (rest, admin) = (cloud.rest(), cloud.admin().await);
    vec![
        rest.get("/health").await.headers,
        rest.post("/users/register", Rest::registration()).await.headers,
        rest.post("/users/register", json!({})).await.headers,
        rest.raw(Method::POST, "/users/register", "text/plain", "").await.headers,
        rest.raw(Method::POST, "/users/register", "application/json", vec![b'x'; 1 << 17]).await.headers,
        rest.get("/users").await.headers,
        rest.get("/nowhere").await.headers,
        rest.delete("/health").await.headers,
        admin.get("/users").await.headers,
        admin.get("/users/no-uuid").await.headers,
    ]
}

#[tokio::test]
async fn every_answer_is_sealed_and_kept_by_nobody() {
    let cloud = Cloud::start().await;
    for headers in answers(&cloud).await {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("strict-transport-security", "max-age=63072000; includeSubDomains"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(headers.get(name).map(|value| value.to_str().unwrap()), Some(value), "{name}: {headers:?}");
        }
    }
    cloud.stop().await;
}

#[tokio::test]
async fn only_the_document_may_be_kept() {
    let cloud = Cloud::start().await;
    for path in ["openapi.json", "docs", "docs.css"] {
        let answer = Client::new().get(format!("{}/api/{path}", cloud.url())).send().await.unwrap();
        assert_eq!(answer.headers()["cache-control"], "public, max-age=300", "{path}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{path}");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn every_answer_names_its_request_and_no_other() {
    let cloud = Cloud::start().await;
    let answers = answers(&cloud).await;
    let ids: HashSet<_> = answers.iter().map(|headers| headers["x-request-id"].to_str().unwrap()).collect();
    assert!(ids.len() == answers.len() && !ids.contains(""), "{ids:?}");
    cloud.stop().await;
}

#[tokio::test]
async fn a_client_cannot_choose_the_name_of_its_request() {
    let cloud = Cloud::start().await;
    let url = format!("{}/api/v1/health", cloud.url());
    let answer = Client::new().get(url).header("x-request-id", "forged").send().await.unwrap();
    assert_ne!(answer.headers()["x-request-id"], "forged");
    cloud.stop().await;
}

#[tokio::test]
async fn browsers_of_the_allowed_origins_may_read_the_name() {
    let cloud = Cloud::start().await;
    let url = format!("{}/api/v1/health", cloud.url());
    let answer = Client::new().get(url).header("origin", "http://localhost:4200").send().await.unwrap();
    let exposed = answer.headers()["access-control-expose-headers"].to_str().unwrap();
    assert!(exposed.split(',').any(|header| header.trim() == "x-request-id"), "{exposed}");
    cloud.stop().await;
}
