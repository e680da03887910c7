//! Who waits for a write to a table of the embedded database is told of it, so that nobody has to ask for what is new.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, de::IgnoredAny};
use tokio::sync::watch;

/// How often something was written to each table somebody waits for.
#[derive(Clone, Debug, Default)]
pub(super) struct Written(Arc<Mutex<HashMap<String, watch::Sender<u64>>>>);

/// The tables a request names, wherever it names them.
#[derive(Deserialize)]
struct Names<'a> {
    #[serde(rename = "TableName", borrow)]
    table: Option<Cow<'a, str>>,
    #[serde(rename = "RequestItems", borrow, default)]
    batch: HashMap<Cow<'a, str>, IgnoredAny>,
    #[serde(rename = "TransactItems", borrow, default)]
    transaction: Vec<Action<'a>>,
}

#[derive(Deserialize)]
struct Action<'a> {
    #[serde(rename = "Put", alias = "Update", alias = "Delete", borrow)]
    write: Option<Named<'a>>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(rename = "TableName", borrow)]
    table: Cow<'a, str>,
}

impl Written {
    /// Changes with every write to the table.
    pub(super) fn subscribe(&self, table: &str) -> watch::Receiver<u64> {
        self.senders().entry(table.to_owned()).or_default().subscribe()
    }

    /// A request was answered. What cannot be told from it counts as a write to every table.
    pub(super) fn by(&self, operation: &str, body: &[u8]) {
        match operation {
            "PutItem" | "UpdateItem" | "DeleteItem" | "BatchWriteItem" | "TransactWriteItems" => {
                let Ok(names) = serde_json::from_slice::<Names<'_>>(body) else { return self.everywhere() };
                let senders = self.senders();
                let of_transaction = names.transaction.iter().filter_map(|action| Some(&action.write.as_ref()?.table));
                for table in names.table.iter().chain(names.batch.keys()).chain(of_transaction) {
                    // A table may also be named by its ARN.
                    let name = table.rsplit_once(":table/").map_or(table.as_ref(), |(_, name)| name);
                    if let Some(sender) = senders.get(name) {
                        sender.send_modify(increment);
                    }
                }
            }
            "ExecuteStatement"
            | "BatchExecuteStatement"
            | "ExecuteTransaction"
            | "CreateTable"
            | "DeleteTable"
            | "UpdateTable" => self.everywhere(),
            _ => {}
        }
    }

    /// Something was written, to whatever table.
    pub(super) fn everywhere(&self) {
        self.senders().values().for_each(|sender| sender.send_modify(increment));
    }

    fn senders(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<u64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn increment(count: &mut u64) {
    *count = count.wrapping_add(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hears(operation: &str, body: &str) -> bool {
        let written = Written::default();
        let users = written.subscribe("users");
        written.by(operation, body.as_bytes());
        users.has_changed().unwrap()
    }

    #[test]
    fn a_write_is_told_to_those_who_wait_for_its_table_and_to_nobody_else() {
        for (operation, body) in [
            ("PutItem", r#"{"Item":{"pk":{"S":"TableName"}},"TableName":"users"}"#),
            ("UpdateItem", r#"{"TableName":"arn:aws:dynamodb:dynoxide:000000000000:table/users"}"#),
            ("DeleteItem", r#"{"TableName":"users","Key":{"pk":{"S":"a"}}}"#),
            ("BatchWriteItem", r#"{"RequestItems":{"other":[],"users":[{"DeleteRequest":{}}]}}"#),
            (
                "TransactWriteItems",
                r#"{"TransactItems":[{"ConditionCheck":{"TableName":"other"}},{"Update":{"TableName":"users","Key":{}}}]}"#,
            ),
            ("TransactWriteItems", r#"{"TransactItems":[{"Delete":{"Key":{},"TableName":"users"}}]}"#),
            ("ExecuteStatement", r#"{"Statement":"DELETE FROM users"}"#),
        ] {
            assert!(hears(operation, body), "{operation} {body}");
        }
        for (operation, body) in [
            ("PutItem", r#"{"TableName":"other"}"#),
            ("GetItem", r#"{"TableName":"users"}"#),
            ("GetRecords", r#"{"ShardIterator":"users"}"#),
            ("BatchWriteItem", r#"{"RequestItems":{"other":[]}}"#),
            (
                "TransactWriteItems",
                r#"{"TransactItems":[{"ConditionCheck":{"TableName":"users"}},{"Put":{"TableName":"other"}}]}"#,
            ),
        ] {
            assert!(!hears(operation, body), "{operation} {body}");
        }
    }
}
