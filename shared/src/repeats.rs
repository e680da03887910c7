//! Requests that are sent twice because the first answer got lost: what was answered is kept for a day, in the users
//! table, `REPEAT#<who, where and which key, hashed>`/`ANSWER`, and removed by TTL.
//!
//! An answer is sealed, and neither key nor body are readable in a row: answers have names and addresses of people in
//! them, and bodies their passwords.

use aws_sdk_dynamodb::{Client, operation::update_item::builders::UpdateItemFluentBuilder};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::from_item;
use uuid::Uuid;

use crate::{
    config::{ConfigError, Environment},
    dynamodb::{Item, condition_failed, n, s},
    error::Error,
    users::{UserStore, keys},
    verification::CodeKeys,
};

/// For how long an answer is kept.
const KEPT_SECONDS: i64 = 24 * 60 * 60;

/// After this time nobody is still working on a request: the function has at most ten seconds for one.
const WORK_SECONDS: i64 = 15;

/// A request with a key.
pub struct Asked<'a> {
    /// Who makes the request.
    pub caller: &'a str,
    /// What is asked for: method and path.
    pub route: &'a str,
    /// The caller's name for the request.
    pub key: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// What a request with a key is.
pub enum Begun {
    /// The first request of its name: to be done, and then to be kept or abandoned with this ticket.
    First(Ticket),
    /// A request that was answered before, with its answer.
    Again(Kept),
}

/// The right to do what a request asks for, which only one of several callers has that ask at the same moment.
pub struct Ticket(String);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// HTTP status.
    pub status: u16,
    /// JSON.
    pub body: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    fingerprint: String,
    ticket: String,
    #[serde(default)]
    sealed: Option<String>,
}

/// The answers of the users table.
pub struct AnswerStore {
    client: Client,
    table: String,
    keys: CodeKeys,
}

impl AnswerStore {
    /// The answers of the same table, through the same client.
    ///
    /// # Errors
    /// [`ConfigError`] if `CODE_SECRET`, which seals them, is missing or short.
    pub fn beside(users: &UserStore, env: &Environment) -> Result<Self, ConfigError> {
        let (client, table) = users.parts();
        Ok(Self { client, table, keys: CodeKeys::from_env(env)? })
    }

    /// Begins a request, unless it was done.
    ///
    /// # Errors
    /// [`Error::KeyReused`] if the key was that of another body, [`Error::UnderWay`] if it is being done this moment.
    pub async fn begin(&self, asked: &Asked<'_>) -> Result<Begun, Error> {
        let (now, ticket) = (Timestamp::now().as_second(), Uuid::new_v4().to_string());
        let fingerprint = self.fingerprint(asked);
        let begin = self
            .update(asked)
            .update_expression(
                "SET fingerprint = :fingerprint, ticket = :ticket, begunAt = :now, expiresAt = :end REMOVE sealed",
            )
            // Its own ticket: the SDK repeats a write whose answer was lost.
            .condition_expression(
                "attribute_not_exists(pk) OR expiresAt <= :now OR ticket = :ticket OR \
                 (attribute_not_exists(sealed) AND begunAt <= :given_up AND fingerprint = :fingerprint)",
            )
            .expression_attribute_values(":fingerprint", s(&fingerprint))
            .expression_attribute_values(":ticket", s(&ticket))
            .expression_attribute_values(":now", n(now))
            .expression_attribute_values(":given_up", n(now - WORK_SECONDS))
            .expression_attribute_values(":end", n(now + KEPT_SECONDS));
        if written(begin).await? {
            return Ok(Begun::First(Ticket(ticket)));
        }
        let Some(row) = self.read(asked).await? else { return Err(Error::UnderWay) };
        if row.fingerprint != fingerprint {
            return Err(Error::KeyReused);
        }
        if row.ticket == ticket {
            return Ok(Begun::First(Ticket(ticket)));
        }
        let sealed = row.sealed.ok_or(Error::UnderWay)?;
        let text = self.keys.open(&self.name(asked), &sealed);
        // Sealed with a secret of before: it was done, but nobody knows any more what was answered.
        let text = text.ok_or_else(|| Error::internal("opening an answer")("it is sealed with another secret"))?;
        serde_json::from_str(&text).map(Begun::Again).map_err(Error::internal("reading an answer"))
    }

    /// Keeps the answer of a request that was done.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn keep(&self, asked: &Asked<'_>, ticket: &Ticket, answer: &Kept) -> Result<(), Error> {
        let text = serde_json::to_string(answer).map_err(Error::internal("writing an answer"))?;
        let sealed = self.keys.seal(&self.name(asked), &text).map_err(Error::internal("sealing an answer"))?;
        let keep = self
            .update(asked)
            .update_expression("SET sealed = :sealed")
            .condition_expression("ticket = :ticket")
            .expression_attribute_values(":sealed", s(sealed))
            .expression_attribute_values(":ticket", s(&ticket.0));
        written(keep).await.map(drop)
    }

    /// Forgets a request that was refused, so that it can be tried again with the same key.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn abandon(&self, asked: &Asked<'_>, ticket: &Ticket) -> Result<(), Error> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(self.row_key(asked)))
            .condition_expression("ticket = :ticket")
            .expression_attribute_values(":ticket", s(&ticket.0));
        match delete.send().await {
            Ok(_) => Ok(()),
            // Somebody else's by now.
            Err(error)
                if error.as_service_error().is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                Ok(())
            }
            Err(error) => Err(Error::internal("forgetting a request")(error)),
        }
    }

    async fn read(&self, asked: &Asked<'_>) -> Result<Option<Row>, Error> {
        let get = self.client.get_item().table_name(&self.table).set_key(Some(self.row_key(asked)));
        let item = get.consistent_read(true).send().await.map_err(Error::internal("reading an answer"))?.item;
        item.map(from_item).transpose().map_err(Error::internal("reading an answer"))
    }

    fn update(&self, asked: &Asked<'_>) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.table).set_key(Some(self.row_key(asked)))
    }

    fn row_key(&self, asked: &Asked<'_>) -> Item {
        keys::answer(&self.name(asked))
    }

    /// The key is one of this caller for this route.
    fn name(&self, asked: &Asked<'_>) -> String {
        self.keys.hash(&format!("a repeated request\n{}\n{}", asked.caller, asked.route), asked.key)
    }

    fn fingerprint(&self, asked: &Asked<'_>) -> String {
        self.keys.hash("the body of a repeated request", &String::from_utf8_lossy(asked.body))
    }
}

async fn written(update: UpdateItemFluentBuilder) -> Result<bool, Error> {
    match update.send().await {
        Ok(_) => Ok(true),
        Err(error) if condition_failed(&error) => Ok(false),
        Err(error) => Err(Error::internal("noting a request")(error)),
    }
}
