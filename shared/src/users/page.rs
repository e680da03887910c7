//! The list of users, newest first, a page at a time, as it is at this moment.
//!
//! Beside each profile there is a row in the list: written and removed with it, in the same transactions, and never
//! touched by what changes a profile. So the list is read from the table itself, consistently, where an index would be
//! behind and would be written with each change.
//!
//! A partition takes 1,000 write units a second, which are 500 registrations, since a write in a transaction is two units.
//! The time is of no help there: whatever its partition, all new rows would go to the newest. So the rows are spread over
//! [`SHARDS`] partitions by the user's id, and a page is merged of all of them.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::types::KeysAndAttributes;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use futures::future::try_join_all;
use jiff::Timestamp;
use uuid::Uuid;

use super::{User, UserStore, iso_millis, keys, store::parse};
use crate::{
    dynamodb::{Item, PK, SK, key, s},
    error::Error,
};

/// Partitions of the list: 4,000 registrations a second. Each of them costs every page a query.
const SHARDS: u8 = 8;

/// Users DynamoDB hands out at a time.
const BATCH: usize = 100;

/// Pause before profiles are asked for again that a busy table did not hand out; it doubles.
const PAUSE: Duration = Duration::from_millis(20);

/// How often those profiles are asked for.
const ATTEMPTS: u32 = 6;

/// One page of the list, newest first.
pub struct Page {
    /// The users.
    pub users: Vec<User>,
    /// Where the next page begins, if there is one. Opaque to clients.
    pub next: Option<String>,
}

/// Where a user is in the list: the key of its row there. It sorts by time, and by id where the time is the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place(String);

impl Place {
    fn of(created_at: &str, id: Uuid) -> Self {
        Self(format!("{created_at}|{id}"))
    }

    fn id(&self) -> Option<Uuid> {
        self.0.split_once('|')?.1.parse().ok()
    }
}

/// The key of a user's row in the list.
pub(super) fn list_key(user: &User) -> Item {
    let shard = user.id.as_bytes()[0] % SHARDS;
    let place = Place::of(&user.created_at, user.id);
    key(keys::list(shard), place.0)
}

impl UserStore {
    /// Lists users, newest first. A row that is no user is left out, and costs nobody the rest of the page; so is a user
    /// who is deleted while the list is read.
    ///
    /// # Errors
    /// [`Error::Validation`] for a cursor that did not come from [`Page::next`].
    pub async fn list(&self, limit: usize, cursor: Option<&str>) -> Result<Page, Error> {
        let mut after = cursor.map(decode_cursor).transpose()?;
        let mut users = Vec::new();
        loop {
            let wanted = limit - users.len();
            // One more than is wanted tells whether there is a next page.
            let mut places = self.places(wanted + 1, after.as_ref()).await?;
            let more = places.len() > wanted;
            places.truncate(wanted);
            users.extend(self.users_at(&places).await?);
            after = places.pop().or(after);
            if users.len() == limit || !more {
                return Ok(Page { users, next: after.filter(|_| more).as_ref().map(encode_cursor) });
            }
        }
    }

    /// The first rows of the list behind a place.
    async fn places(&self, limit: usize, after: Option<&Place>) -> Result<Vec<Place>, Error> {
        let shards = (0..SHARDS).map(|shard| self.places_in(shard, limit, after));
        let mut places = try_join_all(shards).await?.concat();
        places.sort_unstable_by(|one, other| other.cmp(one));
        places.truncate(limit);
        Ok(places)
    }

    async fn places_in(&self, shard: u8, limit: usize, after: Option<&Place>) -> Result<Vec<Place>, Error> {
        let query = self.client.query().table_name(&self.table).consistent_read(true).scan_index_forward(false);
        let query = query.expression_attribute_values(":list", s(keys::list(shard)));
        let query = match after {
            Some(place) => query
                .key_condition_expression("pk = :list AND sk < :after")
                .expression_attribute_values(":after", s(&place.0)),
            None => query.key_condition_expression("pk = :list"),
        };
        let query = query.limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let output = query.send().await.map_err(Error::internal("listing users"))?;
        let place = |mut item: Item| item.remove(SK).and_then(|sk| sk.as_s().ok().cloned()).map(Place);
        Ok(output.items.unwrap_or_default().into_iter().filter_map(place).collect())
    }

    /// The users of these rows who are still there, in the order of the rows.
    async fn users_at(&self, places: &[Place]) -> Result<Vec<User>, Error> {
        let ids: Vec<_> = places.iter().filter_map(Place::id).collect();
        let mut found = self.batch(&ids).await?;
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }

    /// Reads users, consistently, those who are there; at most [`BATCH`].
    async fn batch(&self, ids: &[Uuid]) -> Result<HashMap<Uuid, User>, Error> {
        let mut found = HashMap::new();
        let mut left: Vec<_> = ids.iter().map(|id| keys::profile(*id)).collect();
        let mut attempt = 0;
        while !left.is_empty() {
            if attempt == ATTEMPTS {
                return Err(Error::internal("reading users")("the table hands out only some of them"));
            }
            if attempt > 0 {
                tokio::time::sleep(PAUSE * (1 << attempt)).await;
            }
            attempt += 1;
            let wanted = KeysAndAttributes::builder().set_keys(Some(left)).consistent_read(true).build();
            let wanted = wanted.map_err(Error::internal("asking for users"))?;
            let read = self.client.batch_get_item().request_items(&self.table, wanted).send().await;
            let read = read.map_err(Error::internal("reading users"))?;
            let items = read.responses.unwrap_or_default().into_values().flatten();
            found.extend(items.filter_map(readable).map(|user| (user.id, user)));
            let unprocessed = read.unprocessed_keys.unwrap_or_default();
            left = unprocessed.into_values().flat_map(|table| table.keys).collect();
        }
        Ok(found)
    }

    /// Reads any number of users, consistently: those who are there, by id. A row that is no user is left out.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn all(&self, ids: &[Uuid]) -> Result<HashMap<Uuid, User>, Error> {
        let batches = try_join_all(ids.chunks(BATCH).map(|ids| self.batch(ids))).await?;
        Ok(batches.into_iter().flatten().collect())
    }
}

/// A user, if the item is one; if not, the log has its id and nothing else of it.
fn readable(item: Item) -> Option<User> {
    let pk = item.get(PK).and_then(|pk| pk.as_s().ok());
    let id = pk.and_then(|pk| keys::subject_of(pk)).and_then(|id| id.parse::<Uuid>().ok());
    parse(item).inspect_err(|_| tracing::error!(?id, "a row in the list of users is no user")).ok()
}

fn encode_cursor(place: &Place) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(&place.0)
}

fn decode_cursor(cursor: &str) -> Result<Place, Error> {
    let parts = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let parts = parts.as_deref().and_then(|text| text.split_once('|'));
    let parts =
        parts.and_then(|(created_at, id)| Some((created_at.parse::<Timestamp>().ok()?, id.parse::<Uuid>().ok()?)));
    let (created_at, id) = parts.ok_or_else(|| Error::field("cursor", "must come from a Link header of this list"))?;
    Ok(Place::of(&iso_millis(created_at), id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_way_through_the_client() {
        let place = Place::of("2025-02-09T18:23:27.396Z", Uuid::new_v4());
        assert_eq!(decode_cursor(&encode_cursor(&place)).unwrap(), place);
    }

    #[test]
    fn a_foreign_cursor_is_a_validation_error() {
        for cursor in ["", "x", "!!", &BASE64_URL_SAFE_NO_PAD.encode("yesterday|me")] {
            assert!(matches!(decode_cursor(cursor), Err(Error::Validation(_))), "{cursor}");
        }
    }
}
