//! A committed change of one user, as the users table's stream tells it.

use aws_lambda_events::event::dynamodb::EventRecord;
use jiff::Timestamp;
use serde_dynamo::Item;

use crate::users::User;

/// The row before and after.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and gone with its batch")]
pub enum Change {
    /// The user was registered.
    Created(User),
    /// Some attribute of the user changed.
    Updated {
        /// The row as it was.
        before: User,
        /// The row as it is.
        after: User,
    },
    /// The user was deleted.
    Deleted {
        /// The row as it was.
        user: User,
        /// When the user was deleted, to the second; the stream knows no better.
        at: Timestamp,
    },
}

/// A record that does not describe a change of a user: not retryable, a case for the dead-letter queue.
#[derive(Debug, thiserror::Error)]
pub enum PoisonedRecord {
    /// The images that this kind of record must have are missing.
    #[error("a {0} record without the images it must have; is the stream NEW_AND_OLD_IMAGES?")]
    MissingImage(String),
    /// An image is no user. Why is not said: the reason would quote what is in it, and logs are no place for that. The
    /// record itself is in the stream, and its sequence number in the dead-letter queue.
    #[error("an image that is not a user")]
    NotAUser,
}

impl TryFrom<&EventRecord> for Change {
    type Error = PoisonedRecord;

    fn try_from(record: &EventRecord) -> Result<Self, PoisonedRecord> {
        let image = |item: &Item| {
            if item.is_empty() {
                Ok(None)
            } else {
                serde_dynamo::from_item(item.clone()).map(Some).map_err(|_| PoisonedRecord::NotAUser)
            }
        };
        let (before, after) = (image(&record.change.old_image)?, image(&record.change.new_image)?);
        match (record.event_name.as_str(), before, after) {
            ("INSERT", None, Some(user)) => Ok(Self::Created(user)),
            ("MODIFY", Some(before), Some(after)) => Ok(Self::Updated { before, after }),
            ("REMOVE", Some(user), None) => {
                let at = Timestamp::from_second(record.change.approximate_creation_date_time.timestamp());
                Ok(Self::Deleted { user, at: at.unwrap_or_else(|_| Timestamp::now()) })
            }
            (name, ..) => Err(PoisonedRecord::MissingImage(name.to_owned())),
        }
    }
}
