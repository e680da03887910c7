//! A code on its way out, as the users table's stream tells it.

use aws_lambda_events::event::dynamodb::EventRecord;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_dynamo::from_item;

use super::CodeKeys;
use crate::users::{Channel, keys};

/// One message to one user.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    /// How.
    pub channel: Channel,
    /// E-mail address or phone number.
    pub to: String,
    /// The code.
    pub code: String,
}

/// A record that is no code, or one that was sealed with another secret: not retryable, a case for the dead-letter queue.
#[derive(Debug, thiserror::Error)]
#[error("a record that is no code of ours: {0}")]
pub struct PoisonedCode(&'static str);

/// What is sealed.
#[derive(Serialize, Deserialize)]
pub(super) struct Letter<'a> {
    pub(super) to: std::borrow::Cow<'a, str>,
    pub(super) code: std::borrow::Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    pk: String,
    sk: String,
    sealed: String,
    /// Epoch seconds.
    expires_at: i64,
}

/// What a code's row is about; a code moved to another row does not open.
pub(super) fn context(user: &str, channel: Channel, expires_at: i64) -> String {
    format!("{user}\n{}\n{expires_at}", keys::code_sort_key(channel))
}

impl Delivery {
    /// Reads a record of a `CODE#…` item. `None` if there is nothing to send: a wrong attempt was counted, or the code
    /// has expired.
    ///
    /// # Errors
    /// [`PoisonedCode`].
    pub fn from_record(record: &EventRecord, sealing: &CodeKeys) -> Result<Option<Self>, PoisonedCode> {
        let row = |image: &serde_dynamo::Item| from_item::<_, Row>(image.clone()).ok();
        let new = row(&record.change.new_image).ok_or(PoisonedCode("attributes are missing"))?;
        let is_the_same = row(&record.change.old_image).is_some_and(|old| old.sealed == new.sealed);
        if is_the_same || new.expires_at <= Timestamp::now().as_second() {
            return Ok(None);
        }
        let channel = Channel::ALL.into_iter().find(|channel| keys::code_sort_key(*channel) == new.sk);
        let channel = channel.ok_or(PoisonedCode("an unknown channel"))?;
        let user = keys::subject_of(&new.pk).ok_or(PoisonedCode("no user's"))?;
        let text = sealing.open(&context(user, channel, new.expires_at), &new.sealed);
        let text = text.ok_or(PoisonedCode("sealed with another secret"))?;
        let Letter { to, code } = serde_json::from_str(&text).map_err(|_| PoisonedCode("not a letter"))?;
        Ok(Some(Self { channel, to: to.into_owned(), code: code.into_owned() }))
    }
}
