//! Putting the cloud together, from the template alone, and taking it apart again.

mod environment;
mod in_process;
mod lock;
mod routes;
mod running;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use futures::{FutureExt as _, future::BoxFuture};
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};
use tower_http::cors::CorsLayer;

pub use self::running::Running;
use self::{
    environment::{access, environments, runtime_variables, scope, secrets, write_env_file},
    in_process::InProcess,
    lock::Lock,
};
use crate::{
    DynamoDb, Limits, REGION, Settings,
    dynamodb::{Access, Database, DatabaseError, LiveTable},
    event_source::{self, EventSourceError, EventSources, InvokeError, Wakeup, Wiring},
    faults::Faults,
    functions::{self, BoxError, Code, Environment, Functions, Handler},
    gateway::Gateway,
    http_api,
    invoke_api::{Asynchronous, Names},
    own_host,
    permissions::{Guard, Permissions},
    schedule::Schedules,
    server::{Port, serve},
    template::{Cors, Scope, Template, TemplateError},
};

/// AWS looks at a stream four times a second; so do we, unless something was just written.
const POLL_EVERY: Duration = Duration::from_millis(250);

/// How long changes that a former life did not deliver wait for sockets to come back. Clients retry after at most 5 s.
const BACKLOG_WAITS: Duration = Duration::from_secs(10);

/// Sockets come back one by one; this long after the last one all are taken to be back.
const BACKLOG_SETTLES: Duration = Duration::from_millis(1500);

/// How long a batch is held back by `--fault reorder`: long enough for others to overtake it.
const HELD_BACK: Duration = Duration::from_millis(100);

/// Why there is no cloud.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is taken, or not ours to take.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where the program cannot listen.
        address: SocketAddr,
        /// Why the program cannot listen.
        source: io::Error,
    },
    /// The folder of `--data-dir` or the file of `--env-file` cannot be used.
    #[error("cannot use {folder}: {source}; see whose it is and whether the disk is full, or choose another")]
    DataDir {
        /// The folder as given, or the file in it.
        folder: String,
        /// Why the folder cannot be used.
        source: io::Error,
    },
    /// Another process has the folder of `--data-dir`.
    #[error("{folder} is in use by another local-dev; stop it, or choose another --data-dir")]
    InUse {
        /// The folder as given.
        folder: String,
    },
    /// Functions want different values for one variable of `--env-file`.
    #[error(
        "the file of --env-file has one value for all functions, but `{variable}` is not the same for {} and {}; \
         give it a name of its own in one of them", functions.0, functions.1
    )]
    OneVariable {
        /// The name of the variable.
        variable: String,
        /// Logical ids of two that differ.
        functions: (String, String),
    },
    /// Anything else; the message says what to do.
    #[error(transparent)]
    Other(BoxError),
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
other_errors!(TemplateError, DatabaseError, EventSourceError, functions::StartError, http_api::CorsError);

/// Another way in for sockets, beside that of the WebSocket API: a program that accepts them and turns what they say into
/// calls of the [`Gateway`].
pub struct Entrance {
    /// Routes of the entrance, at the same port.
    pub routes: Router,
    /// Ends all its sockets, at the same time as the gateway ends its own.
    pub stop: BoxFuture<'static, ()>,
}

/// Makes an entrance to a gateway; with the CORS configuration of the HTTP API, if it has one.
type MakeEntrance = Box<dyn FnOnce(Gateway, Option<CorsLayer>) -> Entrance + Send>;

/// What a template declares, with the code of its functions, ready to start.
pub struct Emulator {
    template: Template,
    code: BTreeMap<String, functions::Start>,
    routes: Router,
    entrance: Option<MakeEntrance>,
}

impl Emulator {
    /// An emulator of a SAM template.
    ///
    /// # Errors
    /// [`TemplateError`], which names the resource and the property.
    pub fn of(template: &str) -> Result<Self, TemplateError> {
        let template = Template::parse(template)?;
        Ok(Self { template, code: BTreeMap::new(), routes: Router::new(), entrance: None })
    }

    /// The code of the functions whose `CodeUri` ends in this folder, made of their environment when they start.
    #[must_use]
    pub fn function(
        mut self,
        folder: &str,
        start: impl Fn(Environment) -> Result<Handler, BoxError> + Send + Sync + 'static,
    ) -> Self {
        self.code.insert(folder.to_owned(), Box::new(start));
        self
    }

    /// Further routes at the port, such as a page.
    #[must_use]
    pub fn routes(self, routes: Router) -> Self {
        Self { routes: self.routes.merge(routes), ..self }
    }

    /// Another way in for sockets.
    #[must_use]
    pub fn entrance(self, make: impl FnOnce(Gateway, Option<CorsLayer>) -> Entrance + Send + 'static) -> Self {
        Self { entrance: Some(Box::new(make)), ..self }
    }

    /// The template.
    #[must_use]
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// Starts everything, and returns once it answers.
    ///
    /// # Errors
    /// [`StartError`], with words for the person who started it.
    pub async fn start(self, settings: Settings) -> Result<Running, StartError> {
        let Self { template, code, routes, entrance } = self;
        say_what_is_skipped(&template);
        let (port, address) = listen(settings.address).await?;
        let lock = settings.data_dir().map(Lock::take).transpose()?;
        let secrets = secrets(&template, &settings)?;
        let access = access();
        let database = database(&settings, &access).await?;
        let tables = database.create_tables(&settings.stack_name, template.tables()).await?;
        let scope = scope(&template, &settings, secrets, &tables)?;
        let permissions = settings.enforce_policies.then(|| Permissions::of(&template).map(Arc::new)).transpose()?;
        let guard = guard(&database, &settings.stack_name, permissions.as_ref()).await?;
        let dynamodb = guard.as_ref().map_or_else(|| database.endpoint().to_owned(), Guard::endpoint);
        let variables = runtime_variables(&template, &access, dynamodb, address);
        let in_process = InProcess::of(address, settings.loopback);
        in_process.connect_database(&database, guard.as_ref());
        let environments = environments(&template, &scope, &variables, settings.enforce_policies)?;
        let environments = over(&in_process, environments);

        let wakeup = Wakeup::default();
        let faults = Arc::new(Faults::default());
        faults.set(settings.faults.clone());
        if let Some(file) = &settings.env_file {
            // A key of its own is for whoever starts a function; in one file for all there is none.
            write_env_file(file, &environment::environments(&template, &scope, &variables, false)?)?;
        }
        let code = settings.lambda_endpoint.clone().map_or_else(|| Code::Here(code), Code::Behind);
        let functions = functions(&template, &code, &environments, &settings, &wakeup, &faults)?
            .at_most(database.max_concurrency());
        let functions = counted(functions, permissions.as_deref());
        let api = template.web_socket_api().cloned().unwrap_or_default();
        let (limits, waits) = timeouts(&settings);
        let throttle = template.socket_throttle(&scope)?;
        let most = settings.max_sockets;
        let gateway = Gateway::new(api, functions.clone(), Arc::clone(&faults), limits, throttle, most);
        let (release, released) = watch::channel(false);
        let of_sources = event_source::Settings {
            database: &database,
            stack: &settings.stack_name,
            region: REGION,
            poll_every: POLL_EVERY,
            wakeup,
            record_age: settings.record_age,
            release: released,
        };
        let sources = EventSources::start(of_sources, wirings(&template, &tables, &functions, &faults)).await?;
        let asynchronous = Asynchronous::new(functions.clone(), template.functions(), &faults, settings.retry_pause)
            .keeping_in(sources.dead_letters());
        let names = Names::new(&settings.stack_name, template.functions());
        let schedules = Schedules::start(functions.clone(), template.schedules().cloned().collect());
        tokio::spawn(release_backlog(release, gateway.opened()));

        let cors = cors(&template, &scope)?;
        let nobody_else = || Entrance { routes: Router::new(), stop: async {}.boxed() };
        let entrance = entrance.map(|make| make(gateway.clone(), cors.as_ref().map(http_api::cors_layer)));
        let Entrance { routes: sockets, stop: end_sockets } = entrance.unwrap_or_else(nobody_else);
        let invoke_api = routes::lambda(&asynchronous, &names, permissions.as_ref());
        let throttle = template.rest_throttle(&scope)?;
        let rest = http_api::router(functions.clone(), template.functions(), cors.as_ref(), waits, throttle);
        let services = routes::router(&gateway, limits, permissions.as_ref(), &sources).merge(invoke_api);
        let router = routes.merge(sockets).merge(services).merge(rest);
        in_process.connect(router.clone());
        let router = own_host::only(router, &settings.allowed_hosts);
        let (shutdown, stopping) = oneshot::channel::<()>();
        let server = tokio::spawn(serve(port, router, stopping.map(drop)));
        Ok(Running {
            address,
            stack: settings.stack_name,
            template,
            database,
            sources,
            schedules,
            asynchronous,
            functions,
            faults,
            gateway,
            end_sockets,
            permissions,
            guard,
            in_process,
            lock,
            shutdown,
            server,
        })
    }
}

/// What each function finds around it, by logical id: its variables, and the way to the services of this process.
fn over(
    in_process: &InProcess,
    environments: HashMap<String, HashMap<String, String>>,
) -> HashMap<String, Environment> {
    let environment = |(id, variables)| (id, Environment { variables, transport: in_process.transport() });
    environments.into_iter().map(environment).collect()
}

/// Takes the port, and says which one it is.
async fn listen(address: SocketAddr) -> Result<(Port, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, source };
    let port = Port::bind(address).await.map_err(failed)?;
    let address = port.local_addr().map_err(failed)?;
    Ok((port, address))
}

async fn database(settings: &Settings, access: &Access) -> Result<Database, DatabaseError> {
    match &settings.dynamodb {
        DynamoDb::At(endpoint) => Ok(Database::remote(endpoint, access)),
        DynamoDb::Embedded(folder) => Database::embedded(folder.as_deref(), access).await,
    }
}

/// The functions of the template, as many at once as the settings say.
fn functions(
    template: &Template,
    code: &Code,
    environments: &HashMap<String, Environment>,
    settings: &Settings,
    wakeup: &Wakeup,
    faults: &Arc<Faults>,
) -> Result<Functions, functions::StartError> {
    let functions = Functions::start(template.functions(), code, environments, wakeup.clone(), Arc::clone(faults))?;
    Ok(functions.throttled_at(settings.concurrent_invocations))
}

/// The CORS configuration of the HTTP API, if it has one that browsers accept.
fn cors(template: &Template, scope: &Scope) -> Result<Option<Cors>, StartError> {
    let cors = template.http_api().map(|api| api.cors(scope)).transpose()?.flatten();
    cors.as_ref().map(http_api::check_cors).transpose()?;
    Ok(cors)
}

/// The functions, with what they use counted where policies are enforced.
fn counted(functions: Functions, permissions: Option<&Permissions>) -> Functions {
    match permissions {
        Some(permissions) => functions.counted_by(permissions.tally().clone()),
        None => functions,
    }
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
fn timeouts(settings: &Settings) -> (Limits, Duration) {
    let limits = settings.limits;
    match settings.lambda_endpoint {
        Some(_) => (Limits { integration: functions::COMPILES_WITHIN, ..limits }, functions::COMPILES_WITHIN),
        None => (limits, http_api::INTEGRATION),
    }
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
