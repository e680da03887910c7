//! What both stores need of DynamoDB: attribute values, failed conditions, transactions that meet others.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::{transact_write_items::TransactWriteItemsError, update_item::UpdateItemError},
    types::{AttributeValue, TransactWriteItem},
};

/// An item, or the key of one.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// A transaction that met another one on the same item is tried again this often.
const CONFLICT_ATTEMPTS: u32 = 8;

/// First pause after a conflict; it doubles, up to 16 times.
const CONFLICT_PAUSE: Duration = Duration::from_millis(10);

/// A string attribute.
pub(crate) fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A number attribute.
pub(crate) fn n(number: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// `Some` if the update was refused by its condition, with the item as it is if it was asked for and exists.
pub(crate) fn condition_failed(error: &SdkError<UpdateItemError>) -> Option<Option<&Item>> {
    match error.as_service_error()? {
        UpdateItemError::ConditionalCheckFailedException(failed) => Some(failed.item().filter(|item| !item.is_empty())),
        _ => None,
    }
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

/// Writes all or nothing. Conflicts with other transactions are retried here, because the SDK does not.
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
        if attempt == CONFLICT_ATTEMPTS || !is_conflict(&error) {
            return Err(error);
        }
        tokio::time::sleep(CONFLICT_PAUSE * (1 << attempt.min(4))).await;
    }
}

/// Only if no condition failed: that answer would not change.
fn is_conflict(error: &SdkError<TransactWriteItemsError>) -> bool {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() else {
        return false;
    };
    let has = |wanted| cancelled.cancellation_reasons().iter().any(|reason| reason.code() == Some(wanted));
    has("TransactionConflict") && !has("ConditionalCheckFailed")
}
