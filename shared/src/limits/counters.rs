//! The counters, in the users table: `LIMIT#<what>#<who, hashed>`/`WINDOW`, removed by TTL. An address or e-mail address
//! is not readable in them.
//!
//! What is counted is taken by one conditional write before it is done, and given back if it does not count after all.

use aws_lc_rs::digest::{SHA256, digest};
use aws_sdk_dynamodb::{Client, operation::update_item::builders::UpdateItemFluentBuilder};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::Deserialize;
use serde_dynamo::aws_sdk_dynamodb_1::from_item;
use uuid::Uuid;

use crate::{
    dynamodb::{Item, condition_failed, n, s},
    error::Error,
    users::keys,
};

/// How often a counter is looked at again because its window ended, or began, in between.
const ATTEMPTS: u32 = 4;

/// What is counted, and how much of it is let through.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    /// Part of the key.
    pub(super) what: &'static str,
    /// The most that is let through in one window.
    pub(super) most: u32,
    /// Length of the window.
    pub(super) seconds: i64,
    /// Whether that is counted from the last one taken, and not from the first.
    pub(super) from_the_last: bool,
}

/// A counter as stored.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Window {
    /// How many are known to have failed; the rest of `taken` is under way.
    #[serde(default)]
    pub(super) failed: u32,
    /// Epoch seconds.
    pub(super) expires_at: i64,
    /// The call that was let through last.
    #[serde(default)]
    taker: String,
}

/// The table they are in.
#[derive(Clone)]
pub(super) struct Counters {
    pub(super) client: Client,
    pub(super) table: String,
}

impl Counters {
    /// Takes one; the window if there is none left.
    pub(super) async fn take(&self, limit: Limit, who: &str) -> Result<Option<Window>, Error> {
        let end = if limit.from_the_last { ":end" } else { "if_not_exists(expiresAt, :end)" };
        // The SDK repeats a write whose answer was lost. By its name one that was written is known, and not counted twice.
        let taker = Uuid::new_v4().to_string();
        let mut window = Window::default();
        for _ in 0..ATTEMPTS {
            let now = Timestamp::now().as_second();
            let one_more = self
                .update(limit, who)
                .update_expression(format!("SET expiresAt = {end}, taker = :taker ADD taken :one"))
                .condition_expression(
                    "attribute_not_exists(pk) OR (taken < :limit AND expiresAt > :now AND NOT taker = :taker)",
                )
                .expression_attribute_values(":limit", n(limit.most))
                .expression_attribute_values(":now", n(now))
                .expression_attribute_values(":end", n(now + limit.seconds))
                .expression_attribute_values(":taker", s(&taker))
                .expression_attribute_values(":one", n(1));
            if written(one_more).await? {
                return Ok(None);
            }
            window = self.read(limit, who).await?;
            if window.taker == taker {
                return Ok(None);
            }
            if window.expires_at > now {
                return Ok(Some(window));
            }
            // Items past their TTL may be there for days.
            let afresh = self
                .update(limit, who)
                .update_expression("SET taken = :one, failed = :zero, expiresAt = :end, taker = :taker")
                .condition_expression("expiresAt <= :now")
                .expression_attribute_values(":now", n(now))
                .expression_attribute_values(":end", n(now + limit.seconds))
                .expression_attribute_values(":taker", s(&taker))
                .expression_attribute_values(":one", n(1))
                .expression_attribute_values(":zero", n(0));
            if written(afresh).await? {
                return Ok(None);
            }
        }
        Ok(Some(window))
    }

    /// Gives one back that did not count after all.
    pub(super) async fn give_back(&self, limit: Limit, who: &str) -> Result<(), Error> {
        let back = self
            .update(limit, who)
            .update_expression("ADD taken :back")
            // The window may have ended, or been cleared.
            .condition_expression("taken > :zero")
            .expression_attribute_values(":back", n(-1))
            .expression_attribute_values(":zero", n(0));
        written(back).await.map(drop)
    }

    /// Notes that one that was taken failed.
    pub(super) async fn failed(&self, limit: Limit, who: &str) -> Result<(), Error> {
        let failed = self
            .update(limit, who)
            .update_expression("ADD failed :one")
            // Somebody may have cleared it meanwhile.
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":one", n(1));
        written(failed).await.map(drop)
    }

    /// Forgets all that were taken.
    pub(super) async fn clear(&self, limit: Limit, who: &str) -> Result<(), Error> {
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key(limit, who))).send();
        delete.await.map(drop).map_err(Error::internal("clearing a counter"))
    }

    fn update(&self, limit: Limit, who: &str) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.table).set_key(Some(key(limit, who)))
    }

    async fn read(&self, limit: Limit, who: &str) -> Result<Window, Error> {
        let get = self.client.get_item().table_name(&self.table).set_key(Some(key(limit, who))).consistent_read(true);
        let item = get.send().await.map_err(Error::internal("reading a counter"))?.item;
        item.map_or(Ok(Window::default()), from_item).map_err(Error::internal("reading a counter"))
    }
}

async fn written(update: UpdateItemFluentBuilder) -> Result<bool, Error> {
    match update.send().await {
        Ok(_) => Ok(true),
        Err(error) if condition_failed(&error) => Ok(false),
        Err(error) => Err(Error::internal("counting attempts")(error)),
    }
}

/// Hashed: of one length whatever was sent, and no list of who tried what.
pub(super) fn name(who: &[&str]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, who.join("\n").as_bytes()))
}

fn key(limit: Limit, who: &str) -> Item {
    keys::counter(limit.what, who)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_of_account_and_source_has_a_counter_of_its_own() {
        let names = [
            name(&["user", "a@example.com", "192.0.2.1"]),
            name(&["user", "a@example.com", "192.0.2.2"]),
            name(&["user", "b@example.com", "192.0.2.1"]),
            name(&["admin", "a@example.com", "192.0.2.1"]),
            name(&["192.0.2.1"]),
        ];
        for (index, name) in names.iter().enumerate() {
            assert!(!names[..index].contains(name));
            assert!(!name.contains("example.com"));
        }
    }
}
