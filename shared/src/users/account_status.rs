//! Whether an account may be connected, and the condition that it still may when something is written because of that.

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, TransactWriteItem};
use uuid::Uuid;

use super::{UserStore, keys};
use crate::{
    dynamodb::{Item, n},
    error::Error,
};

/// An account that was in good standing when it was read.
///
/// Whatever is written on the strength of this status is written in one transaction with its check: a ban that was
/// committed in between makes the whole fail.
#[derive(Debug, Clone)]
pub struct AccountStatus {
    /// The account's [session generation](super::User::session_generation).
    pub generation: u32,
    table: String,
    key: Item,
}

impl UserStore {
    /// Reads the standing of an account, consistently.
    ///
    /// # Errors
    /// [`Error::AccountBanned`], [`Error::Unauthenticated`] if there is no such account.
    pub async fn account_status(&self, id: Uuid) -> Result<AccountStatus, Error> {
        match self.get(id).await? {
            Some(user) if user.is_banned => Err(Error::AccountBanned),
            Some(user) => Ok(AccountStatus {
                generation: user.session_generation,
                table: self.table.clone(),
                key: keys::profile(id),
            }),
            None => Err(Error::Unauthenticated),
        }
    }
}

impl AccountStatus {
    /// Fails unless the account exists, is not banned, and has not been banned since.
    pub(crate) fn check(&self) -> Result<TransactWriteItem, Error> {
        // As a row is read: what it does not say is the default.
        let generation = match self.generation {
            0 => "(attribute_not_exists(sessionGeneration) OR sessionGeneration = :generation)",
            _ => "sessionGeneration = :generation",
        };
        let not_banned = "(attribute_not_exists(isBanned) OR isBanned = :false)";
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(self.key.clone()))
            .condition_expression(format!("attribute_exists(pk) AND {not_banned} AND {generation}"))
            .expression_attribute_values(":false", AttributeValue::Bool(false))
            .expression_attribute_values(":generation", n(self.generation))
            .build()
            .map_err(Error::internal("building a check of an account"))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }
}
