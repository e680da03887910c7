//! Codes in the users table: `USER#<id>`/`CODE#email` and `CODE#phone`, at most one of each per user.

use aws_sdk_dynamodb::{Client, types::ReturnValue};
use jiff::Timestamp;
use serde::Deserialize;
use serde_dynamo::aws_sdk_dynamodb_1::from_item;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::{
    CodeKeys, code,
    delivery::{Letter, context},
};
use crate::{
    config::{ConfigError, Environment},
    dynamodb::{EXPIRES_AT, condition_failed, n, s},
    error::Error,
    request,
    users::{Channel, User, UserStore, keys},
};

/// Life of a code.
pub const CODE_SECONDS: i64 = 10 * 60;

/// Guesses a code survives. How many codes an address gets, and so how many guesses there are in all, is the business of
/// [`LimitStore::code`](crate::limits::LimitStore::code).
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
    /// [`Error::Internal`] only.
    pub async fn send(&self, user: &User, channel: Channel) -> Result<(), Error> {
        let expires_at = Timestamp::now().as_second() + CODE_SECONDS;
        let (code, context) = (code::random(channel)?, context(&user.id.to_string(), channel, expires_at));
        let letter = Letter { to: channel.address(user).into(), code: code.as_str().into() };
        let letter = serde_json::to_string(&letter).map_err(Error::internal("writing a code"))?;
        let sealed = self.keys.seal(&context, &letter).map_err(Error::internal("sealing a code"))?;
        // Without a condition, so that the SDK may repeat it if its answer was lost.
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(keys::code(user.id, channel)))
            .item("codeHash", s(self.keys.hash(&context, &code)))
            .item("sealed", s(sealed))
            .item("guesses", n(0))
            .item(EXPIRES_AT, n(expires_at));
        let put = match request::current() {
            Some(request) => put.item(request::REQUEST_ID, s(&*request)),
            None => put,
        };
        put.send().await.map(drop).map_err(Error::internal("storing a code"))
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
            .set_key(Some(keys::code(id, channel)))
            .update_expression("ADD guesses :one")
            .condition_expression("attribute_exists(pk) AND guesses < :limit AND expiresAt > :now")
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":limit", n(GUESSES))
            .expression_attribute_values(":now", n(Timestamp::now().as_second()))
            .return_values(ReturnValue::AllNew);
        let item = match count.send().await {
            Ok(output) => output.attributes.unwrap_or_default(),
            Err(error) if condition_failed(&error) => return Err(refused()),
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
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(keys::code(id, channel))).send();
        delete.await.map(drop).map_err(Error::internal("removing a code"))
    }
}
