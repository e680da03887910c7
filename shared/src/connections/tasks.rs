//! The heartbeat's tasks: how far each has come, and which invocation is working on it.
//!
//! An invocation may come twice, late, or while the one before it is still running. So each task has an item of its own
//! (`HEARTBEAT`/`<name>`), and a conditional write decides who does it: only who has seen its latest revision, and only
//! while nobody else is at it.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_dynamo::aws_sdk_dynamodb_1::from_item;
use uuid::Uuid;

use super::{ConnectionStore, keys::TASKS, store::attribute};
use crate::{
    dynamodb::{condition_failed, key, n, s},
    error::Error,
};

/// What is known of a task.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Task<Progress> {
    #[serde(rename = "sk")]
    name: String,
    /// Goes up with every change of the progress.
    revision: i64,
    /// How far the task had come when somebody last ended it.
    #[serde(default)]
    pub progress: Progress,
}

/// A lease: until its end this invocation, and no other, works on the task.
#[derive(Debug)]
pub struct Lease {
    name: String,
    holder: String,
}

impl ConnectionStore {
    /// All tasks that were ever begun, by name, read consistently. Those that cannot be read are logged and begin anew.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn tasks<Progress>(&self) -> Result<BTreeMap<String, Task<Progress>>, Error>
    where
        Progress: Default + DeserializeOwned,
    {
        let pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :tasks")
            .expression_attribute_values(":tasks", s(TASKS))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let items = pages.try_collect().await.map_err(Error::internal("reading the heartbeat's tasks"))?;
        let read = |item| from_item::<Task<Progress>>(item).map_err(Error::internal("reading a task"));
        let tasks = items.into_iter().filter_map(|item| read(item).inspect_err(Error::log).ok());
        Ok(tasks.map(|task| (task.name.clone(), task)).collect())
    }

    /// Takes a task until that time. `None` if another invocation took it first, or still works on it.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn begin_task<Progress>(
        &self,
        name: &str,
        seen: Option<&Task<Progress>>,
        until: Timestamp,
    ) -> Result<Option<Lease>, Error> {
        let holder = Uuid::new_v4().to_string();
        let update = self
            .update_task(name)
            .update_expression("SET holder = :holder, busyUntil = :until, revision = if_not_exists(revision, :zero)")
            .expression_attribute_values(":holder", s(&holder))
            .expression_attribute_values(":until", n(until.as_millisecond()))
            .expression_attribute_values(":zero", n(0));
        let update = match seen {
            None => update.condition_expression("attribute_not_exists(revision)"),
            Some(task) => update
                .condition_expression("revision = :seen AND (attribute_not_exists(busyUntil) OR busyUntil < :now)")
                .expression_attribute_values(":seen", n(task.revision))
                .expression_attribute_values(":now", n(Timestamp::now().as_millisecond())),
        };
        match update.send().await {
            Ok(_) => Ok(Some(Lease { name: name.to_owned(), holder })),
            Err(error) if condition_failed(&error) => Ok(None),
            Err(error) => Err(Error::internal("beginning a task")(error)),
        }
    }

    /// Stores how far a task has come, and lets other invocations take it. Stores nothing if this invocation's lease
    /// has ended and another one has taken the task.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn end_task(&self, lease: &Lease, progress: &impl Serialize) -> Result<(), Error> {
        let update = self
            .update_task(&lease.name)
            .update_expression("SET progress = :progress, revision = revision + :one REMOVE holder, busyUntil")
            .condition_expression("holder = :holder")
            .expression_attribute_values(":progress", attribute(progress)?)
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":holder", s(&lease.holder));
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) if condition_failed(&error) => {
                tracing::warn!(task = lease.name, "somebody else has taken over");
                Ok(())
            }
            Err(error) => Err(Error::internal("ending a task")(error)),
        }
    }

    fn update_task(&self, name: &str) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.table).set_key(Some(key(TASKS, name)))
    }
}
