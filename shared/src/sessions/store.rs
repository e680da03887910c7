//! Sessions in the users table: one item per family, `USER#<id>`/`SESSION#<family>`, with hashes of its newest token and
//! of the one before.

use aws_sdk_dynamodb::Client;
use futures::future::try_join_all;
use jiff::Timestamp;
use serde_dynamo::aws_sdk_dynamodb_1::from_item;

use super::{
    Owner, RefreshToken,
    row::{Session, TokenState},
    token::{FamilyKey, Salt},
};
use crate::{
    dynamodb::{EXPIRES_AT, Item, PK, SK, condition_failed, n, s},
    error::Error,
    users::{UserStore, keys},
};

/// Life of a refresh token: who does not come back within 30 days logs in again.
const LIFE_SECONDS: i64 = 30 * 24 * 60 * 60;

/// Sessions of one owner: more devices than people have. The one that was used the longest ago goes first.
const MOST: usize = 20;

/// How often a refresh is tried whose token another one replaced in between.
const ATTEMPTS: u32 = 4;

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

    /// Begins a session and returns its first token. An owner's oldest sessions end if there are too many.
    ///
    /// `generation` is what the owner's sessions are worth now: once the owner has another one, this session is over.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn begin(&self, owner: Owner, generation: &str) -> Result<RefreshToken, Error> {
        let family_key = FamilyKey::random()?;
        let token = RefreshToken::first(owner, &family_key)?;
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(key(&token)))
            .item("tokenHash", s(token.hash()))
            .item("familyKey", s(family_key.text()))
            .item("generation", s(generation))
            .item("usedAt", n(Timestamp::now().as_millisecond()))
            .item(EXPIRES_AT, n(expiry()))
            .send();
        put.await.map_err(Error::internal("beginning a session"))?;
        self.end_oldest(&token).await?;
        Ok(token)
    }

    /// Ends what the owner of this token has too much of, but not the token's own session.
    async fn end_oldest(&self, token: &RefreshToken) -> Result<(), Error> {
        let sessions = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :owner AND begins_with(sk, :session)")
            .expression_attribute_values(":owner", s(keys::owner(token.owner().subject())))
            .expression_attribute_values(":session", s(keys::SESSION))
            .projection_expression("pk, sk, usedAt, expiresAt")
            .into_paginator()
            .items()
            .send();
        let sessions = sessions.collect::<Result<Vec<Item>, _>>().await;
        let own = key(token);
        let others = sessions.map_err(Error::internal("listing sessions"))?.into_iter();
        let mut others: Vec<_> = others.filter(|item| item.get(SK) != own.get(SK)).collect();
        others.sort_by_key(|item| std::cmp::Reverse(used_at(item)));
        let old = others.into_iter().skip(MOST - 1).map(|item| {
            let key = item.into_iter().filter(|(name, _)| [PK, SK].contains(&name.as_str())).collect();
            self.delete(key)
        });
        try_join_all(old).await.map(drop)
    }

    /// The generation of a token's session, if the token is its newest, or the one before and not for long.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] if there is no such session or it has expired, for a secret that is none of its tokens,
    /// and for a token that was replaced before: that ends the session.
    pub async fn generation(&self, token: &RefreshToken) -> Result<String, Error> {
        let session = self.read(token).await?;
        match session.state_of(token, Timestamp::now().as_second()) {
            TokenState::Newest | TokenState::Before(_) => Ok(session.generation),
            TokenState::Reused => Err(self.reused(token).await?),
            TokenState::Foreign | TokenState::Over => Err(Error::Unauthenticated),
        }
    }

    /// Replaces a token. Any number of callers with the same token, at the same moment or half a minute later, get the
    /// same next one.
    ///
    /// # Errors
    /// As [`SessionStore::generation`].
    pub async fn rotate(&self, token: &RefreshToken) -> Result<RefreshToken, Error> {
        for _ in 0..ATTEMPTS {
            let session = self.read(token).await?;
            match session.state_of(token, Timestamp::now().as_second()) {
                TokenState::Newest => {}
                TokenState::Before(newest) => return Ok(newest),
                TokenState::Reused => return Err(self.reused(token).await?),
                TokenState::Foreign | TokenState::Over => return Err(Error::Unauthenticated),
            }
            if let Some(next) = self.replace(token, &session).await? {
                return Ok(next);
            }
        }
        // Whoever was faster each time has the newest one.
        Err(Error::TooManyAttempts { retry_after: 1 })
    }

    /// Puts the next token in the place of the newest; `None` if that is another one meanwhile.
    async fn replace(&self, token: &RefreshToken, session: &Session) -> Result<Option<RefreshToken>, Error> {
        let family_key = session.family_key().map_or_else(FamilyKey::random, Ok)?;
        let salt = Salt::random()?;
        let (next, now) = (token.next(&family_key, &salt), Timestamp::now());
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(token)))
            .update_expression(
                "SET tokenHash = :next, familyKey = :key, replacedHash = :this, replacedAt = :now, salt = :salt, \
                 usedAt = :used, expiresAt = :expiry",
            )
            .condition_expression("tokenHash = :this AND expiresAt > :now")
            .expression_attribute_values(":this", s(token.hash()))
            .expression_attribute_values(":next", s(next.hash()))
            .expression_attribute_values(":key", s(family_key.text()))
            .expression_attribute_values(":salt", s(salt.text()))
            .expression_attribute_values(":used", n(now.as_millisecond()))
            .expression_attribute_values(":now", n(now.as_second()))
            .expression_attribute_values(":expiry", n(expiry()));
        match update.send().await {
            Ok(_) => Ok(Some(next)),
            // Also a write of our own whose answer was lost and that the SDK repeated: the row says which token followed.
            Err(error) if condition_failed(&error) => Ok(None),
            Err(error) => Err(Error::internal("replacing a refresh token")(error)),
        }
    }

    /// Ends the session of a token, the newest or not; one that is over stays over, and a secret that is none of its
    /// tokens ends nothing.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn end(&self, token: &RefreshToken) -> Result<(), Error> {
        let session = match self.read(token).await {
            Ok(session) => session,
            Err(Error::Unauthenticated) => return Ok(()),
            Err(error) => return Err(error),
        };
        match session.state_of(token, Timestamp::now().as_second()) {
            TokenState::Foreign => Ok(()),
            _ => self.delete(key(token)).await,
        }
    }

    async fn reused(&self, token: &RefreshToken) -> Result<Error, Error> {
        self.delete(key(token)).await?;
        let (subject, family) = (token.owner().subject(), token.family());
        tracing::warn!(%subject, %family, "a refresh token was used twice; its session is ended");
        Ok(Error::Unauthenticated)
    }

    async fn read(&self, token: &RefreshToken) -> Result<Session, Error> {
        let get = self.client.get_item().table_name(&self.table).set_key(Some(key(token))).consistent_read(true);
        let item = get.send().await.map_err(Error::internal("reading a session"))?.item;
        from_item(item.ok_or(Error::Unauthenticated)?).map_err(Error::internal("reading a session item"))
    }

    async fn delete(&self, key: Item) -> Result<(), Error> {
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key)).send();
        delete.await.map(drop).map_err(Error::internal("ending a session"))
    }
}

/// When a session was used last, in milliseconds. Sessions of before only say when they end.
fn used_at(item: &Item) -> i64 {
    let number = |name: &str| item.get(name).and_then(|number| number.as_n().ok()).and_then(|n| n.parse::<i64>().ok());
    number("usedAt").or_else(|| Some((number(EXPIRES_AT)? - LIFE_SECONDS) * 1000)).unwrap_or_default()
}

fn expiry() -> i64 {
    Timestamp::now().as_second() + LIFE_SECONDS
}

fn key(token: &RefreshToken) -> Item {
    let (owner, family) = (token.owner().subject(), token.family());
    keys::session(&owner, family)
}
