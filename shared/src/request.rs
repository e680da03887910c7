//! The REST request being handled. Its id is in the answer (`x-request-id`), in every line logged on its behalf, and in
//! the row it writes; from there the stream brings it to the lines logged while the change is told to sockets.
//!
//! It is bound to the task and not handed from call to call, because nothing is decided by it.

use std::sync::Arc;

use aws_lambda_events::event::dynamodb::EventRecord;
use serde_dynamo::AttributeValue;

/// Name of the attribute that says which request wrote a row of the users table.
pub(crate) const REQUEST_ID: &str = "requestId";

tokio::task_local! {
    static ID: Arc<str>;
}

/// Does some work as part of a request.
pub async fn as_part_of<F: Future>(id: Arc<str>, work: F) -> F::Output {
    ID.scope(id, work).await
}

/// The request this is part of, if it is part of one.
#[must_use]
pub fn current() -> Option<Arc<str>> {
    ID.try_with(Arc::clone).ok()
}

/// The request that made a change, as the users table's stream tells it.
#[must_use]
pub fn of_record(record: &EventRecord) -> Option<&str> {
    // A deleted row has only an old image.
    match record.change.new_image.get(REQUEST_ID).or_else(|| record.change.old_image.get(REQUEST_ID))? {
        AttributeValue::S(id) => Some(id),
        _ => None,
    }
}
