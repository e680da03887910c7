//! The list of users, newest first, a page at a time.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    User, UserStore, iso_millis,
    store::{LIST, parse, profile_key},
};
use crate::{
    dynamodb::{Item, s},
    error::Error,
};

/// One page of the list, newest first.
pub struct Page {
    /// The users.
    pub users: Vec<User>,
    /// Where the next page begins, if there is one. Opaque to clients.
    pub next: Option<String>,
}

impl UserStore {
    /// Lists users, newest first. A row that is no user is left out, and costs nobody the rest of the page.
    ///
    /// # Errors
    /// [`Error::Validation`] for a cursor that did not come from [`Page::next`].
    pub async fn list(&self, limit: i32, cursor: Option<&str>) -> Result<Page, Error> {
        let start = cursor.map(decode_cursor).transpose()?;
        let output = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("byCreatedAt")
            .key_condition_expression("#list = :list")
            .expression_attribute_names("#list", "list")
            .expression_attribute_values(":list", s(LIST))
            .scan_index_forward(false)
            .limit(limit)
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(Error::internal("listing users"))?;
        let next = output.last_evaluated_key().and_then(encode_cursor);
        let users = output.items.unwrap_or_default().into_iter().filter_map(readable).collect();
        Ok(Page { users, next })
    }
}

/// A user, if the item is one; if not, the log has its id and nothing else of it.
fn readable(item: Item) -> Option<User> {
    let pk = item.get("pk").and_then(|pk| pk.as_s().ok());
    let id = pk.and_then(|pk| pk.strip_prefix("USER#")).and_then(|id| id.parse::<Uuid>().ok());
    parse(item).inspect_err(|_| tracing::error!(?id, "a row in the list of users is no user")).ok()
}

/// `<createdAt>|<id>`: all that the index key of a profile is made of.
fn encode_cursor(key: &Item) -> Option<String> {
    let created_at = key.get("createdAt")?.as_s().ok()?;
    let id = key.get("pk")?.as_s().ok()?.strip_prefix("USER#")?;
    Some(BASE64_URL_SAFE_NO_PAD.encode(format!("{created_at}|{id}")))
}

fn decode_cursor(cursor: &str) -> Result<Item, Error> {
    let parts = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let parts = parts.as_deref().and_then(|text| text.split_once('|'));
    let parts =
        parts.and_then(|(created_at, id)| Some((created_at.parse::<Timestamp>().ok()?, id.parse::<Uuid>().ok()?)));
    let (created_at, id) = parts.ok_or_else(|| Error::field("cursor", "must come from a Link header of this list"))?;
    let mut key = profile_key(id);
    key.extend([("list".to_owned(), s(LIST)), ("createdAt".to_owned(), s(iso_millis(created_at)))]);
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_way_through_the_client() {
        let mut key = profile_key(Uuid::new_v4());
        key.extend([("list".to_owned(), s(LIST)), ("createdAt".to_owned(), s("2025-02-09T18:23:27.396Z"))]);
        assert_eq!(decode_cursor(&encode_cursor(&key).unwrap()).unwrap(), key);
    }

    #[test]
    fn a_foreign_cursor_is_a_validation_error() {
        for cursor in ["", "x", "!!", &BASE64_URL_SAFE_NO_PAD.encode("yesterday|me")] {
            assert!(matches!(decode_cursor(cursor), Err(Error::Validation(_))), "{cursor}");
        }
    }
}
