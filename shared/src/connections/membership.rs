//! Joining and leaving rooms.

use std::str::FromStr;

use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};

use super::{
    ConnectionStore, Socket,
    due::closes_without_connect,
    keys,
    store::{attribute, expiry},
};
use crate::{
    dynamodb::{EXPIRES_AT, Item, SK, failed_conditions, key, n, s, transact},
    error::Error,
    heartbeat::CLOSES_EARLY,
    users::AccountStatus,
};

/// Attributes of a membership, as they are stored.
const GENERATION: &str = "sessionGeneration";
const TOKEN_EXPIRES_AT: &str = "tokenExpiresAt";
const CONNECTED_AT: &str = "connectedAt";
const RECOVERY: &str = "recovery";

/// What became of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// The socket is in its rooms; from now on it is told.
    Yes,
    /// The connection joined the namespace before and has not left it.
    Already,
    /// The connection is not (or no longer) known.
    NoConnection,
    /// The account is not in the standing it was read in.
    AccountChanged,
}

/// What became of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    /// The socket stays until the new end.
    Yes,
    /// The socket left, or was renewed by a later token meanwhile.
    SocketChanged,
    /// The account is not in the standing it was read in.
    AccountChanged,
}

/// A connection in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The id of the connection.
    pub connection_id: String,
    /// The session generation of the user the member joined for; `None` for sockets that are no user's.
    pub generation: Option<u32>,
    /// When the token it joined with ends, epoch seconds; `None` without a token. From then on it is a member by mistake:
    /// it is closed and not told.
    pub token_expires_at: Option<i64>,
    /// When the member's WebSocket was opened, epoch milliseconds; `None` in rows of an older version. A gateway may
    /// not know a connection of the last few seconds yet (ARCHITECTURE.md, "An early 410 means not open yet").
    pub connected_at: Option<i64>,
    /// Whether the member asked for recovery: each event of a log comes with its offset then.
    pub recovers: bool,
}

impl ConnectionStore {
    /// Joins a namespace and its rooms, all or nothing: rows of rooms cannot outlive the connection they belong to, and no
    /// socket of a user is in a room at any moment unless its account is in the `standing` that was read.
    ///
    /// `member` is this connection as it will be found in its rooms.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn join(
        &self,
        member: &Member,
        namespace: &str,
        socket: &Socket,
        account_status: Option<&AccountStatus>,
    ) -> Result<Joined, Error> {
        let connection_id = member.connection_id.as_str();
        let meta = Update::builder()
            .table_name(&self.table)
            .set_key(Some(keys::connection(connection_id)))
            .update_expression("SET namespaces.#namespace = :socket, joined = :true")
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(namespaces.#namespace)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .expression_attribute_names("#namespace", namespace)
            .expression_attribute_values(":socket", attribute(socket)?)
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .build()
            .map_err(Error::internal("building a join"))?;
        let mut actions = vec![TransactWriteItem::builder().update(meta).build()];
        for room in &socket.rooms {
            let row = Put::builder().table_name(&self.table).set_item(Some(member.to_item(room))).build();
            let row = row.map_err(Error::internal("building a join"))?;
            actions.push(TransactWriteItem::builder().put(row).build());
        }
        if let Some(end) = socket.token_expires_at {
            actions.push(self.due_action(connection_id, end - CLOSES_EARLY)?);
        }
        match self.on_condition_of(account_status, actions).await? {
            Written::Yes => Ok(Joined::Yes),
            Written::AccountChanged => Ok(Joined::AccountChanged),
            // An older DynamoDB Local does not say what it found.
            Written::Not(item) if item.is_empty() && self.get(connection_id).await?.is_none() => {
                Ok(Joined::NoConnection)
            }
            Written::Not(_) => Ok(Joined::Already),
        }
    }

    /// Lets a socket stay until the end of another token, in its namespace and its rooms, all or nothing. The rooms keep
    /// the session generation it joined with: a ban that is still on its way finds it.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn renew(
        &self,
        connection_id: &str,
        namespace: &str,
        socket: &Socket,
        token_expires_at: i64,
        account_status: Option<&AccountStatus>,
    ) -> Result<Renewed, Error> {
        let meta = Update::builder()
            .table_name(&self.table)
            .set_key(Some(keys::connection(connection_id)))
            .update_expression("SET namespaces.#namespace.tokenExpiresAt = :end")
            // Not a socket that joined after this one left, and no later end that another message brought.
            .condition_expression("namespaces.#namespace.sid = :sid AND namespaces.#namespace.tokenExpiresAt < :end")
            .expression_attribute_names("#namespace", namespace)
            .expression_attribute_values(":sid", s(&socket.sid))
            .expression_attribute_values(":end", n(token_expires_at))
            .build()
            .map_err(Error::internal("building a renewal"))?;
        let mut actions = vec![TransactWriteItem::builder().update(meta).build()];
        for room in &socket.rooms {
            let row = Update::builder()
                .table_name(&self.table)
                .set_key(Some(key(room, connection_id)))
                .update_expression("SET tokenExpiresAt = :end")
                .condition_expression("attribute_exists(pk)")
                .expression_attribute_values(":end", n(token_expires_at))
                .build()
                .map_err(Error::internal("building a renewal"))?;
            actions.push(TransactWriteItem::builder().update(row).build());
        }
        actions.push(self.due_action(connection_id, token_expires_at - CLOSES_EARLY)?);
        Ok(match self.on_condition_of(account_status, actions).await? {
            Written::Yes => Renewed::Yes,
            Written::AccountChanged => Renewed::AccountChanged,
            Written::Not(_) => Renewed::SocketChanged,
        })
    }

    /// Writes all or nothing, and only while the account is in that standing.
    async fn on_condition_of(
        &self,
        account_status: Option<&AccountStatus>,
        actions: Vec<TransactWriteItem>,
    ) -> Result<Written, Error> {
        let check = account_status.map(AccountStatus::check).transpose()?;
        let is_checked = check.is_some();
        let actions = check.into_iter().chain(actions).collect();
        match transact(&self.client, actions).await {
            Ok(()) => Ok(Written::Yes),
            Err(error) => match failed_conditions(&error) {
                Some(reasons) if is_checked && reasons.first().is_some_and(Option::is_some) => {
                    Ok(Written::AccountChanged)
                }
                Some(reasons) => Ok(Written::Not(reasons.into_iter().flatten().next().unwrap_or_default())),
                None => Err(Error::internal("writing the membership of a socket")(error)),
            },
        }
    }

    /// Takes a connection out of all its rooms that could not be closed, and notes that it never joined: the heartbeat
    /// closes it for that, as often as it takes.
    ///
    /// # Errors
    /// [`Error::Internal`] only; an unknown connection stays unknown.
    pub async fn abandon(&self, connection_id: &str) -> Result<(), Error> {
        let Some(connection) = self.get(connection_id).await? else { return Ok(()) };
        let meta = Update::builder()
            .table_name(&self.table)
            .set_key(Some(keys::connection(connection_id)))
            .update_expression("SET namespaces = :none, joined = :false")
            // Nobody joined or left since it was read; who did has messages that are answered, or not, by themselves.
            .condition_expression("namespaces = :seen")
            .expression_attribute_values(":seen", attribute(&connection.namespaces)?)
            .expression_attribute_values(":none", AttributeValue::M(Item::new()))
            .expression_attribute_values(":false", AttributeValue::Bool(false))
            .build()
            .map_err(Error::internal("building the end of a connection"))?;
        let meta = TransactWriteItem::builder().update(meta).build();
        let mut actions = self.with_rooms(meta, connection_id, connection.namespaces.values())?;
        actions.push(self.due_action(connection_id, closes_without_connect(connection.connected_at))?);
        match transact(&self.client, actions).await {
            Ok(()) => Ok(()),
            Err(error) if failed_conditions(&error).is_some() => Ok(()),
            Err(error) => Err(Error::internal("abandoning a connection")(error)),
        }
    }

    /// Leaves a namespace and its rooms, all or nothing; false if it was not joined. The connection stays and may join
    /// again.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn leave(&self, connection_id: &str, namespace: &str) -> Result<bool, Error> {
        let Some(connection) = self.get(connection_id).await? else { return Ok(false) };
        let Some(socket) = connection.namespaces.get(namespace) else { return Ok(false) };
        let meta = Update::builder()
            .table_name(&self.table)
            .set_key(Some(keys::connection(connection_id)))
            .update_expression("REMOVE namespaces.#namespace")
            // Not a socket that joined after this one left.
            .condition_expression("namespaces.#namespace.sid = :sid")
            .expression_attribute_names("#namespace", namespace)
            .expression_attribute_values(":sid", s(&socket.sid))
            .build()
            .map_err(Error::internal("building a leave"))?;
        let meta = TransactWriteItem::builder().update(meta).build();
        match transact(&self.client, self.with_rooms(meta, connection_id, [socket])?).await {
            Ok(()) => Ok(true),
            // Another message of this connection was faster.
            Err(error) if failed_conditions(&error).is_some() => Ok(true),
            Err(error) => Err(Error::internal("leaving a namespace")(error)),
        }
    }

    /// A transaction that also takes sockets out of their rooms.
    pub(super) fn with_rooms<'a>(
        &self,
        meta: TransactWriteItem,
        connection_id: &str,
        sockets: impl IntoIterator<Item = &'a Socket>,
    ) -> Result<Vec<TransactWriteItem>, Error> {
        let mut actions = vec![meta];
        for room in sockets.into_iter().flat_map(|socket| &socket.rooms) {
            let member = Delete::builder().table_name(&self.table).set_key(Some(key(room, connection_id))).build();
            let member = member.map_err(Error::internal("building a removal"))?;
            actions.push(TransactWriteItem::builder().delete(member).build());
        }
        Ok(actions)
    }
}

/// What became of a transaction.
enum Written {
    Yes,
    /// The account's condition failed.
    AccountChanged,
    /// Another condition failed, with the item as it is if it was asked for and exists.
    Not(Item),
}

impl Member {
    /// The row of the member in a room. The row outlives the token, so that whoever reads the room finds a socket that
    /// should be closed; it does not outlive the connection.
    fn to_item(&self, room: &str) -> Item {
        let mut item = key(room, &self.connection_id);
        item.insert(EXPIRES_AT.into(), n(expiry()));
        item.extend(self.generation.map(|generation| (GENERATION.into(), n(generation))));
        item.extend(self.token_expires_at.map(|end| (TOKEN_EXPIRES_AT.into(), n(end))));
        item.extend(self.connected_at.map(|at| (CONNECTED_AT.into(), n(at))));
        item.extend(self.recovers.then(|| (RECOVERY.into(), AttributeValue::Bool(true))));
        item
    }

    pub(super) fn from_item(mut item: Item) -> Option<Self> {
        let Some(AttributeValue::S(connection_id)) = item.remove(SK) else { return None };
        Some(Self {
            connection_id,
            generation: number(&item, GENERATION),
            token_expires_at: number(&item, TOKEN_EXPIRES_AT),
            connected_at: number(&item, CONNECTED_AT),
            recovers: item.get(RECOVERY) == Some(&AttributeValue::Bool(true)),
        })
    }
}

fn number<T: FromStr>(item: &Item, attribute: &str) -> Option<T> {
    item.get(attribute)?.as_n().ok()?.parse().ok()
}
