//! `POST /users/register`: anyone may create an account.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use shared::{
    Error,
    error::ErrorBody,
    users::{NewUser, PublicUser, rules},
};
use utoipa::ToSchema;

use super::{Done, OfUser};
use crate::{App, client_ip::ClientIp, error_response::ErrorResponse, openapi::fields, payload::Payload};

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Registration {
    #[schema(schema_with = fields::full_name)]
    full_name: String,
    #[schema(schema_with = fields::country_code)]
    country_code: String,
    #[schema(schema_with = fields::country_name)]
    country_name: String,
    #[schema(schema_with = fields::phone)]
    phone: String,
    #[schema(schema_with = fields::email)]
    email: String,
    #[schema(schema_with = fields::password)]
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

#[utoipa::path(
    post,
    path = "/users/register",
    operation_id = "registerUser",
    summary = "Creates an account; anyone may.",
    description = "The address is taken however it is spelt. The feed hears `users.created`.",
    request_body = Registration,
    responses(
        (status = 201, description = "The new user", body = Done<OfUser>),
        (status = 409, description = "`EMAIL_TAKEN`: another account has this address", body = ErrorBody<'static>),
        (status = 429, description = "`TOO_MANY_ATTEMPTS`: this address has registered too many", body = ErrorBody<'static>),
    ),
)]
pub(super) async fn post(
    State(app): State<Arc<App>>,
    ClientIp(source): ClientIp,
    payload: Payload,
) -> Result<(StatusCode, Json<Done<OfUser>>), ErrorResponse> {
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
