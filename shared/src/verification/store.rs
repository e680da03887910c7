//! Codes in the users table: `USER#<id>`/`CODE#email` and `CODE#phone`, at most one of each per user.

use aws_sdk_dynamodb::{Client, error::SdkError, operation::put_item::PutItemError, types::ReturnValue};
use jiff::Timestamp;
use serde::Deserialize;
use serde_dynamo::aws_sdk_dynamodb_1::from_item;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::{
    Channel, CodeKeys, code,
    delivery::{Letter, context},
};
use crate::{
    config::{ConfigError, Environment},
    dynamodb::{condition_failed, n, s},
    error::Error,
    users::{User, UserStore},
};

/// Life of a code.
pub const CODE_SECONDS: i64 = 10 * 60;

/// Time between two codes for the same address.
const PAUSE_SECONDS: i64 = 60;

/// Guesses a code survives.
const GUESSES: u32 = 5;

/// What a guess is compared with.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    code_hash: String,
    expires_at: i64,
}

/// The codes of the users table.
pub struct CodeStore {
    client: Client,
    table: String,
    keys: CodeKeys,
}

impl CodeStore {
    /// The codes of the same table, through the same client.
    ///
    /// # Errors
    /// [`ConfigError`] if `CODE_SECRET` is missing or short.
    pub fn beside(users: &UserStore, env: &Environment) -> Result<Self, ConfigError> {
        let (client, table) = users.parts();
        Ok(Self { client, table, keys: CodeKeys::from_env(env)? })
    }

    /// Makes a code in place of any earlier one. Writing it is what sends it.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`] within a minute of the last one.
    pub async fn send(&self, user: &User, channel: Channel) -> Result<(), Error> {
        let now = Timestamp::now().as_second();
        let expires_at = now + CODE_SECONDS;
        let (code, context) = (code::random(channel)?, context(&user.id.to_string(), channel, expires_at));
        let letter = Letter { to: channel.address(user).into(), code: code.as_str().into() };
        let letter = serde_json::to_string(&letter).map_err(Error::internal("writing a code"))?;
        let sealed = self.keys.seal(&context, &letter).map_err(Error::internal("sealing a code"))?;
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(channel.code_key(user.id)))
            .item("codeHash", s(self.keys.hash(&context, &code)))
            .item("sealed", s(sealed))
            .item("sentAt", n(now))
            .item("guesses", n(0))
            .item("expiresAt", n(expires_at))
            .condition_expression("attribute_not_exists(pk) OR sentAt <= :pause")
            .expression_attribute_values(":pause", n(now - PAUSE_SECONDS));
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) if is_too_early(&error) => {
                Err(Error::TooManyAttempts { retry_after: self.pause_left(user.id, channel, now).await? })
            }
            Err(error) => Err(Error::internal("storing a code")(error)),
        }
    }

    /// Checks a guess. Every guess is counted before it is looked at, so that guessing at the same moment gains nothing.
    ///
    /// # Errors
    /// [`Error::Validation`] of `code` if it is wrong, expired or guessed at too often.
    pub async fn check(&self, id: Uuid, channel: Channel, guess: &str) -> Result<(), Error> {
        let refused = || Error::field("code", "is wrong or has expired; after five wrong ones ask for a new one");
        let count = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(channel.code_key(id)))
            .update_expression("ADD guesses :one")
            .condition_expression("attribute_exists(pk) AND guesses < :limit AND expiresAt > :now")
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":limit", n(GUESSES))
            .expression_attribute_values(":now", n(Timestamp::now().as_second()))
            .return_values(ReturnValue::AllNew);
        let item = match count.send().await {
            Ok(output) => output.attributes.unwrap_or_default(),
            Err(error) if condition_failed(&error).is_some() => return Err(refused()),
            Err(error) => return Err(Error::internal("counting a guess")(error)),
        };
        let row: Row = from_item(item).map_err(Error::internal("reading a code item"))?;
        let context = context(&id.to_string(), channel, row.expires_at);
        let hash = self.keys.hash(&context, &code::normalised(guess));
        if bool::from(hash.as_bytes().ct_eq(row.code_hash.as_bytes())) { Ok(()) } else { Err(refused()) }
    }

    /// Removes a code that has served. One that stays behind is harmless: what it verifies is verified.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn forget(&self, id: Uuid, channel: Channel) -> Result<(), Error> {
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(channel.code_key(id))).send();
        delete.await.map(drop).map_err(Error::internal("removing a code"))
    }

    async fn pause_left(&self, id: Uuid, channel: Channel, now: i64) -> Result<u64, Error> {
        let get =
            self.client.get_item().table_name(&self.table).set_key(Some(channel.code_key(id))).consistent_read(true);
        let item = get.send().await.map_err(Error::internal("reading a code"))?.item.unwrap_or_default();
        let sent_at = item.get("sentAt").and_then(|at| at.as_n().ok()).and_then(|at| at.parse().ok()).unwrap_or(now);
        Ok((sent_at + PAUSE_SECONDS - now).max(1).unsigned_abs())
    }
}

fn is_too_early(error: &SdkError<PutItemError>) -> bool {
    error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception)
}
