//! REST: health, and input nobody should send.

use reqwest::Method;
use serde_json::json;
use tests::{Cloud, Rest, user::path};

#[tokio::test]
async fn health_says_ok() {
    let cloud = Cloud::start().await;
    let health = cloud.rest().get("/health").await.expect(200);
    assert_eq!(health["status"], "ok");
    assert!(health["timestamp"].as_str().unwrap().ends_with('Z') && health["uptime"].is_number());
    cloud.stop().await;
}

#[tokio::test]
async fn bad_bodies_are_clear_4xx() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    let register = "/users/register";
    let json_type = "application/json";
    for body in ["", "{", "[]", "null", "\"x\"", "{\"fullName\":}"] {
        rest.raw(Method::POST, register, json_type, body).await.is_refused_for("body");
    }
    let form = Rest::registration().to_string();
    rest.raw(Method::POST, register, "text/plain", form.clone()).await.is_refused(415, "UNSUPPORTED_MEDIA_TYPE");
    rest.raw(Method::POST, register, json_type, vec![b'x'; 2 << 20]).await.is_refused(413, "BODY_TOO_LARGE");
    rest.raw(Method::POST, register, json_type, vec![0xff, 0xfe]).await.is_refused_for("body");
    rest.raw(Method::POST, register, "application/json; charset=utf-8", form).await.expect(201);
    cloud.stop().await;
}

#[tokio::test]
async fn bad_paths_are_clear_4xx() {
    let cloud = Cloud::start().await;
    let admin = cloud.admin().await;
    admin.get("/users/not-a-uuid").await.is_refused_for("id");
    admin.post("/users/not-a-uuid/ban", json!({"reason": "x"})).await.is_refused_for("id");
    admin.get("/nowhere").await.is_refused(404, "NOT_FOUND");
    admin.delete("/health").await.is_refused(405, "METHOD_NOT_ALLOWED");
    admin.post("/users/0b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10/ban", json!({"reason": ""})).await.is_refused_for("reason");
    admin
        .patch("/users/0b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10", json!({"photoUrl": "http://x"}))
        .await
        .is_refused_for("photoUrl");
    cloud.stop().await;
}

#[tokio::test]
async fn who_you_are_comes_before_what_is_wrong_with_your_request() {
    let cloud = Cloud::start().await;
    let user = cloud.rest().register().await;
    let token = cloud.rest().login(&user).await;
    cloud.rest().patch("/users/not-a-uuid", json!({"x": 1})).await.is_refused(401, "UNAUTHENTICATED");
    token.post("/users/0b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10/ban", json!({"x": 1})).await.is_refused(403, "FORBIDDEN");
    cloud.stop().await;
}

#[tokio::test]
async fn a_body_nested_without_end_is_a_clear_400() {
    let cloud = Cloud::start().await;
    for (open, close) in [("[", "]"), (r#"{"fullName":"#, "}")] {
        let depth = 60_000 / (open.len() + close.len());
        let body = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let answer = cloud.rest().raw(Method::POST, "/users/register", "application/json", body).await;
        answer.is_refused_for("body");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn no_route_takes_a_body_over_64_kb_also_where_it_would_not_be_read() {
    let cloud = Cloud::start().await;
    let (admin, user) = (cloud.admin().await, cloud.rest().register().await);
    let path = path(&user);
    for (length, status) in [((64 << 10) + 1, 413), (64 << 10, 200)] {
        for (method, route) in
            [(Method::POST, "/unban"), (Method::POST, "/email/verify/send"), (Method::GET, ""), (Method::DELETE, "")]
        {
            let target = format!("{path}{route}");
            let answer = admin.raw(method.clone(), &target, "application/json", vec![b'x'; length]).await;
            assert_eq!(answer.status, status, "{method} {route} {length}: {}", answer.body);
            if status == 413 {
                answer.is_refused(413, "BODY_TOO_LARGE");
            }
        }
    }
    cloud.stop().await;
}
