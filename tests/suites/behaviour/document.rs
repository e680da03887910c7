//! The OpenAPI document: it says what is there, and all of it. That every single answer of these suites is documented is
//! asserted by the client they use; schemathesis looks at the schemas.

use std::collections::{BTreeSet, HashSet};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tests::{Cloud, Document};

async fn document(cloud: &Cloud) -> Document {
    Document::fetch(&Client::new(), &format!("{}/api/v1", cloud.url())).await
}

#[tokio::test]
async fn every_documented_route_answers_and_nothing_else_does() {
    let cloud = Cloud::start().await;
    let (document, admin) = (document(&cloud).await, cloud.admin().await);
    for (path, item) in document.paths() {
        let documented: BTreeSet<_> = item.keys().map(|method| method.to_uppercase()).collect();
        // API Gateway answers other methods by itself.
        for method in [Method::GET, Method::POST, Method::PATCH, Method::DELETE] {
            let user = cloud.rest().register().await;
            let target = path.replace("{id}", user["id"].as_str().unwrap());
            let target = target.strip_prefix("/api/v1").expect("routes under /api/v1");
            let answer = admin.raw(method.clone(), target, "application/json", "{}").await;
            if documented.contains(method.as_str()) {
                assert!(![404, 405].contains(&answer.status), "{method} {target}: {}", answer.body);
                continue;
            }
            // The router's own word on which methods there are.
            let allowed = answer.headers["allow"].to_str().unwrap().split(',').map(str::to_owned);
            assert_eq!(allowed.filter(|method| method != "HEAD").collect::<BTreeSet<_>>(), documented, "{target}");
            answer.is_refused(405, "METHOD_NOT_ALLOWED");
        }
    }
    cloud.stop().await;
}

#[tokio::test]
async fn the_document_is_complete_in_itself() {
    let cloud = Cloud::start().await;
    let document = document(&cloud).await;
    assert!(document.json()["openapi"].as_str().unwrap().starts_with("3.1."));
    let mut names = HashSet::new();
    for (method, path, operation) in document.operations() {
        let place = format!("{method} {path}");
        assert!(names.insert(&operation["operationId"]), "{place}: two operations of one name");
        assert!(operation["summary"].is_string(), "{place}");
        let needs_token = !operation["security"].as_array().unwrap().is_empty();
        let has_body = operation["requestBody"].is_object();
        for (status, expected) in [("401", needs_token), ("403", needs_token), ("413", has_body), ("415", has_body)] {
            assert!(!expected || operation["responses"][status].is_object(), "{place}: {status}");
        }
        for (status, answer) in operation["responses"].as_object().unwrap() {
            assert!(answer["headers"]["x-request-id"].is_object(), "{place} {status}");
            if !status.starts_with('2') {
                let schema = &answer["content"]["application/json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/ErrorBody", "{place} {status}");
            }
        }
        if has_body {
            let schema = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str().unwrap();
            let schema = document.json().pointer(&schema[1..]).unwrap();
            assert_eq!(schema["additionalProperties"], json!(false), "{place}");
        }
    }
    each_reference(document.json(), &mut |reference| {
        assert!(document.json().pointer(&reference[1..]).is_some(), "{reference} leads nowhere");
    });
    cloud.stop().await;
}

fn each_reference(json: &Value, found: &mut impl FnMut(&str)) {
    match json {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(reference) if key == "$ref" => found(reference),
                    value => each_reference(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| each_reference(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_page_shows_every_route_without_a_script_or_another_host() {
    let cloud = Cloud::start().await;
    let document = document(&cloud).await;
    let page = Client::new().get(format!("{}/api/docs", cloud.url())).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; style-src 'self';") && !policy.contains("script"), "{policy}");
    let page = page.text().await.unwrap();
    for (_, path, operation) in document.operations() {
        assert!(page.contains(path) && page.contains(operation["summary"].as_str().unwrap()), "{path}");
    }
    for foreign in ["<script", "src=", "style=", "@import"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    let style = Client::new().get(format!("{}/api/docs.css", cloud.url())).send().await.unwrap();
    assert_eq!(style.headers()["content-type"], "text/css; charset=utf-8");
    cloud.stop().await;
}
