//! Putting the cloud together, from the template alone, and taking it apart again.

mod environment;
mod lock;
mod within;

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, middleware::from_fn_with_state};
use futures::FutureExt as _;
use jiff::Timestamp;
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::timeout,
};

use self::{
    environment::{access, environments, runtime_variables, scope, secrets, write_env_file},
    lock::Lock,
    within::Within,
};
use crate::{
    Options, REGION, dashboard,
    dynamodb::{Database, DatabaseError, LiveTable},
    event_source::{EventSourceError, EventSources, InvokeError, Poke, Settings, Wiring, checkpoint_table},
    faults::Faults,
    functions::{self, Functions},
    gateway::{Gateway, Limits, SocketIoEdge, management, websocket},
    http_api,
    invoke_api::{self, Asynchronous, Names},
    open_files, outbox, own_host,
    permissions::{self, Guard, Permissions},
    schedule::Schedules,
    server::{Port, serve},
    tally::Spent,
    template::{Template, TemplateError},
    undelivered,
};

/// The template this program was built with.
pub(crate) const TEMPLATE: &str = include_str!("../../../infra/template.yaml");

/// AWS looks at a stream four times a second; so do we, unless something was just written.
const POLL_EVERY: Duration = Duration::from_millis(250);

/// How long changes that a former life did not deliver wait for sockets to come back. Clients retry after at most 5 s.
const BACKLOG_WAITS: Duration = Duration::from_secs(10);

/// Sockets come back one by one; this long after the last one all are taken to be back.
const BACKLOG_SETTLES: Duration = Duration::from_millis(1500);

/// How long a batch is held back by `--fault reorder`: long enough for others to overtake it.
const HELD_BACK: Duration = Duration::from_millis(100);

/// How long it may take to close all sockets and to handle their `$disconnect`: longer than one that does not read may.
const SOCKETS_END_WITHIN: Duration = Duration::from_secs(5);

/// How long requests that are being answered may take at the end.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// Why there is no cloud.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is taken, or not ours to take.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The folder of `--data-dir` or the file of `--env-file` cannot be used.
    #[error("cannot use {folder}: {source}; see whose it is and whether the disk is full, or choose another")]
    DataDir {
        /// As given, or the file in it.
        folder: String,
        /// Why.
        source: io::Error,
    },
    /// Another process has the folder of `--data-dir`.
    #[error("{folder} is in use by another local-dev; stop it, or choose another --data-dir")]
    InUse {
        /// As given.
        folder: String,
    },
    /// Functions want different values for one variable of `--env-file`.
    #[error(
        "the file of --env-file has one value for all functions, but `{variable}` is not the same for {} and {}; \
         give it a name of its own in one of them", functions.0, functions.1
    )]
    OneVariable {
        /// Its name.
        variable: String,
        /// Logical ids of two that differ.
        functions: (String, String),
    },
    /// Anything else; the message says what to do.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

macro_rules! other_errors {
    ($($error:ty),*) => {$(
        impl From<$error> for StartError {
            fn from(error: $error) -> Self {
                Self::Other(error.into())
            }
        }
    )*};
}
other_errors!(
    TemplateError,
    DatabaseError,
    EventSourceError,
    functions::StartError,
    http_api::CorsError,
    shared::Error
);

/// A running cloud. [`Running::stop`] ends it cleanly; dropping it ends it like a crash.
pub struct Running {
    address: SocketAddr,
    stack: String,
    template: Template,
    database: Database,
    sources: EventSources,
    schedules: Schedules,
    asynchronous: Asynchronous,
    functions: Functions,
    faults: Arc<Faults>,
    gateway: Gateway,
    edge: SocketIoEdge,
    permissions: Option<Arc<Permissions>>,
    guard: Option<Guard>,
    within: Within,
    lock: Option<Lock>,
    shutdown: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

/// Starts the cloud and returns once everything answers.
///
/// # Errors
/// [`StartError`], with words for the person who started it.
pub async fn start(options: Options) -> Result<Running, StartError> {
    let template = Template::parse(TEMPLATE)?;
    say_what_is_skipped(&template);
    let (port, address) = listen(&options).await?;
    let lock = options.data_dir.as_deref().map(Lock::take).transpose()?;
    let secrets = secrets(&template, &options)?;

    let access = access();
    let database = match &options.dynamodb_endpoint {
        Some(endpoint) => Database::remote(endpoint, &access),
        None => Database::embedded(options.data_dir.as_deref(), &access).await?,
    };
    let tables = database.create_tables(&options.stack_name, template.tables()).await?;
    let scope = scope(&template, &options, secrets, &tables).await?;
    let permissions = options.enforce_policies.then(|| Permissions::of(&template).map(Arc::new)).transpose()?;
    let guard = guard(&database, &options.stack_name, permissions.as_ref()).await?;
    let dynamodb = guard.as_ref().map_or_else(|| database.endpoint().to_owned(), Guard::endpoint);
    let variables = runtime_variables(&template, &access, dynamodb, address);
    let within = Within::of(&options, address);
    within.connect_database(&database, guard.as_ref());
    let environments = environments(&template, &scope, &variables, options.enforce_policies)?;
    let environments = environments.into_iter().map(|(id, env)| (id, env.over(within.transport()))).collect();

    let poke = Poke::default();
    let faults = Arc::new(Faults::default());
    faults.set(options.faults.clone());
    if let Some(file) = &options.env_file {
        // A key of its own is for whoever starts a function; in one file for all there is none.
        write_env_file(file, &environment::environments(&template, &scope, &variables, false)?)?;
    }
    let endpoint = options.lambda_endpoint.as_deref();
    let functions = Functions::start(template.functions(), &environments, endpoint, poke.clone(), Arc::clone(&faults))?;
    let functions = functions.throttled_at(options.concurrent_invocations).at_most(database.bears());
    let functions = counted(functions, permissions.as_deref());
    let api = template.web_socket_api().cloned().ok_or_else(|| no("AWS::Serverless::WebSocketApi"))?;
    let (limits, waits) = patience(&options);
    let throttle = template.socket_throttle(&scope)?;
    let gateway = Gateway::new(api, functions.clone(), Arc::clone(&faults), limits, throttle)
        .holding_at_most(open_files::sockets());
    let (release, released) = watch::channel(false);
    let settings = Settings {
        database: &database,
        stack: &options.stack_name,
        region: REGION,
        poll_every: POLL_EVERY,
        poke,
        record_age: options.record_age,
        release: released,
    };
    let sources = EventSources::start(settings, wirings(&template, &tables, &functions, &faults)).await?;
    let asynchronous = Asynchronous::new(functions.clone(), template.functions(), &faults, options.retry_pause)
        .keeping_in(sources.dead_letters());
    let names = Names::new(&options.stack_name, template.functions());
    let schedules = Schedules::start(functions.clone(), template.schedules().cloned().collect());
    tokio::spawn(release_backlog(release, gateway.opened()));

    let cors = template.http_api().map(|api| api.cors(&scope)).transpose()?.flatten();
    cors.as_ref().map(http_api::check_cors).transpose()?;
    let (edge, sockets) = SocketIoEdge::new(gateway.clone(), cors.as_ref().map(http_api::cors_layer));
    let invoke_api = lambda(&asynchronous, &names, permissions.as_ref());
    let throttle = template.rest_throttle(&scope)?;
    let rest = http_api::router(functions.clone(), template.functions(), cors.as_ref(), waits, throttle);
    let given_up = undelivered::router(sources.dead_letters());
    let router = router(&gateway, limits, permissions.as_ref(), invoke_api, rest, sockets, given_up);
    let router = own_host::only(router, &options.allowed_hosts);
    within.connect(router.clone());
    let (shutdown, stopping) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(port, router, stopping.map(drop)));
    Ok(Running {
        address,
        stack: options.stack_name,
        template,
        database,
        sources,
        schedules,
        asynchronous,
        functions,
        faults,
        gateway,
        edge,
        permissions,
        guard,
        within,
        lock,
        shutdown,
        server,
    })
}

impl Running {
    /// `http://<host>:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// First part of the path of the gateway's URLs.
    #[must_use]
    pub fn stage(&self) -> &str {
        self.gateway.stage()
    }

    /// Where other tools reach the tables.
    #[must_use]
    pub fn dynamodb_endpoint(&self) -> &str {
        self.database.endpoint()
    }

    /// The URL of every port that was opened on this machine.
    #[must_use]
    pub fn ports(&self) -> Vec<String> {
        let embedded = self.database.is_embedded().then(|| self.database.endpoint().to_owned());
        [self.url()].into_iter().chain(embedded).chain(self.guard.as_ref().map(Guard::endpoint)).collect()
    }

    /// Changes of a former life that are still to be delivered.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.sources.backlog()
    }

    /// The bodies of what was given up, by the event sources and of asynchronous invocations.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<serde_json::Value> {
        self.sources.dead_letters().list().into_iter().map(|letter| letter.body).collect()
    }

    /// Invokes a function (its logical id in the template) and returns its answer.
    ///
    /// # Errors
    /// The words of the function that failed.
    pub async fn invoke(&self, function: &str, event: serde_json::Value) -> Result<serde_json::Value, String> {
        self.functions.run(function, event).await.map_err(|error| error.to_string())
    }

    /// What goes wrong on purpose, from now on.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// What the functions did, with `enforce_policies`.
    #[must_use]
    pub fn permissions(&self) -> Option<&Permissions> {
        self.permissions.as_deref()
    }

    /// What each function used of what AWS bills, by logical id, with `enforce_policies`.
    #[must_use]
    pub fn spent(&self) -> BTreeMap<String, Spent> {
        self.permissions.as_ref().map(|permissions| permissions.tally().all()).unwrap_or_default()
    }

    /// Runs what the template schedules, as if it were that time.
    ///
    /// # Errors
    /// The words of the function that failed.
    pub async fn tick(&self, at: Timestamp) -> Result<(), String> {
        self.schedules.tick(at).await.map_err(|error| error.to_string())
    }

    /// Ends event sources, then sockets, then requests, then the database. What is on its way is told to the sockets
    /// that are still there, and what is not follows after the next start: told to rooms that have been emptied it would be
    /// told to nobody.
    pub async fn stop(self) {
        let (database, _lock) = self.wind_down().await;
        database.stop().await;
    }

    /// Like [`Running::stop`], and deletes the tables: for tests on a DynamoDB they share.
    pub async fn stop_and_drop_tables(self) {
        let (stack, tables) = (self.stack.clone(), self.template.tables().to_vec());
        let (database, _lock) = self.wind_down().await;
        let tables: Vec<_> = tables.into_iter().chain([checkpoint_table()]).collect();
        if let Err(error) = database.drop_tables(&stack, &tables).await {
            tracing::warn!(%error, "could not delete the tables");
        }
        database.stop().await;
    }

    /// Ends all but the database, whose folder is ours until that has ended, too.
    async fn wind_down(self) -> (Database, Option<Lock>) {
        self.sources.stop().await;
        // Side by side: each waits for the clients of the other as well.
        tokio::join!(self.edge.stop(), self.gateway.stop(SOCKETS_END_WITHIN));
        let _ = self.shutdown.send(());
        let server = self.server.abort_handle();
        if timeout(STOP_WITHIN, self.server).await.is_err() {
            server.abort();
        }
        self.asynchronous.stop().await;
        drop(self.within);
        (self.database, self.lock)
    }
}

/// Takes the port, and says which one it is.
async fn listen(options: &Options) -> Result<(Port, SocketAddr), StartError> {
    let address = SocketAddr::new(options.host, options.port);
    let failed = |source| StartError::Listen { address, source };
    let port = Port::bind(address).await.map_err(failed)?;
    let address = port.local_addr().map_err(failed)?;
    Ok((port, address))
}

/// The functions, with what they use counted where policies are enforced.
fn counted(functions: Functions, permissions: Option<&Permissions>) -> Functions {
    match permissions {
        Some(permissions) => functions.counted_by(permissions.tally().clone()),
        None => functions,
    }
}

/// The routes of everything that is served at the port.
fn router(
    gateway: &Gateway,
    limits: Limits,
    permissions: Option<&Arc<Permissions>>,
    invoke_api: Router,
    rest: Router,
    sockets: Router,
    given_up: Router,
) -> Router {
    let landing = landing(gateway.stage());
    Router::new()
        .merge(dashboard::router(landing))
        .merge(given_up)
        .merge(sockets)
        .merge(websocket::router(gateway.clone(), limits))
        .merge(services(gateway, permissions))
        .merge(invoke_api)
        .merge(rest)
}

fn say_what_is_skipped(template: &Template) {
    if !template.skipped().is_empty() {
        let names = template.skipped().iter().map(|(name, kind)| format!("{name} ({kind})"));
        tracing::warn!("not imitated, and so not here: {}", names.collect::<Vec<_>>().join(", "));
    }
}

async fn guard(
    database: &Database,
    stack: &str,
    permissions: Option<&Arc<Permissions>>,
) -> Result<Option<Guard>, StartError> {
    let Some(permissions) = permissions else { return Ok(None) };
    let guard = Guard::start(database, stack, Arc::clone(permissions)).await;
    guard.map(Some).map_err(|source| StartError::Listen { address: ([127, 0, 0, 1], 0).into(), source })
}

/// How long a function may take behind the WebSocket API (among its limits) and behind the HTTP API: as on AWS, but
/// `cargo lambda watch` compiles a function when it is first called.
fn patience(options: &Options) -> (Limits, Duration) {
    let limits = options.limits;
    match options.lambda_endpoint {
        Some(_) => (Limits { integration: functions::COMPILES_WITHIN, ..limits }, functions::COMPILES_WITHIN),
        None => (limits, http_api::INTEGRATION),
    }
}

fn services(gateway: &Gateway, permissions: Option<&Arc<Permissions>>) -> Router {
    let (mut management, mut outbox) = (management::router(gateway.clone()), outbox::router());
    if let Some(permissions) = permissions {
        let state = (Arc::clone(permissions), gateway.stage().to_owned());
        management = management.layer(from_fn_with_state(state, permissions::of_management));
        outbox = outbox.layer(from_fn_with_state(Arc::clone(permissions), permissions::of_outbox));
    }
    own_host::no_page(management.merge(outbox))
}

/// Lambda's Invoke API, which functions reach as people do.
fn lambda(asynchronous: &Asynchronous, names: &Names, permissions: Option<&Arc<Permissions>>) -> Router {
    let mut router = invoke_api::router(asynchronous.clone(), names.clone());
    if let Some(permissions) = permissions {
        router = router.layer(from_fn_with_state((Arc::clone(permissions), names.clone()), permissions::of_functions));
    }
    own_host::no_page(router)
}

fn no(kind: &str) -> StartError {
    StartError::Other(format!("infra/template.yaml has no {kind}").into())
}

fn landing(stage: &str) -> String {
    format!(
        "Moien Realtime (local-dev)

REST       /api/v1, described at /api/docs
Socket.IO  namespace /users; path /socket.io/, or /{stage} as on AWS; say transports: [\"websocket\"],
           since /{stage} has no polling. forceBase64 is for /{stage} only: /socket.io/ closes on it
Outbox     /_dev/outbox
Lambda     /2015-03-31/functions/<name>/invocations, for `aws lambda invoke --endpoint-url`
Given up   /_dev/undelivered
"
    )
}

fn wirings(
    template: &Template,
    tables: &BTreeMap<String, LiveTable>,
    functions: &Functions,
    faults: &Arc<Faults>,
) -> Vec<Wiring> {
    let wire = |source: &crate::template::EventSource| {
        let (functions, function, faults) = (functions.clone(), source.function.clone(), Arc::clone(faults));
        let invoke = move |event: serde_json::Value| {
            let (functions, function, faults) = (functions.clone(), function.clone(), Arc::clone(&faults));
            async move {
                if faults.reorders() {
                    tokio::time::sleep(HELD_BACK).await;
                }
                if faults.duplicates() {
                    let _ = functions.run(&function, event.clone()).await;
                }
                functions.run(&function, event).await.map_err(|error| InvokeError(error.to_string()))
            }
            .boxed()
        };
        let table = tables.get(&source.table)?.clone();
        Some(Wiring { source: source.clone(), table, invoke: Arc::new(invoke) })
    };
    template.event_sources().filter_map(wire).collect()
}

/// Lets what a former life left over wait until its sockets are back, or it would be told to nobody.
async fn release_backlog(release: watch::Sender<bool>, mut opened: watch::Receiver<usize>) {
    let settled = async {
        let _ = opened.wait_for(|count| *count > 0).await;
        while let Ok(Ok(())) = timeout(BACKLOG_SETTLES, opened.changed()).await {}
    };
    let _ = timeout(BACKLOG_WAITS, settled).await;
    release.send_replace(true);
}
