//! The users table: every read and write of it, each condition beside the call that relies on it.

use std::sync::Arc;

use aws_sdk_dynamodb::{
    Client,
    operation::update_item::builders::UpdateItemFluentBuilder,
    types::{AttributeValue, Delete, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem},
};
use futures::future::try_join_all;
use jiff::Timestamp;
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};
use uuid::Uuid;

use super::{Channel, User, iso_millis, keys, mailbox, page::list_key, rules};
use crate::{
    aws::Clients,
    config::{ConfigError, Environment},
    dynamodb::{Item, NotUpdated, failed_conditions, n, s, transact},
    error::Error,
    passwords::PasswordHash,
    request::{self, REQUEST_ID},
};

/// What the item of an address says: whose it is.
const USER_ID: &str = "userId";

/// What a registration brings; the rest of a [`User`] is decided here.
pub struct NewUser {
    /// See [`User::full_name`].
    pub full_name: String,
    /// See [`User::country_code`].
    pub country_code: String,
    /// See [`User::country_name`].
    pub country_name: String,
    /// See [`User::phone`].
    pub phone: String,
    /// See [`User::email`].
    pub email: String,
    /// The password, already hashed.
    pub password_hash: PasswordHash,
}

/// Who changes a profile. An owner loses that right with a ban, at once and without a race.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Editor {
    /// The user.
    Owner,
    /// An administrator.
    Admin,
}

/// What to change of a profile; `None` leaves a field as it is.
#[derive(Default)]
pub struct ProfileChange {
    /// New name.
    pub full_name: Option<String>,
    /// New photo, or `Some(None)` to remove it.
    pub photo_url: Option<Option<String>>,
}

/// The users table (`USERS_TABLE`).
#[derive(Clone)]
pub struct UserStore {
    pub(super) client: Client,
    pub(super) table: String,
}

impl UserStore {
    /// The store of `USERS_TABLE`.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] without the table.
    pub fn new(clients: &Clients, env: &Environment) -> Result<Self, ConfigError> {
        Ok(Self { client: clients.dynamodb(), table: env.required("USERS_TABLE")?.to_owned() })
    }

    /// What stores beside this one work with.
    pub(crate) fn parts(&self) -> (Client, String) {
        (self.client.clone(), self.table.clone())
    }

    /// Creates a user: profile, e-mail address and row in the list in one transaction.
    ///
    /// # Errors
    /// [`Error::EmailTaken`] if another account has the address, however it is spelt.
    pub async fn register(&self, new: NewUser) -> Result<User, Error> {
        // A key of an older form is written no more, so what is not there now will not be there in a moment.
        if !self.owners(&new.email).await?.is_empty() {
            return Err(Error::EmailTaken);
        }
        let user = User {
            id: Uuid::new_v4(),
            full_name: new.full_name,
            country_code: new.country_code,
            country_name: new.country_name,
            phone: new.phone,
            is_banned: false,
            banned_at: None,
            ban_reason: None,
            phone_verified: false,
            email: new.email,
            email_verified: false,
            photo_url: None,
            created_at: iso_millis(Timestamp::now()),
            password_hash: new.password_hash,
            session_generation: 0,
            request_id: request::current().map(|id| id.to_string()),
        };
        let profile = Put::builder()
            .table_name(&self.table)
            .set_item(Some(profile_item(&user)?))
            .condition_expression("attribute_not_exists(pk)");
        let address = Put::builder()
            .table_name(&self.table)
            .set_item(Some(keys::address(&mailbox::canonical(&user.email))))
            .item(USER_ID, s(user.id.to_string()))
            .condition_expression("attribute_not_exists(pk)");
        let listed = Put::builder().table_name(&self.table).set_item(Some(list_key(&user)));
        let actions = vec![
            TransactWriteItem::builder().put(built(profile.build())?).build(),
            TransactWriteItem::builder().put(built(address.build())?).build(),
            TransactWriteItem::builder().put(built(listed.build())?).build(),
        ];
        match transact(&self.client, actions).await {
            Ok(()) => Ok(user),
            // The profile's id is new, so only the address can be there already.
            Err(error) if failed_conditions(&error).is_some() => Err(Error::EmailTaken),
            Err(error) => Err(Error::internal("registering a user")(error)),
        }
    }

    /// Reads a user, consistently: a ban that was committed before this call is seen.
    ///
    /// # Errors
    /// [`Error::Internal`] only; a missing user is `None`.
    pub async fn get(&self, id: Uuid) -> Result<Option<User>, Error> {
        self.read(keys::profile(id)).await?.map(parse).transpose()
    }

    /// Finds the account of an e-mail address. That takes as many reads whether there is one or not, so that its time
    /// does not tell. What is too long for an address nobody has: DynamoDB would refuse it as a key.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn find_by_email(&self, email: &str) -> Result<Option<User>, Error> {
        let email = if email.chars().count() <= rules::EMAIL_MAX { email } else { "" };
        let owners = self.owners(email).await?;
        self.get(owners.first().map_or(Uuid::nil(), |(_, id)| *id)).await
    }

    /// Every key that an address has, in whatever form, with the account it belongs to.
    async fn owners(&self, email: &str) -> Result<Vec<(String, Uuid)>, Error> {
        let forms = mailbox::keys(email);
        let items = try_join_all(forms.iter().map(|form| self.read(keys::address(form)))).await?;
        let owner = |(form, item): (String, Option<Item>)| {
            let id = item?.get(USER_ID).and_then(|id| id.as_s().ok()).and_then(|id| id.parse().ok());
            Some(
                id.map(|id| (form, id))
                    .ok_or_else(|| Error::internal("reading an e-mail item")("userId is not a UUID")),
            )
        };
        forms.into_iter().zip(items).filter_map(owner).collect()
    }

    /// Changes name or photo.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::AccountBanned`] if the owner was banned, even a moment ago.
    pub async fn change_profile(&self, id: Uuid, change: ProfileChange, editor: Editor) -> Result<User, Error> {
        let mut set = Vec::new();
        let mut update = self.update(id);
        if let Some(name) = change.full_name {
            set.push("fullName = :fullName");
            update = update.expression_attribute_values(":fullName", s(name));
        }
        let remove = match change.photo_url {
            Some(Some(url)) => {
                set.push("photoUrl = :photoUrl");
                update = update.expression_attribute_values(":photoUrl", s(url));
                ""
            }
            Some(None) => "REMOVE photoUrl",
            None => "",
        };
        if set.is_empty() && remove.is_empty() {
            return self.get(id).await?.ok_or(Error::NotFound);
        }
        let set = if set.is_empty() { String::new() } else { format!("SET {} ", set.join(", ")) };
        self.edit(id, update.update_expression(set + remove), editor).await
    }

    /// Applies an update that its editor is allowed to make at this very moment.
    async fn edit(&self, id: Uuid, update: UpdateItemFluentBuilder, editor: Editor) -> Result<User, Error> {
        let update = match editor {
            Editor::Admin => update.condition_expression("attribute_exists(pk)"),
            Editor::Owner => update
                .condition_expression("attribute_exists(pk) AND isBanned = :false")
                .expression_attribute_values(":false", AttributeValue::Bool(false)),
        };
        match self.apply(id, update).await? {
            Applied::Now(user) => Ok(user),
            Applied::Not(Some(_)) => Err(Error::AccountBanned),
            Applied::Not(None) => Err(Error::NotFound),
        }
    }

    /// Marks an e-mail address or phone number as verified; one that is stays as is.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::AccountBanned`] if the owner was banned, even a moment ago.
    pub async fn verify(&self, id: Uuid, channel: Channel, editor: Editor) -> Result<User, Error> {
        let update = self
            .update(id)
            .update_expression("SET #flag = :true")
            .expression_attribute_names("#flag", channel.flag())
            .expression_attribute_values(":true", AttributeValue::Bool(true));
        self.edit(id, update, editor).await
    }

    /// Bans a user and ends all sessions. Banning again changes nothing, not even the time.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn ban(&self, id: Uuid, reason: &str) -> Result<User, Error> {
        let update = self
            .update(id)
            .update_expression("SET isBanned = :true, bannedAt = :at, banReason = :reason ADD sessionGeneration :one")
            .condition_expression("attribute_exists(pk) AND isBanned = :false")
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .expression_attribute_values(":false", AttributeValue::Bool(false))
            .expression_attribute_values(":at", s(iso_millis(Timestamp::now())))
            .expression_attribute_values(":reason", s(reason));
        self.apply(id, update).await?.or_as_it_is()
    }

    /// Lifts a ban; a user who is not banned stays as is.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn unban(&self, id: Uuid) -> Result<User, Error> {
        let update = self
            .update(id)
            .update_expression("SET isBanned = :false REMOVE bannedAt, banReason")
            .condition_expression("attribute_exists(pk) AND isBanned = :true")
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .expression_attribute_values(":false", AttributeValue::Bool(false));
        self.apply(id, update).await?.or_as_it_is()
    }

    /// Deletes a user, with the row in the list and codes that are under way, and frees the e-mail address. Sessions end for want of an owner.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete(&self, id: Uuid) -> Result<(), Error> {
        // Not a mere read: the stream's record of the delete has the row as it was, and so the name of this request.
        let named = self.update(id).condition_expression("attribute_exists(pk)");
        let Applied::Now(user) = self.apply(id, named).await? else { return Err(Error::NotFound) };
        let profile = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(keys::profile(id)))
            .condition_expression("attribute_exists(pk)");
        let listed = Delete::builder().table_name(&self.table).set_key(Some(list_key(&user)));
        let mut actions = vec![
            TransactWriteItem::builder().delete(built(profile.build())?).build(),
            TransactWriteItem::builder().delete(built(listed.build())?).build(),
        ];
        // Two accounts of before may have one mailbox, each with a key of its own.
        for (form, _) in self.owners(&user.email).await?.into_iter().filter(|(_, owner)| *owner == id) {
            let address = Delete::builder().table_name(&self.table).set_key(Some(keys::address(&form)));
            actions.push(TransactWriteItem::builder().delete(built(address.build())?).build());
        }
        for channel in Channel::ALL {
            let code = Delete::builder().table_name(&self.table).set_key(Some(keys::code(id, channel)));
            actions.push(TransactWriteItem::builder().delete(built(code.build())?).build());
        }
        match transact(&self.client, actions).await {
            Ok(()) => Ok(()),
            Err(error) if failed_conditions(&error).is_some() => Err(Error::NotFound),
            Err(error) => Err(Error::internal("deleting a user")(error)),
        }
    }

    fn update(&self, id: Uuid) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(keys::profile(id)))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// Sends an update, in the name of the request it is part of. Its expression, if it has one, begins with `SET`, or
    /// is one `REMOVE`.
    async fn apply(&self, id: Uuid, update: UpdateItemFluentBuilder) -> Result<Applied, Error> {
        match in_the_name_of(request::current(), update).send().await {
            Ok(output) => parse(output.attributes.unwrap_or_default()).map(Applied::Now),
            Err(error) => match NotUpdated::of(&error) {
                NotUpdated::Item(item) => Ok(Applied::Not(Some(parse(item.clone())?))),
                // No such user; or an older DynamoDB Local, which does not say what it found.
                NotUpdated::NoItem => Ok(Applied::Not(self.get(id).await?)),
                NotUpdated::Otherwise => Err(Error::internal("updating a user")(error)),
            },
        }
    }

    async fn read(&self, key: Item) -> Result<Option<Item>, Error> {
        let get = self.client.get_item().table_name(&self.table).set_key(Some(key)).consistent_read(true);
        Ok(get.send().await.map_err(Error::internal("reading the users table"))?.item)
    }
}

/// What a conditional update came to.
enum Applied {
    /// The update was written; this is the row now.
    Now(User),
    /// The condition failed; this is the row, if there is one.
    Not(Option<User>),
}

impl Applied {
    /// The row after an update that asks for a state: a row already in that state is as good as a written one.
    fn or_as_it_is(self) -> Result<User, Error> {
        match self {
            Self::Now(user) | Self::Not(Some(user)) => Ok(user),
            Self::Not(None) => Err(Error::NotFound),
        }
    }
}

/// Adds the id of a request to what is set.
fn in_the_name_of(request: Option<Arc<str>>, update: UpdateItemFluentBuilder) -> UpdateItemFluentBuilder {
    let Some(request) = request else { return update };
    let expression = update.get_update_expression().as_deref().unwrap_or_default();
    let expression = match expression.strip_prefix("SET ") {
        Some(others) => format!("SET {REQUEST_ID} = :requestId, {others}"),
        None => format!("SET {REQUEST_ID} = :requestId {expression}"),
    };
    update.update_expression(expression).expression_attribute_values(":requestId", s(&*request))
}

fn built<T, E: Into<Box<dyn std::error::Error + Send + Sync>>>(action: Result<T, E>) -> Result<T, Error> {
    action.map_err(Error::internal("building a transaction"))
}

pub(super) fn parse(item: Item) -> Result<User, Error> {
    // The reason would quote what is in the row, and it would be logged.
    from_item(item).map_err(|_| Error::internal("reading a user item")("it is not a user"))
}

fn profile_item(user: &User) -> Result<Item, Error> {
    let mut item: Item = to_item(user).map_err(Error::internal("writing a user item"))?;
    item.extend(keys::profile(user.id));
    Ok(item)
}
