//! What all stores need of DynamoDB: names and keys, attribute values, failed conditions, transactions that meet others.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    config::{
        interceptors::InterceptorContext,
        retry::{ClassifyRetry, RetryAction},
    },
    error::SdkError,
    operation::{transact_write_items::TransactWriteItemsError, update_item::UpdateItemError},
    types::{AttributeValue, TransactWriteItem},
};

/// Name of the partition key of both tables.
pub const PK: &str = "pk";

/// Name of the sort key of both tables.
pub const SK: &str = "sk";

/// Name of the attribute that both tables declare for their TTL: the end of an item, epoch seconds.
pub(crate) const EXPIRES_AT: &str = "expiresAt";

/// An item, or the key of one.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// How often a transaction is tried that met another one on the same item, or a partition that has too much to do.
const ATTEMPTS: u32 = 8;

/// First pause between attempts; it doubles, up to 16 times.
const PAUSE: Duration = Duration::from_millis(10);

/// Reasons of a cancellation that may be gone a moment later. The SDK sees only that the transaction was cancelled, and
/// does not try again.
const PASSING: [&str; 3] = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];

/// Tells the SDK to try a plain update again that met a transaction on the same item; by itself it does not.
#[derive(Debug)]
pub(crate) struct RetryConflicts;

impl ClassifyRetry for RetryConflicts {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context.output_or_error().and_then(Result::err).and_then(|error| error.as_operation_error());
        match error.and_then(|error| error.downcast_ref()) {
            Some(UpdateItemError::TransactionConflictException(_)) => RetryAction::transient_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "a plain update that met a transaction"
    }
}

/// The key of an item.
pub(crate) fn key(partition: impl Into<String>, sort: impl Into<String>) -> Item {
    Item::from([(PK.to_owned(), s(partition)), (SK.to_owned(), s(sort))])
}

/// A string attribute.
pub(crate) fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A number attribute.
pub(crate) fn n(number: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// Why an update was not done.
#[derive(Debug, PartialEq)]
pub(crate) enum NotUpdated<'a> {
    /// The condition does not hold, and this is the item as it is.
    Item(&'a Item),
    /// The condition does not hold; there is no such item, or it was not asked for.
    NoItem,
    /// For another reason than its condition.
    Otherwise,
}

impl<'a> NotUpdated<'a> {
    /// What this error says of it.
    pub(crate) fn of(error: &'a SdkError<UpdateItemError>) -> Self {
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                failed.item().filter(|item| !item.is_empty()).map_or(Self::NoItem, Self::Item)
            }
            _ => Self::Otherwise,
        }
    }
}

/// Whether the update was refused by its condition.
pub(crate) fn condition_failed(error: &SdkError<UpdateItemError>) -> bool {
    NotUpdated::of(error) != NotUpdated::Otherwise
}

/// Per action of a cancelled transaction, `Some` where its condition failed, with the item as it is if it was asked for.
/// `None` if no condition failed.
pub(crate) fn failed_conditions(error: &SdkError<TransactWriteItemsError>) -> Option<Vec<Option<Item>>> {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error.as_service_error()? else {
        return None;
    };
    let failed = |code: Option<&str>| code == Some("ConditionalCheckFailed");
    let reasons = cancelled.cancellation_reasons();
    let outcomes: Vec<_> = reasons
        .iter()
        .map(|reason| failed(reason.code()).then(|| reason.item().cloned().unwrap_or_default()))
        .collect();
    outcomes.iter().any(Option::is_some).then_some(outcomes)
}

/// Writes all or nothing.
pub(crate) async fn transact(
    client: &Client,
    actions: Vec<TransactWriteItem>,
) -> Result<(), SdkError<TransactWriteItemsError>> {
    let mut attempt = 0;
    loop {
        let error = match client.transact_write_items().set_transact_items(Some(actions.clone())).send().await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        attempt += 1;
        if attempt == ATTEMPTS || !is_passing(&error) {
            return Err(error);
        }
        tokio::time::sleep(PAUSE * (1 << attempt.min(4))).await;
    }
}

/// Whether another attempt may succeed: only if no condition failed, as that answer would not change.
fn is_passing(error: &SdkError<TransactWriteItemsError>) -> bool {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() else {
        return false;
    };
    let mut codes = cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code());
    let mut passing = codes.clone().filter(|code| PASSING.contains(code));
    passing.next().is_some() && codes.all(|code| code != "ConditionalCheckFailed")
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use aws_sdk_dynamodb::types::Put;
    use axum::{Json, Router, http::StatusCode, routing::post};
    use serde_json::{Value, json};

    use super::*;
    use crate::config::Environment;

    /// A database that answers the first request with this error and the others with success; and how many it got.
    async fn database(first: &str) -> (Client, Arc<AtomicUsize>) {
        refusing(json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{first}") })).await
    }

    /// A database that answers the first request with an error of this body and the others with success; and how many
    /// it got.
    async fn refusing(first: Value) -> (Client, Arc<AtomicUsize>) {
        let requests = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&requests);
        let answer = async move || match count.fetch_add(1, Ordering::Relaxed) {
            0 => (StatusCode::BAD_REQUEST, Json(first)),
            _ => (StatusCode::OK, Json(json!({}))),
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/", post(answer))).await });
        let env = Environment::from_iter(
            [
                ("AWS_REGION", "eu-central-1"),
                ("AWS_ACCESS_KEY_ID", "a"),
                ("AWS_SECRET_ACCESS_KEY", "b"),
                ("AWS_ENDPOINT_URL_DYNAMODB", &endpoint),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        (crate::aws::Clients::from_env(&env).unwrap().dynamodb(), requests)
    }

    #[tokio::test]
    async fn an_update_that_meets_a_transaction_is_tried_again() {
        let (client, requests) = database("TransactionConflictException").await;
        client.update_item().table_name("users").key("pk", s("USER#1")).send().await.unwrap();
        assert_eq!(requests.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn an_update_that_is_refused_by_its_condition_is_not() {
        let (client, requests) = database("ConditionalCheckFailedException").await;
        let error = client.update_item().table_name("users").key("pk", s("USER#1")).send().await.unwrap_err();
        assert_eq!(NotUpdated::of(&error), NotUpdated::NoItem);
        assert_eq!(requests.load(Ordering::Relaxed), 1);
    }
    /// How often a transaction with one action was sent that was cancelled for this reason.
    async fn attempts_after(reason: &str) -> usize {
        let (client, requests) = refusing(json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "CancellationReasons": [{ "Code": "None" }, { "Code": reason }],
        }))
        .await;
        let put = Put::builder().table_name("users").item("pk", s("USER#1")).build().unwrap();
        let _ = transact(&client, vec![TransactWriteItem::builder().put(put).build()]).await;
        requests.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn a_cancelled_transaction_is_tried_again_unless_a_condition_failed() {
        for reason in PASSING {
            assert_eq!(attempts_after(reason).await, 2, "{reason}");
        }
        assert_eq!(attempts_after("ConditionalCheckFailed").await, 1);
    }
}
