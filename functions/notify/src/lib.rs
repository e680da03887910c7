//! The users table's stream, its second reader: sends verification codes by e-mail and SMS.
//!
//! It knows nothing but what a record carries, sealed for it: it reads no table and holds no key but that one.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod email;
mod sent;
mod sms;
#[cfg(test)]
mod tests;
mod texts;

use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lambda_events::event::{
    dynamodb::{Event, EventRecord},
    streams::DynamoDbEventResponse,
};
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use futures::{StreamExt as _, stream};
use lambda_runtime::LambdaEvent;
use shared::{
    Error,
    aws::Clients,
    config::{ConfigError, Environment},
    error::Chain,
    lambda::{Function, batch_item_failures},
    request,
    users::Channel,
    verification::{CodeKeys, Delivery},
};
use tracing::Instrument as _;

use email::Mailer;
use sent::Sent;
use sms::Texter;

/// Messages of a batch on their way at the same time. Who is allowed fewer a second, such as one in SES's sandbox, is told
/// so by the service and tries again.
const CONCURRENCY: usize = 10;

/// What a service made of a message.
pub(crate) enum SendOutcome {
    /// The message will be delivered.
    Taken,
    /// The service never takes this message, however often it is asked; with the service's code for that.
    Refused(String),
}

/// The function and what it needs.
pub struct Notify {
    keys: CodeKeys,
    mailer: Mailer,
    texter: Texter,
    /// What a retried batch does not send again.
    sent: Mutex<Sent>,
}

impl Function for Notify {
    type Event = Event;
    type Answer = DynamoDbEventResponse;
    type Error = Error;

    fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        let clients = Clients::from_env(env)?;
        Ok(Self {
            keys: CodeKeys::from_env(env)?,
            mailer: Mailer::new(&clients, env)?,
            texter: Texter::new(&clients, env),
            sent: Mutex::default(),
        })
    }

    /// Sends the codes of a batch of stream records. Users do not wait for each other: the answer names every record
    /// that failed, the event source repeats from the first of them, and what was sent is skipped then.
    ///
    /// # Errors
    /// Never: every failure is one of a record.
    async fn handle(&self, event: LambdaEvent<Event>) -> Result<DynamoDbEventResponse, Error> {
        let records = &event.payload.records;
        // Collected first: a stream of borrowing futures is not accepted where the handler's future must be `Send`.
        let attempts: Vec<_> = records.iter().map(|record| self.attempt(record).instrument(span(record))).collect();
        let failed: Vec<Option<&str>> = stream::iter(attempts).buffered(CONCURRENCY).collect().await;
        Ok(batch_item_failures(failed.into_iter().flatten()))
    }
}

impl Notify {
    /// Sends what a record asks for; its sequence number if that did not work.
    async fn attempt<'a>(&self, record: &'a EventRecord) -> Option<&'a str> {
        let sequence_number = record.change.sequence_number.as_deref().unwrap_or_default();
        if self.sent().has(sequence_number) {
            return None;
        }
        let delivery = match Delivery::from_record(record, &self.keys) {
            Ok(Some(delivery)) => delivery,
            Ok(None) => return None,
            Err(error) => {
                tracing::error!(%error, "a poisoned record");
                return Some(sequence_number);
            }
        };
        let outcome = match delivery.channel {
            Channel::Email => self.mailer.send(&delivery.to, &delivery.code).await,
            Channel::Phone => self.texter.send(&delivery.to, &delivery.code).await,
        };
        match outcome {
            Ok(SendOutcome::Taken) => tracing::info!("sent a code"),
            // Any user can have an address that no service takes. Trying again would not help, and to park it would
            // raise an alarm about nothing.
            Ok(SendOutcome::Refused(code)) => tracing::warn!(code, "a code cannot be sent, its message is refused"),
            Err(error) => {
                error.log();
                return Some(sequence_number);
            }
        }
        self.sent().note(sequence_number);
        None
    }

    /// The records that were sent; they are still right where somebody panicked over them.
    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Around every line about a record. Of level `error`, so that it is there however little is logged.
fn span(record: &EventRecord) -> tracing::Span {
    tracing::error_span!("record", event_id = record.event_id, request_id = request::of_record(record))
}

/// Why a service refused, for the log. Its code and never its words, which repeat the address that is refused.
fn cause<E: ProvideErrorMetadata + std::error::Error + 'static>(error: &SdkError<E>) -> String {
    match error.as_service_error() {
        Some(refusal) => refusal.code().unwrap_or("an error without a code").to_owned(),
        None => Chain(error).to_string(),
    }
}
