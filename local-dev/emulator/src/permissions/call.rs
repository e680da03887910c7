//! Which permissions a request to DynamoDB needs.

use serde_json::Value;

use super::table_arn;

/// The operation of `X-Amz-Target: DynamoDB_20120810.GetItem`.
pub(super) fn operation(target: &str) -> &str {
    target.rsplit('.').next().unwrap_or_default()
}

/// Action and ARN of everything a request does. `stack` is the prefix of the tables' names.
pub(super) fn needs(operation: &str, request: &Value, stack: &str) -> Vec<(String, String)> {
    let of = |action: &str, table: &Value| (format!("dynamodb:{action}"), arn(table, stack));
    match operation {
        // A transaction is as much as its parts.
        "TransactWriteItems" => parts(request, "TransactItems")
            .map(|(kind, part)| {
                let action = match kind.as_str() {
                    "Put" => "PutItem",
                    "Update" => "UpdateItem",
                    "Delete" => "DeleteItem",
                    _ => "ConditionCheckItem",
                };
                of(action, &part["TableName"])
            })
            .collect(),
        "TransactGetItems" => {
            parts(request, "TransactItems").map(|(_, part)| of("GetItem", &part["TableName"])).collect()
        }
        "BatchGetItem" | "BatchWriteItem" => {
            let tables = request["RequestItems"].as_object();
            tables.into_iter().flatten().map(|(table, _)| of(operation, &table.as_str().into())).collect()
        }
        _ => {
            let (action, table) = of(operation, &request["TableName"]);
            match request["IndexName"].as_str() {
                Some(index) => vec![(action, format!("{table}/index/{index}"))],
                None => vec![(action, table)],
            }
        }
    }
}

/// Kind and content of each action of a transaction.
fn parts<'a>(request: &'a Value, list: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    let actions = request[list].as_array().map(Vec::as_slice).unwrap_or_default();
    actions.iter().filter_map(|action| action.as_object()).flatten()
}

/// A request that names no table (PartiQL, listing tables) is about all of them, which nothing grants.
fn arn(table: &Value, stack: &str) -> String {
    let name = table.as_str().unwrap_or("*");
    let name = name.rsplit('/').next().unwrap_or(name);
    table_arn(name.strip_prefix(stack).and_then(|name| name.strip_prefix('-')).unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(operation: &str, request: &Value) -> Vec<(String, String)> {
        let short = |arn: String| arn.split(":table/").nth(1).unwrap().to_owned();
        needs(operation, request, "my-stack").into_iter().map(|(action, arn)| (action, short(arn))).collect()
    }

    fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
        pairs.map(|(action, table)| (format!("dynamodb:{action}"), table.to_owned())).into()
    }

    #[test]
    fn a_table_and_an_index_are_different_resources() {
        let mut query = json!({ "TableName": "my-stack-UsersTable" });
        assert_eq!(of("Query", &query), pairs([("Query", "UsersTable")]));
        query["IndexName"] = "byCreatedAt".into();
        assert_eq!(of("Query", &query), pairs([("Query", "UsersTable/index/byCreatedAt")]));
    }

    #[test]
    fn a_transaction_needs_what_its_parts_need() {
        let table = json!({ "TableName": "my-stack-T" });
        let request = json!({ "TransactItems": [{ "Put": table }, { "Update": table }, { "Delete": table }, { "ConditionCheck": table }] });
        let expected = [("PutItem", "T"), ("UpdateItem", "T"), ("DeleteItem", "T"), ("ConditionCheckItem", "T")];
        assert_eq!(of("TransactWriteItems", &request), pairs(expected));
        let reads = json!({ "TransactItems": [{ "Get": table }] });
        assert_eq!(of("TransactGetItems", &reads), pairs([("GetItem", "T")]));
    }

    #[test]
    fn a_batch_needs_its_action_on_every_table() {
        let request = json!({ "RequestItems": { "my-stack-A": [], "my-stack-B": [] } });
        assert_eq!(of("BatchWriteItem", &request), pairs([("BatchWriteItem", "A"), ("BatchWriteItem", "B")]));
    }

    #[test]
    fn a_request_without_a_table_is_about_all() {
        assert_eq!(
            of("ExecuteStatement", &json!({ "Statement": "SELECT * FROM x" })),
            pairs([("ExecuteStatement", "*")])
        );
    }
}
