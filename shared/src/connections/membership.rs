//! Joining, leaving and reading rooms.

use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use jiff::Timestamp;

use super::{
    ConnectionStore, Room, Socket,
    store::{attribute, expiry, meta_key},
};
use crate::{
    dynamodb::{Item, failed_conditions, n, s, transact},
    error::Error,
};

/// [`Member::generation`], as it is stored.
const GENERATION: &str = "sessionGeneration";

/// What became of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// The socket is in its rooms; from now on it is told.
    Yes,
    /// This connection joined the namespace before and has not left it.
    Already,
    /// The connection is not (or no longer) known.
    NoConnection,
}

/// A connection in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub connection_id: String,
    /// The session generation of the user it joined for; `None` for sockets that are no user's.
    pub generation: Option<u32>,
}

impl ConnectionStore {
    /// Joins a namespace and its rooms, all or nothing: rows of rooms cannot outlive the connection they belong to.
    ///
    /// `generation` is that of the user's sessions, if it is a user's socket ([`Member::generation`]).
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn join(
        &self,
        connection_id: &str,
        namespace: &str,
        socket: &Socket,
        generation: Option<u32>,
    ) -> Result<Joined, Error> {
        let meta = Update::builder()
            .table_name(&self.table)
            .set_key(Some(meta_key(connection_id)))
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
            let mut item = member_key(room, connection_id);
            // With its token a socket stops hearing its rooms at once, also if the heartbeat is late to close it.
            item.insert("expiresAt".into(), n(socket.token_expires_at.map_or(expiry(), |end| end.min(expiry()))));
            item.extend(generation.map(|generation| (GENERATION.to_owned(), n(generation))));
            let member = Put::builder().table_name(&self.table).set_item(Some(item)).build();
            let member = member.map_err(Error::internal("building a join"))?;
            actions.push(TransactWriteItem::builder().put(member).build());
        }
        match transact(&self.client, actions).await {
            Ok(()) => Ok(Joined::Yes),
            Err(error) => match failed_conditions(&error).and_then(|reasons| reasons.into_iter().next().flatten()) {
                // An older DynamoDB Local does not say what it found.
                Some(item) if item.is_empty() && self.get(connection_id).await?.is_none() => Ok(Joined::NoConnection),
                Some(_) => Ok(Joined::Already),
                None => Err(Error::internal("joining a namespace")(error)),
            },
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
            .set_key(Some(meta_key(connection_id)))
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

    /// The connections in a room, read consistently: whoever joined before this call is among them.
    ///
    /// # Errors
    /// [`Error::Internal`] only; a room nobody is in is empty.
    pub async fn members(&self, room: &Room) -> Result<Vec<Member>, Error> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :room")
            // Items past their TTL may be returned for days.
            .filter_expression("expiresAt > :now")
            .projection_expression("sk, sessionGeneration")
            .expression_attribute_values(":room", s(room.to_string()))
            .expression_attribute_values(":now", n(Timestamp::now().as_second()))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut members = Vec::new();
        while let Some(item) = pages.next().await {
            let mut item = item.map_err(Error::internal("reading a room"))?;
            let generation = item.remove(GENERATION).and_then(|n| n.as_n().ok().and_then(|n| n.parse().ok()));
            if let Some(AttributeValue::S(connection_id)) = item.remove("sk") {
                members.push(Member { connection_id, generation });
            }
        }
        Ok(members)
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
            let member =
                Delete::builder().table_name(&self.table).set_key(Some(member_key(room, connection_id))).build();
            let member = member.map_err(Error::internal("building a removal"))?;
            actions.push(TransactWriteItem::builder().delete(member).build());
        }
        Ok(actions)
    }
}

fn member_key(room: &str, connection_id: &str) -> Item {
    Item::from([("pk".into(), s(room)), ("sk".into(), s(connection_id))])
}
