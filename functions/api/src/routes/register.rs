//! `POST /users/register`: anyone may create an account.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use shared::{
    Error,
    users::{NewUser, PublicUser, rules},
};

use super::{Done, OfUser};
use crate::{App, failure::Failure, payload::Payload, source::CameFrom};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Registration {
    full_name: String,
    country_code: String,
    country_name: String,
    phone: String,
    email: String,
    password: String,
}

impl Registration {
    fn check(&self) -> Result<(), Error> {
        rules::Check::default()
            .field("fullName", rules::full_name(&self.full_name))
            .field("countryCode", rules::country_code(&self.country_code))
            .field("countryName", rules::country_name(&self.country_name))
            .field("phone", rules::phone(&self.phone))
            .field("email", rules::email(&self.email))
            .field("password", rules::password(&self.password))
            .finish()
    }
}

pub(super) async fn post(
    State(app): State<Arc<App>>,
    CameFrom(source): CameFrom,
    payload: Payload,
) -> Result<(StatusCode, Json<Done<OfUser>>), Failure> {
    let form: Registration = payload.json()?;
    form.check()?;
    app.limits.registration(&source).await?;
    let new = NewUser {
        full_name: form.full_name,
        country_code: form.country_code,
        country_name: form.country_name,
        phone: form.phone,
        email: form.email,
        password_hash: app.passwords.hash(form.password).await?,
    };
    let user = app.users.register(new).await?;
    Ok((StatusCode::CREATED, Done::with(OfUser { user: PublicUser::from(&user) })))
}
