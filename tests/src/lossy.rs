//! A DynamoDB whose answers get lost: what is asked for is done, and who asked is told of an error.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};

use crate::serve;

/// Passes requests on to a DynamoDB. The first answer to every write is lost, that to its repetition is not.
#[derive(Clone)]
struct Lossy {
    behind: String,
    written: Arc<Mutex<HashSet<Bytes>>>,
}

/// Starts one in front of another DynamoDB, and returns its endpoint. It ends with the test.
pub async fn lossy(behind: &str) -> String {
    let lossy = Lossy { behind: behind.to_owned(), written: Arc::default() };
    let (address, _) = serve(Router::new().route("/", post(pass_on)).with_state(lossy)).await;
    format!("http://{address}")
}

async fn pass_on(State(lossy): State<Lossy>, headers: HeaderMap, body: Bytes) -> Response {
    let is_read = headers["x-amz-target"].to_str().expect("text").ends_with("GetItem");
    let request = reqwest::Client::new().post(&lossy.behind).headers(headers).body(body.clone());
    let answer = request.send().await.expect("an answer");
    let (status, headers) = (answer.status(), answer.headers().clone());
    let answer = answer.bytes().await.expect("a body");
    if !is_read && lossy.written.lock().expect("no panic").insert(body) {
        return (StatusCode::INTERNAL_SERVER_ERROR, "").into_response();
    }
    (status, headers, answer).into_response()
}
