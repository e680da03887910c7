//! The Invoke API in front of a function that fails as often as a test wants.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{body::to_bytes, http::Request};
use tokio::time::Instant;
use tower::ServiceExt as _;

use super::*;
use crate::{
    event_source::{DeadLetters, Wakeup},
    faults::{Fault, Faults, Often},
    functions::{Code, Failure, Functions, handler},
    template::Template,
};

/// The pause between attempts, as short as can be: when attempts are made is tested beside the code.
const PAUSE: Duration = Duration::from_millis(1);

fn template(config: &str) -> Template {
    let text = format!(
        "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: ../functions/f\n      \
         EventInvokeConfig: {config}\n  Q: {{ Type: AWS::SQS::Queue }}"
    );
    Template::parse(&text).unwrap()
}

/// An API whose function answers what it is asked, after these faults; and how often it was asked.
struct Lambda {
    router: Router,
    dead_letters: DeadLetters,
    calls: Arc<AtomicU32>,
}

impl Lambda {
    async fn with(config: &str, faults: impl IntoIterator<Item = Fault>) -> Self {
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let echo = handler(move |event, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            let is_bad = event == json!("bad");
            async move { if is_bad { Err(Failure::of::<std::io::Error>("it is bad")) } else { Ok(event) } }
        });
        let (template, in_force) = (template(config), Arc::new(Faults::default()));
        in_force.set(faults);
        let (code, environments) = (Code::of([("f", echo)]), HashMap::new());
        let functions =
            Functions::start(template.functions(), &code, &environments, Wakeup::default(), Arc::clone(&in_force));
        let asynchronous = Asynchronous::new(functions.unwrap(), template.functions(), &in_force, PAUSE);
        let dead_letters = DeadLetters::default();
        let asynchronous = asynchronous.keeping_in(dead_letters.clone());
        let names = Names::new("stack", template.functions());
        Self { router: router(asynchronous, names), dead_letters, calls }
    }

    async fn start() -> Self {
        Self::with("{}", []).await
    }

    async fn invoke(&self, path: &str, kind: &str, body: impl Into<Body>) -> (u16, HeaderMap, Value) {
        let request = Request::post(format!("/2015-03-31/functions/{path}")).header("x-amz-invocation-type", kind);
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        (parts.status.as_u16(), parts.headers, body)
    }

    /// The error of an invocation: its status and its type.
    async fn refusal(&self, path: &str, kind: &str, body: impl Into<Body>) -> (u16, String) {
        let (status, headers, body) = self.invoke(path, kind, body).await;
        assert!(body["Message"].is_string(), "{body}");
        (status, headers["x-amzn-errortype"].to_str().unwrap().to_owned())
    }

    /// Waits until the function was called so often, or that many events were given up.
    async fn until(&self, holds: impl Fn(u32, usize) -> bool) {
        while !holds(self.calls.load(Ordering::SeqCst), self.dead_letters.list().len()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn who_waits_gets_the_answer() {
    let lambda = Lambda::start().await;
    for (body, answer) in [(r#"{"a":[1]}"#, json!({"a": [1]})), ("", json!({})), ("null", Value::Null)] {
        let (status, headers, body) = lambda.invoke("stack-F/invocations", "RequestResponse", body).await;
        assert_eq!((status, body), (200, answer));
        assert_eq!(headers["x-amz-executed-version"], "$LATEST");
        assert!(headers.contains_key("x-amzn-requestid") && !headers.contains_key("x-amz-function-error"));
    }
}

#[tokio::test]
async fn a_function_that_fails_is_a_200_that_says_so() {
    let lambda = Lambda::start().await;
    let (status, headers, body) = lambda.invoke("F/invocations", "RequestResponse", "\"bad\"").await;
    assert_eq!((status, &headers["x-amz-function-error"]), (200, &HeaderValue::from_static("Unhandled")));
    assert_eq!(body, json!({ "errorType": "std::io::error::Error", "errorMessage": "it is bad" }));
}

#[tokio::test(start_paused = true)]
async fn a_function_that_times_out_is_a_200_that_says_so() {
    let lambda = Lambda::with("{}", [Fault::Slow("f".into(), Duration::from_secs(60))]).await;
    let (status, headers, body) = lambda.invoke("F/invocations", "RequestResponse", "{}").await;
    assert_eq!((status, &headers["x-amz-function-error"]), (200, &HeaderValue::from_static("Unhandled")));
    assert_eq!(body["errorType"], "Sandbox.Timedout");
    assert!(body["errorMessage"].as_str().unwrap().ends_with("Task timed out after 3.00 seconds"), "{body}");
}

#[tokio::test]
async fn a_dry_run_runs_nothing() {
    let lambda = Lambda::start().await;
    assert_eq!(lambda.invoke("F/invocations", "DryRun", "{}").await.0, 204);
    assert_eq!(lambda.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_lambda_does_not_take_is_refused_with_its_error() {
    let lambda = Lambda::start().await;
    let refusal = async |path: &str, kind: &str, body: &str| lambda.refusal(path, kind, body.to_owned()).await;
    let error = |status, kind: &str| (status, kind.to_owned());
    for path in ["G/invocations", "other-F/invocations", "F/invocations?Qualifier=live", "F:7/invocations"] {
        assert_eq!(refusal(path, "Event", "{}").await, error(404, "ResourceNotFoundException"), "{path}");
    }
    assert_eq!(refusal("F/invocations", "Later", "{}").await, error(400, "InvalidParameterValueException"));
    for kind in ["Event", "RequestResponse"] {
        assert_eq!(refusal("F/invocations", kind, "{").await, error(400, "InvalidRequestContentException"));
    }
    let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    for (kind, largest) in [("Event", MAX_ASYNCHRONOUS_EVENT), ("RequestResponse", MAX_EVENT)] {
        let too_large = refusal("F/invocations", kind, &text(largest + 1)).await;
        assert_eq!(too_large, error(413, "RequestTooLargeException"), "{kind}");
    }
    assert_eq!(lambda.invoke("F/invocations", "Event", text(MAX_ASYNCHRONOUS_EVENT)).await.0, 202);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_wait_is_answered_before_the_function_runs() {
    let lambda = Lambda::with("{}", [Fault::Slow("f".into(), Duration::from_secs(60))]).await;
    let started = Instant::now();
    let (status, _, body) = lambda.invoke("F/invocations", "Event", "{}").await;
    assert_eq!((status, body, started.elapsed().as_secs()), (202, Value::Null, 0));
    assert_eq!(lambda.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_event_that_is_given_up_goes_to_its_destination_whole() {
    let config =
        "{ MaximumRetryAttempts: 1, DestinationConfig: { OnFailure: { Type: SQS, Destination: !GetAtt Q.Arn } } }";
    let lambda = Lambda::with(config, []).await;
    let (_, headers, _) = lambda.invoke("F/invocations", "Event", "\"bad\"").await;
    lambda.until(|_, letters| letters == 1).await;
    assert_eq!(lambda.calls.load(Ordering::SeqCst), 2);
    let [letter] = lambda.dead_letters.list().try_into().unwrap();
    assert_eq!((letter.function.as_str(), letter.destination.as_deref()), ("F", Some("Q")));
    let context = &letter.body["requestContext"];
    assert_eq!(context["requestId"], headers["x-amzn-requestid"].to_str().unwrap());
    assert_eq!(context["functionArn"], "arn:aws:lambda:eu-central-1:000000000000:function:F:$LATEST");
    assert_eq!((&context["condition"], &context["approximateInvokeCount"]), (&json!("RetriesExhausted"), &json!(2)));
    assert_eq!(letter.body["requestPayload"], "bad");
    assert_eq!(letter.body["responsePayload"]["errorMessage"], "it is bad");
    assert_eq!(letter.body["responseContext"]["functionError"], "Unhandled");
}

#[tokio::test]
async fn an_event_may_come_twice() {
    let lambda = Lambda::with("{}", [Fault::Duplicate(Often::Next(1))]).await;
    lambda.invoke("F/invocations", "Event", "{}").await;
    lambda.until(|calls, _| calls == 2).await;
}
