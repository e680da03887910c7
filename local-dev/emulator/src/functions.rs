//! Lambda: functions are run in this process, or behind another Lambda Invoke API. An event goes in as JSON and an answer
//! comes out as JSON.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::{FutureExt as _, future::BoxFuture};
use lambda_runtime::Context;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::sync::Semaphore;
use tracing::Instrument as _;
use transport::Transport;
use uuid::Uuid;

use crate::{
    dynamodb::causes,
    event_source::Wakeup,
    faults::Faults,
    tally::{Spent, Tally},
    template::Function,
};

/// How long a function behind a Lambda Invoke API may take to be built.
pub(crate) const COMPILES_WITHIN: Duration = Duration::from_secs(15 * 60);

/// An invocation that gave no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum FunctionError {
    /// The function returned an error or panicked.
    #[error("{function} failed: {message}")]
    Failed {
        /// Logical id.
        function: String,
        /// The type of its error.
        kind: String,
        /// What the error said.
        message: String,
    },
    /// As many invocations as the account may have at once were under way.
    #[error("{function} was throttled: there are as many invocations at once as there may be")]
    Throttled {
        /// Logical id.
        function: String,
    },
    /// The function ran longer than the template allows.
    #[error("{function} timed out after {limit:?}")]
    TimedOut {
        /// Logical id.
        function: String,
        /// The timeout of the function.
        limit: Duration,
    },
}

/// Why a declared function cannot run here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The template names code that this program does not contain.
    #[error(
        "function `{function}` has its code in `{folder}`, which this program does not contain; known are: {known}"
    )]
    Unknown {
        /// Logical id.
        function: String,
        /// Last part of its `CodeUri`.
        folder: String,
        /// The folders whose code is there.
        known: String,
    },
    /// A fault names a function that is not there.
    #[error("--fault: there is no function `{name}`; there are: {known}")]
    UnknownInFault {
        /// The name as given.
        name: String,
        /// Last parts of their `CodeUri`.
        known: String,
    },
    /// The function refused its configuration.
    #[error("function `{function}` does not start: {source}")]
    Refused {
        /// Logical id.
        function: String,
        /// The function's own words.
        source: BoxError,
    },
}

/// Any error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a function finds around it. It may be secret, and so is not printed.
#[derive(Clone, Default)]
pub struct Environment {
    /// Environment variables of the function.
    pub variables: HashMap<String, String>,
    /// How its requests get to the services of this process.
    pub transport: Transport,
}

/// What a function says instead of an answer, as the Runtime API is told it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// The type of the error.
    pub error_type: String,
    /// What the error says.
    pub error_message: String,
}

impl Failure {
    /// An error of this type.
    #[must_use]
    pub fn of<T: ?Sized>(error_message: impl Into<String>) -> Self {
        Self { error_type: std::any::type_name::<T>().to_owned(), error_message: error_message.into() }
    }
}

/// The code of a function, ready to be called: an event and its context in, an answer or a failure out.
pub type Handler = Arc<dyn Fn(Value, Context) -> BoxFuture<'static, Result<Value, Failure>> + Send + Sync>;

/// A closure as the code of a function.
pub fn handler<R>(closure: impl Fn(Value, Context) -> R + Send + Sync + 'static) -> Handler
where
    R: Future<Output = Result<Value, Failure>> + Send + 'static,
{
    Arc::new(move |event, context| closure(event, context).boxed())
}

/// Makes the code of a function of its environment.
pub(crate) type Start = Box<dyn Fn(Environment) -> Result<Handler, BoxError> + Send + Sync>;

/// Where the code of functions comes from.
pub(crate) enum Code {
    /// The code in this program, by the last part of the functions' `CodeUri`.
    Here(BTreeMap<String, Start>),
    /// The Lambda Invoke API at this URL, such as that of `cargo lambda watch`.
    Behind(String),
}

impl Code {
    /// The code of one function, or several, that are not told their environment.
    #[cfg(test)]
    pub(crate) fn of(handlers: impl IntoIterator<Item = (&'static str, Handler)>) -> Self {
        let start = |handler: Handler| -> Start { Box::new(move |_| Ok(Arc::clone(&handler))) };
        Self::Here(handlers.into_iter().map(|(folder, handler)| (folder.to_owned(), start(handler))).collect())
    }
}

/// Calls of such functions at the same time. Each has a connection, and so an open file; others wait for one.
const CALLS_AT_ONCE: usize = 128;

/// A function behind a Lambda Invoke API, such as that of `cargo lambda watch`.
#[derive(Clone)]
struct Remote {
    client: reqwest::Client,
    /// The permits for calls, one set for all functions.
    calls: Arc<Semaphore>,
    url: String,
}

impl Remote {
    fn handler(self) -> Handler {
        Arc::new(move |event, _context| {
            let remote = self.clone();
            async move { remote.call(&event).await }.boxed()
        })
    }

    async fn call(&self, event: &Value) -> Result<Value, Failure> {
        let unreachable = |error: reqwest::Error| {
            Failure::of::<reqwest::Error>(format!("{} cannot be reached: {}", self.url, causes(&error)))
        };
        let _turn = self.calls.acquire().await;
        let response = self.client.post(&self.url).json(event).send().await.map_err(unreachable)?;
        // AWS answers 200 and says so in a header, cargo lambda answers 500.
        let failed = !response.status().is_success() || response.headers().contains_key("x-amz-function-error");
        let body = response.text().await.map_err(unreachable)?;
        if failed {
            return Err(serde_json::from_str(&body).unwrap_or_else(|_| Failure::of::<reqwest::Response>(body)));
        }
        serde_json::from_str(&body).map_err(|error| Failure::of::<serde_json::Error>(format!("{error}: {body}")))
    }
}

/// A function as deployed.
struct Deployed {
    handler: Handler,
    /// Last part of its `CodeUri`, by which faults call it.
    folder: String,
    timeout: Duration,
    config: Arc<lambda_runtime::Config>,
}

/// All functions of the template, by logical id.
#[derive(Clone)]
pub(crate) struct Functions {
    deployed: Arc<HashMap<String, Deployed>>,
    turns: Arc<Semaphore>,
    concurrency: Arc<Semaphore>,
    wakeup: Wakeup,
    faults: Arc<Faults>,
    tally: Tally,
}

impl Functions {
    /// Starts every function with its environment.
    pub(crate) fn start(
        functions: &[Function],
        code: &Code,
        environments: &HashMap<String, Environment>,
        wakeup: Wakeup,
        faults: Arc<Faults>,
    ) -> Result<Self, StartError> {
        let folders: Vec<_> = functions.iter().map(|function| function.folder.as_str()).collect();
        if let Some(name) = faults.functions().into_iter().find(|name| !folders.contains(&name.as_str())) {
            return Err(StartError::UnknownInFault { name, known: folders.join(", ") });
        }
        let (client, calls) = (reqwest::Client::new(), Arc::new(Semaphore::new(CALLS_AT_ONCE)));
        let mut deployed = HashMap::new();
        for Function { logical_id, folder, timeout, memory_size, .. } in functions {
            let (handler, timeout) = match code {
                Code::Behind(endpoint) => {
                    let url = format!("{}/2015-03-31/functions/{folder}/invocations", endpoint.trim_end_matches('/'));
                    // `cargo lambda watch` compiles a function when it is called for the first time.
                    (Remote { client: client.clone(), calls: Arc::clone(&calls), url }.handler(), COMPILES_WITHIN)
                }
                Code::Here(code) => {
                    let start = code.get(folder).ok_or_else(|| StartError::Unknown {
                        function: logical_id.clone(),
                        folder: folder.clone(),
                        known: code.keys().cloned().collect::<Vec<_>>().join(", "),
                    })?;
                    let environment = environments.get(logical_id).cloned().unwrap_or_default();
                    let handler = start(environment)
                        .map_err(|source| StartError::Refused { function: logical_id.clone(), source })?;
                    (handler, Duration::from_secs(*timeout))
                }
            };
            let config = lambda_runtime::Config {
                function_name: logical_id.clone(),
                memory: i32::try_from(*memory_size).unwrap_or(i32::MAX),
                version: "$LATEST".to_owned(),
                ..Default::default()
            };
            let function = Deployed { handler, folder: folder.clone(), timeout, config: config.into() };
            deployed.insert(logical_id.clone(), function);
        }
        let (turns, concurrency) = (unlimited(), unlimited());
        Ok(Self { deployed: Arc::new(deployed), turns, concurrency, wakeup, faults, tally: Tally::default() })
    }

    /// Counts invocations here as well.
    pub(crate) fn counted_by(self, tally: Tally) -> Self {
        Self { tally, ..self }
    }

    /// Refuses an API's invocation while so many are under way, as Lambda does.
    pub(crate) fn throttled_at(self, invocations: usize) -> Self {
        Self { concurrency: Arc::new(Semaphore::new(invocations.min(Semaphore::MAX_PERMITS))), ..self }
    }

    /// Limits the invocations for the APIs to so many at once; the others wait for their turn.
    pub(crate) fn at_most(self, invocations: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(invocations)), ..self }
    }

    /// Invokes a function for an API, in its turn. It may have written something, so the event sources look at once.
    pub(crate) async fn invoke<T: DeserializeOwned>(&self, function: &str, event: Value) -> Result<T, FunctionError> {
        let Ok(_under_way) = self.concurrency.try_acquire() else {
            return Err(logged(FunctionError::Throttled { function: function.to_owned() }));
        };
        // Only a closed semaphore gives no turn, and this one never is.
        let turn = self.turns.acquire().await.ok();
        let answer = self.run(function, event).await;
        drop(turn);
        self.wakeup.wake();
        serde_json::from_value(answer?).map_err(|error| {
            let Failure { error_type: kind, error_message } = Failure::of::<T>(error.to_string());
            let message = format!("its answer is not what the API expects: {error_message}");
            logged(FunctionError::Failed { function: function.to_owned(), kind, message })
        })
    }

    /// Invokes a function by Lambda's Invoke API, if there is room for one more. It may have written something.
    pub(crate) async fn invoke_as(&self, id: Uuid, function: &str, event: Value) -> Result<Value, FunctionError> {
        let Ok(_under_way) = self.concurrency.try_acquire() else {
            return Err(logged(FunctionError::Throttled { function: function.to_owned() }));
        };
        let answer = self.run_as(id, function, event).await;
        self.wakeup.wake();
        answer
    }

    /// Invokes a function. That it failed is logged here, and nowhere else.
    pub(crate) async fn run(&self, function: &str, event: Value) -> Result<Value, FunctionError> {
        self.run_as(Uuid::new_v4(), function, event).await
    }

    /// Invokes a function under this request id, which all attempts at an asynchronous invocation share.
    async fn run_as(&self, id: Uuid, function: &str, event: Value) -> Result<Value, FunctionError> {
        let Some(deployed) = self.deployed.get(function) else {
            let (kind, message) = ("ResourceNotFound".to_owned(), "no such function".to_owned());
            return Err(logged(FunctionError::Failed { function: function.to_owned(), kind, message }));
        };
        self.tally.add(function, Spent::invocation());
        let timeout = self.faults.time_of(&deployed.folder).unwrap_or(deployed.timeout);
        let context = context(id, &deployed.config, timeout);
        // As the Lambda runtime does it; of level `error`, so that it is around lines of every level.
        let span = tracing::error_span!("invocation", function = deployed.folder, id = context.request_id);
        let answer = self.attempt(deployed, event, context, timeout, span.clone()).await;
        answer.map_err(|error| span.in_scope(|| logged(error)))
    }

    async fn attempt(
        &self,
        deployed: &Deployed,
        event: Value,
        context: Context,
        timeout: Duration,
        span: tracing::Span,
    ) -> Result<Value, FunctionError> {
        let Deployed { handler, folder, config, .. } = deployed;
        let (handler, function) = (Arc::clone(handler), config.function_name.clone());
        let (slow, fails) = (self.faults.slows(folder), self.faults.fails(folder));
        let invocation = async move {
            tokio::time::sleep(slow.unwrap_or_default()).await;
            if fails {
                return Err(Failure::of::<Faults>("failed on purpose (--fault)".to_owned()));
            }
            handler(event, context).await
        };
        // A task of its own, so that a panic ends the invocation and nothing else.
        let mut task = tokio::spawn(invocation.instrument(span));
        match tokio::time::timeout(timeout, &mut task).await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(Failure { error_type, error_message }))) => {
                Err(FunctionError::Failed { function, kind: error_type, message: error_message })
            }
            Ok(Err(panic)) => {
                let Failure { error_type: kind, error_message } = Failure::of::<str>(panic.to_string());
                Err(FunctionError::Failed { function, kind, message: format!("Lambda panicked: {error_message}") })
            }
            Err(_elapsed) => {
                task.abort();
                Err(FunctionError::TimedOut { function, limit: timeout })
            }
        }
    }
}

fn unlimited() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(Semaphore::MAX_PERMITS))
}

fn logged(error: FunctionError) -> FunctionError {
    tracing::error!(%error, "the invocation failed");
    error
}

fn context(id: Uuid, config: &Arc<lambda_runtime::Config>, timeout: Duration) -> Context {
    let deadline = SystemTime::now() + timeout;
    let deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut context = Context::default();
    context.request_id = id.to_string();
    context.deadline = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
    context.invoked_function_arn = arn(&config.function_name);
    context.env_config = Arc::clone(config);
    context
}

/// The ARN of a function by that name.
pub(crate) fn arn(name: &str) -> String {
    format!("arn:aws:lambda:{}:{}:function:{name}", crate::REGION, crate::event::ACCOUNT)
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use tokio::time::Instant;

    use super::*;
    use crate::{faults::Fault, template::Template};

    const FUNCTION: &str = "
Resources:
  F: { Type: AWS::Serverless::Function, Properties: { CodeUri: ../functions/f } }
";

    /// A function that takes a second.
    fn functions() -> Functions {
        let takes_a_second = handler(|event, _| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(event)
        });
        let (template, code) = (Template::parse(FUNCTION).unwrap(), Code::of([("f", takes_a_second)]));
        let environments = HashMap::new();
        Functions::start(template.functions(), &code, &environments, Wakeup::default(), Arc::default()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn invocations_beyond_what_the_database_manages_wait_for_their_turn() {
        for (at_once, seconds) in [(1, 6), (2, 3), (6, 1)] {
            let (functions, started) = (functions().at_most(at_once), Instant::now());
            join_all((0..6).map(|_| functions.invoke::<Value>("F", Value::Null))).await;
            assert_eq!(started.elapsed().as_secs(), seconds, "{at_once} at once");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn invocations_beyond_what_the_account_may_have_at_once_are_throttled_and_wait_for_nothing() {
        let functions = functions().throttled_at(2);
        let outcomes = join_all((0..6).map(|_| functions.invoke::<Value>("F", Value::Null))).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 2);
        let throttled =
            |outcome: &&Result<Value, FunctionError>| matches!(outcome, Err(FunctionError::Throttled { .. }));
        assert_eq!(outcomes.iter().filter(throttled).count(), 4);
        assert!(functions.invoke::<Value>("F", Value::Null).await.is_ok(), "when they are over there is room again");
    }

    #[test]
    fn a_fault_of_a_function_that_is_not_there_is_refused_with_those_that_are() {
        let template = Template::parse(FUNCTION).unwrap();
        let faults = Arc::new(Faults::default());
        faults.set(["fail=g:2".parse::<Fault>().unwrap()]);
        let started = Functions::start(template.functions(), &Code::of([]), &HashMap::new(), Wakeup::default(), faults);
        let message = started.err().unwrap().to_string();
        assert!(message.contains("`g`") && message.contains("there are: f"), "{message}");
    }

    #[test]
    fn a_function_without_code_is_refused_with_those_that_have_some() {
        let (template, code) =
            (Template::parse(FUNCTION).unwrap(), Code::of([("g", handler(async |_, _| Ok(Value::Null)))]));
        let started = Functions::start(template.functions(), &code, &HashMap::new(), Wakeup::default(), Arc::default());
        let message = started.err().unwrap().to_string();
        assert!(message.contains("`F`") && message.contains("`f`") && message.contains("known are: g"), "{message}");
    }
}
