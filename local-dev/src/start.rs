//! Putting the program together: what the options mean to the emulator, and what this product adds to it.

use std::{collections::BTreeMap, fs, net::SocketAddr};

use emulator::{DynamoDb, Emulator, Running, Settings, StartError};
use shared::{
    Error,
    config::MIN_SECRET_BYTES,
    passwords::{PasswordHash, Passwords},
};

use crate::{Options, dashboard, functions, open_files};

/// The template this program was built with.
pub const TEMPLATE: &str = include_str!("../../infra/template.yaml");

/// The sender of verification codes.
const SENDER: &str = "no-reply@moien-delivery.example";

/// The secret of the template that `--token-secret` gives.
const TOKEN_SECRET: &str = "TokenSecret";

/// Starts the cloud and returns once everything answers.
///
/// # Errors
/// [`StartError`], with words for the person who started it.
pub async fn start(options: Options) -> Result<Running, StartError> {
    let emulator = functions::in_emulator(Emulator::of(TEMPLATE)?).entrance(socketio::entrance);
    let stage = emulator.template().web_socket_api().map_or("", |api| &api.stage);
    let pages = dashboard::router(landing(stage));
    emulator.routes(pages).start(settings(options).await?).await
}

async fn settings(options: Options) -> Result<Settings, StartError> {
    let (secrets, parameters) = (secrets(&options)?, parameters(&options).await?);
    let calls_have_files = options.has_calls_over_connections();
    Ok(Settings {
        address: SocketAddr::new(options.host, options.port),
        allowed_hosts: options.allowed_hosts,
        dynamodb: options.dynamodb_endpoint.map_or(DynamoDb::Embedded(options.data_dir), DynamoDb::At),
        stack_name: options.stack_name,
        parameters,
        secrets,
        concurrent_invocations: options.concurrent_invocations,
        lambda_endpoint: options.lambda_endpoint,
        env_file: options.env_file,
        enforce_policies: options.enforce_policies,
        loopback: options.loopback,
        faults: options.faults,
        retry_pause: options.retry_pause,
        limits: options.limits.into(),
        record_age: options.record_age,
        max_sockets: open_files::sockets(calls_have_files),
    })
}

/// Secrets that were given. They are not checked by the reader of options, whose message would show them.
fn secrets(options: &Options) -> Result<BTreeMap<String, String>, StartError> {
    let given = options.token_secret.clone();
    if given.as_ref().is_some_and(|secret| secret.len() < MIN_SECRET_BYTES) {
        let problem = format!("--token-secret (TOKEN_SECRET) must have at least {MIN_SECRET_BYTES} characters");
        return Err(StartError::Other(problem.into()));
    }
    Ok(given.map(|secret| (TOKEN_SECRET.to_owned(), secret)).into_iter().collect())
}

/// Parameters of the template as the options have them.
async fn parameters(options: &Options) -> Result<BTreeMap<String, String>, StartError> {
    let hash = admin_hash(options).await.map_err(|error| StartError::Other(error.into()))?;
    let mut parameters = BTreeMap::from([
        ("Anonymous".to_owned(), options.anonymous.parameter().to_owned()),
        ("AdminEmail".to_owned(), options.admin_email.clone()),
        ("AdminPasswordHash".to_owned(), hash.0),
        ("SenderEmail".to_owned(), SENDER.to_owned()),
        ("RegistrationsPerHour".to_owned(), options.registrations_per_hour.to_string()),
    ]);
    parameters.extend(options.parameters.iter().cloned());
    parameters.extend(options.origins.clone().map(|origins| ("Origins".to_owned(), origins)));
    Ok(parameters)
}

/// The hash of the administrator's password. With a data folder it is kept there for as long as the password is the same:
/// another hash ends the administrator's sessions, as another password would.
async fn admin_hash(options: &Options) -> Result<PasswordHash, Error> {
    let (passwords, password) = (Passwords::default(), &options.admin_password);
    let file = options.data_dir.as_deref().map(|folder| folder.join("admin-password-hash"));
    if let Some(kept) = file.as_deref().and_then(|file| fs::read_to_string(file).ok()).map(PasswordHash)
        && passwords.verify(password.clone(), Some(kept.clone())).await.unwrap_or(false)
    {
        return Ok(kept);
    }
    let hash = passwords.hash(password.clone()).await?;
    if let Some(file) = file {
        // A folder that cannot be written to is an error of the database in it, which says what to do.
        let _ = file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&file, &hash.0));
    }
    Ok(hash)
}

/// What `/` says without the dashboard.
fn landing(stage: &str) -> String {
    format!(
        "Moien Realtime (local-dev)

REST       /api/v1, described at /api/docs
Socket.IO  namespace /users; path /socket.io/, or /{stage} as on AWS; say transports: [\"websocket\"],
           since /{stage} has no polling. forceBase64 is for /{stage} only: /socket.io/ closes on it
Messages   /_dev/messages
Lambda     /2015-03-31/functions/<name>/invocations, for `aws lambda invoke --endpoint-url`
Given up   /_dev/undelivered
"
    )
}
