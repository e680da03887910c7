//! Users as the API shows them.

use serde_json::Value;

/// A user's id.
pub fn id(user: &Value) -> &str {
    user["id"].as_str().unwrap()
}

/// The path of a user in the API.
pub fn path(user: &Value) -> String {
    path_to(user, "")
}

/// The path of something of a user, such as `/ban`.
pub fn path_to(user: &Value, route: &str) -> String {
    format!("/users/{}{route}", id(user))
}
