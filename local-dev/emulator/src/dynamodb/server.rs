//! The embedded database over HTTP, for the functions and for other programs of this machine.
//!
//! The library has a server of its own, but that allows every web page on every origin to read and write: it answers
//! preflights, and says so with each answer. This one takes the same requests and says nothing to pages.

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, HeaderName, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use dynoxide::{Database, DynoxideError, auth_material};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{turn::Turn, written::Written};

/// DynamoDB accepts bodies up to 16 MB.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// What AWS answers where no operation is named.
const UNKNOWN_OPERATION: &str = r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#;

/// What is served.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) database: Database,
    /// Taken for each request.
    pub(super) turn: Turn,
    /// Told of each write.
    pub(super) written: Written,
}

/// The routes: requests of DynamoDB and of its streams, and a `GET` that says whether it is there.
pub(super) fn router(served: Served) -> Router {
    let root = get(async || "healthy: dynamodb").post(answer);
    Router::new().route("/", root).layer(DefaultBodyLimit::max(MAX_BODY)).with_state(served)
}

async fn answer(State(served): State<Served>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let content_type = text("content-type").map(|value| value.split(';').next().unwrap_or_default().trim());
    // Any page may send other types without asking; these make its browser ask first, and nobody says yes.
    let Some(content_type @ ("application/x-amz-json-1.0" | "application/json")) = content_type else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let operation = text("x-amz-target").and_then(|target| {
        target.strip_prefix("DynamoDB_20120810.").or_else(|| target.strip_prefix("DynamoDBStreams_20120810."))
    });
    let (status, body) = outcome(&served, operation.unwrap_or_default(), &uri, &headers, &body);
    let id = Uuid::new_v4().simple().to_string().to_uppercase();
    let names = [(header::CONTENT_TYPE, content_type.to_owned()), (HeaderName::from_static("x-amzn-requestid"), id)];
    (status, names, body).into_response()
}

fn outcome(served: &Served, operation: &str, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> (StatusCode, String) {
    let material = auth_material::AuthMaterial {
        authorization: headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()),
        query: uri.query().unwrap_or_default(),
        has_date_header: headers.contains_key("x-amz-date") || headers.contains_key(header::DATE),
    };
    if let Some(refusal) = auth_material::validate(material) {
        return (StatusCode::BAD_REQUEST, refusal);
    }
    match served.turn.take(|| run(&served.database, operation, body)) {
        None => (StatusCode::BAD_REQUEST, UNKNOWN_OPERATION.to_owned()),
        Some(Ok(answer)) => {
            served.written.by(operation, body);
            (StatusCode::OK, answer)
        }
        Some(Err(error)) => {
            let status = StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::BAD_REQUEST);
            (status, error.to_json())
        }
    }
}

/// Each operation is a method of the database; its argument says what the request is read as. `None` is no operation.
fn run(database: &Database, operation: &str, body: &[u8]) -> Option<dynoxide::Result<String>> {
    macro_rules! operations {
        ($($name:literal => $method:ident),* $(,)?) => {
            match operation {
                $($name => Some(read(body).and_then(|request| database.$method(request)).and_then(|done| written(&done))),)*
                _ => None,
            }
        };
    }
    operations! {
        "BatchExecuteStatement" => batch_execute_statement,
        "BatchGetItem" => batch_get_item,
        "BatchWriteItem" => batch_write_item,
        "CreateTable" => create_table,
        "DeleteItem" => delete_item,
        "DeleteTable" => delete_table,
        "DescribeStream" => describe_stream,
        "DescribeTable" => describe_table,
        "DescribeTimeToLive" => describe_time_to_live,
        "ExecuteStatement" => execute_statement,
        "ExecuteTransaction" => execute_transaction,
        "GetItem" => get_item,
        "GetRecords" => get_records,
        "GetShardIterator" => get_shard_iterator,
        "ListStreams" => list_streams,
        "ListTables" => list_tables,
        "ListTagsOfResource" => list_tags_of_resource,
        "PutItem" => put_item,
        "Query" => query,
        "Scan" => scan,
        "TagResource" => tag_resource,
        "TransactGetItems" => transact_get_items,
        "TransactWriteItems" => transact_write_items,
        "UntagResource" => untag_resource,
        "UpdateItem" => update_item,
        "UpdateTable" => update_table,
        "UpdateTimeToLive" => update_time_to_live,
    }
}

/// What the library refuses while it reads a request, it marks with the kind of refusal and a colon.
fn read<T: DeserializeOwned>(body: &[u8]) -> dynoxide::Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        let text = error.to_string();
        match text.split_once(':') {
            Some((kind, reason)) if kind.starts_with("VALIDATION") => {
                DynoxideError::ValidationException(reason.trim().to_owned())
            }
            Some((kind, reason)) if kind.starts_with("SERIALIZATION") => {
                DynoxideError::SerializationException(reason.trim().to_owned())
            }
            _ if text.contains("missing field") => DynoxideError::ValidationException(text),
            _ => DynoxideError::SerializationException(text),
        }
    })
}

fn written(response: &impl Serialize) -> dynoxide::Result<String> {
    serde_json::to_string(response).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}
