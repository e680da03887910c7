//! Sessions in the users table: one item per family, `USER#<id>`/`SESSION#<family>`, with the hash of its newest token.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use jiff::Timestamp;
use serde::Deserialize;
use serde_dynamo::aws_sdk_dynamodb_1::from_item;
use subtle::ConstantTimeEq as _;

use super::{Owner, RefreshToken};
use crate::{
    dynamodb::{Item, condition_failed, n, s},
    error::Error,
    users::UserStore,
};

/// Life of a refresh token: who does not come back within 30 days logs in again.
const LIFE_SECONDS: i64 = 30 * 24 * 60 * 60;

/// What a session is compared with.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    token_hash: String,
    generation: String,
    expires_at: i64,
}

/// The sessions of the users table.
#[derive(Clone)]
pub struct SessionStore {
    client: Client,
    table: String,
}

impl SessionStore {
    /// The sessions of the same table, through the same client.
    #[must_use]
    pub fn beside(users: &UserStore) -> Self {
        let (client, table) = users.parts();
        Self { client, table }
    }

    /// Begins a session and returns its first token.
    ///
    /// `generation` is what the owner's sessions are worth now: once the owner has another one, this session is over.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn begin(&self, owner: Owner, generation: &str) -> Result<RefreshToken, Error> {
        let token = RefreshToken::first(owner)?;
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(key(&token)))
            .item("tokenHash", s(token.hash()))
            .item("generation", s(generation))
            .item("expiresAt", n(expiry()))
            .send();
        put.await.map_err(Error::internal("beginning a session"))?;
        Ok(token)
    }

    /// The generation of a token's session, if the token is its newest.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] if there is no such session or it has expired, and for a token that was replaced
    /// before: that ends the session.
    pub async fn generation(&self, token: &RefreshToken) -> Result<String, Error> {
        let get = self.client.get_item().table_name(&self.table).set_key(Some(key(token))).consistent_read(true);
        let item = get.send().await.map_err(Error::internal("reading a session"))?.item;
        let session: Session = from_item(item.ok_or(Error::Unauthenticated)?)
            .map_err(|error| Error::internal("reading a session item")(error))?;
        // Items past their TTL may be there for days.
        if session.expires_at <= Timestamp::now().as_second() {
            return Err(Error::Unauthenticated);
        }
        if bool::from(session.token_hash.as_bytes().ct_eq(token.hash().as_bytes())) {
            return Ok(session.generation);
        }
        Err(self.reused(token).await?)
    }

    /// Replaces a token. Of any number of callers with the same token one gets the next; the others are too late, which
    /// ends the session.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] if another caller was first.
    pub async fn rotate(&self, token: &RefreshToken) -> Result<RefreshToken, Error> {
        let next = token.next()?;
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(token)))
            .update_expression("SET tokenHash = :next, expiresAt = :expiry")
            // The next one already: the SDK repeats a write whose answer was lost.
            .condition_expression("(tokenHash = :this OR tokenHash = :next) AND expiresAt > :now")
            .expression_attribute_values(":this", s(token.hash()))
            .expression_attribute_values(":next", s(next.hash()))
            .expression_attribute_values(":expiry", n(expiry()))
            .expression_attribute_values(":now", n(Timestamp::now().as_second()));
        match update.send().await {
            Ok(_) => Ok(next),
            Err(error) if condition_failed(&error).is_some() => Err(self.reused(token).await?),
            Err(error) => Err(Error::internal("replacing a refresh token")(error)),
        }
    }

    /// Ends the session of a token, the newest or not; one that is over stays over.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn end(&self, token: &RefreshToken) -> Result<(), Error> {
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key(token))).send();
        delete.await.map(drop).map_err(Error::internal("ending a session"))
    }

    async fn reused(&self, token: &RefreshToken) -> Result<Error, Error> {
        self.end(token).await?;
        let (subject, family) = (token.owner().subject(), token.family());
        tracing::warn!(%subject, %family, "a refresh token was used twice; its session is ended");
        Ok(Error::Unauthenticated)
    }
}

fn expiry() -> i64 {
    Timestamp::now().as_second() + LIFE_SECONDS
}

fn key(token: &RefreshToken) -> Item {
    let (owner, family) = (token.owner().subject(), token.family());
    HashMap::from([("pk".into(), s(format!("USER#{owner}"))), ("sk".into(), s(format!("SESSION#{family}")))])
}
