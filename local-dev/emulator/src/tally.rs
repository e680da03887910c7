//! What the functions used of what AWS bills: invocations, units of DynamoDB, calls of the management API.
//!
//! So that a model of the bill can be held to what really happens.

use std::{
    collections::BTreeMap,
    ops::{Add, Sub},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

/// What one function used, or several of them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    /// Invocations.
    pub invocations: f64,
    /// Write units, of items of up to 1 KB.
    pub writes: f64,
    /// Read units of items that are asked for by their key, of up to 4 KB.
    pub reads: f64,
    /// Read units of queries and scans, each of up to 4 KB.
    pub queries: f64,
    /// Frames that were posted.
    pub posts: f64,
    /// Connections that were closed.
    pub deletes: f64,
}

impl Spent {
    fn both(self, other: Self, with: fn(f64, f64) -> f64) -> Self {
        Self {
            invocations: with(self.invocations, other.invocations),
            writes: with(self.writes, other.writes),
            reads: with(self.reads, other.reads),
            queries: with(self.queries, other.queries),
            posts: with(self.posts, other.posts),
            deletes: with(self.deletes, other.deletes),
        }
    }

    /// What one invocation uses.
    pub(crate) fn invocation() -> Self {
        Self { invocations: 1.0, ..Self::default() }
    }

    /// What one call of the management API uses.
    pub(crate) fn management(method: &str) -> Self {
        match method {
            "POST" => Self { posts: 1.0, ..Self::default() },
            "DELETE" => Self { deletes: 1.0, ..Self::default() },
            _ => Self::default(),
        }
    }

    /// What one request to DynamoDB uses, whose items are small. In a transaction each part is written twice.
    pub(crate) fn request(operation: &str, request: &Value) -> Self {
        let parts = |list: &Value| precise(list.as_array().map_or(0, Vec::len));
        let unit = |request: &Value| if request["ConsistentRead"] == true { 1.0 } else { 0.5 };
        let tables = || request["RequestItems"].as_object().into_iter().flatten();
        let none = Self::default();
        match operation {
            "PutItem" | "UpdateItem" | "DeleteItem" => Self { writes: 1.0, ..none },
            "TransactWriteItems" => Self { writes: 2.0 * parts(&request["TransactItems"]), ..none },
            "BatchWriteItem" => Self { writes: tables().map(|(_, items)| parts(items)).sum(), ..none },
            "GetItem" => Self { reads: unit(request), ..none },
            "TransactGetItems" => Self { reads: 2.0 * parts(&request["TransactItems"]), ..none },
            "BatchGetItem" => {
                Self { reads: tables().map(|(_, table)| parts(&table["Keys"]) * unit(table)).sum(), ..none }
            }
            "Query" | "Scan" => Self { queries: unit(request), ..none },
            _ => none,
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "at most a hundred")]
fn precise(count: usize) -> f64 {
    count as f64
}

impl Add for Spent {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.both(other, |one, other| one + other)
    }
}

impl Sub for Spent {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.both(other, |one, other| one - other)
    }
}

/// What each function used so far, by logical id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<BTreeMap<String, Spent>>>);

impl Tally {
    pub(crate) fn add(&self, function: &str, spent: Spent) {
        let mut all = self.spent();
        let before = all.entry(function.to_owned()).or_default();
        *before = *before + spent;
    }

    pub(crate) fn all(&self) -> BTreeMap<String, Spent> {
        self.spent().clone()
    }

    fn spent(&self) -> MutexGuard<'_, BTreeMap<String, Spent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_as_many_units_as_dynamodb_counts() {
        let writes = |operation: &str, request: Value| Spent::request(operation, &request).writes;
        let reads = |operation: &str, request: Value| Spent::request(operation, &request).reads;
        assert_eq!(writes("PutItem", json!({})), 1.0);
        assert_eq!(writes("TransactWriteItems", json!({"TransactItems": [{}, {}, {}]})), 6.0);
        assert_eq!(writes("BatchWriteItem", json!({"RequestItems": {"a": [{}, {}], "b": [{}]}})), 3.0);
        assert_eq!(reads("GetItem", json!({"ConsistentRead": true})), 1.0);
        assert_eq!(reads("GetItem", json!({})), 0.5);
        assert_eq!(
            reads("BatchGetItem", json!({"RequestItems": {"a": {"Keys": [{}, {}], "ConsistentRead": true}}})),
            2.0
        );
        assert_eq!(Spent::request("Query", &json!({})).queries, 0.5);
    }
}
