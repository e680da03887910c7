//! `AWS::Serverless::Function`, with `Globals.Function` merged in.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Asynchronous, EventSource, Schedule, Statement, TemplateError, policy, resource::Resource};

/// The type name of this resource.
pub(super) const TYPE: &str = "AWS::Serverless::Function";

/// Lambda's own defaults, for a function that states none.
const DEFAULT_TIMEOUT: u64 = 3;
const DEFAULT_MEMORY: u32 = 128;

/// A declared function.
#[derive(Clone, Debug)]
pub struct Function {
    /// The name of the function in the template.
    pub logical_id: String,
    /// Last part of `CodeUri`: the crate under `functions/`.
    pub folder: String,
    /// Seconds until an invocation is given up.
    pub timeout: u64,
    /// Megabytes.
    pub memory_size: u32,
    /// Environment variables, unresolved.
    pub environment: BTreeMap<String, Value>,
    /// What the function may do.
    pub statements: Vec<Statement>,
    /// Logical id of the policy that the function cannot go beyond.
    pub boundary: Option<String>,
    /// What becomes of events that nobody waits for.
    pub asynchronous: Asynchronous,
    /// Streams that the function is fed from.
    pub event_sources: Vec<EventSource>,
    /// Routes of the HTTP API that lead to it.
    pub routes: Vec<Route>,
    /// Schedules it runs by.
    pub schedules: Vec<Schedule>,
}

/// An event of type `HttpApi`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Upper case, or `ANY`.
    pub method: String,
    /// The path with its variables, e.g. `/{proxy+}`; `$default` catches all.
    pub path: String,
}

impl Route {
    /// The route of an event of type `HttpApi`, which may leave out either.
    pub(super) fn of_event(method: Option<String>, path: Option<String>) -> Self {
        Self {
            method: method.map_or_else(|| "ANY".to_owned(), |method| method.to_uppercase()),
            path: path.unwrap_or_else(|| "$default".to_owned()),
        }
    }

    /// `POST /users/{id}`, or `$default`.
    pub fn key(&self) -> String {
        if self.path == "$default" { self.path.clone() } else { format!("{} {}", self.method, self.path) }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    code_uri: String,
    timeout: Option<u64>,
    memory_size: Option<u32>,
    #[serde(default)]
    environment: Environment,
    #[serde(default)]
    policies: Vec<Value>,
    permissions_boundary: Option<Value>,
    event_invoke_config: Option<Value>,
    #[serde(default)]
    events: BTreeMap<String, Event>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Globals {
    timeout: Option<u64>,
    memory_size: Option<u32>,
    permissions_boundary: Option<Value>,
    #[serde(default)]
    environment: Environment,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Environment {
    #[serde(default)]
    variables: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Event {
    pub(super) r#type: String,
    #[serde(default)]
    pub(super) properties: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HttpApiEvent {
    method: Option<String>,
    path: Option<String>,
    payload_format_version: Option<String>,
}

impl Function {
    pub(super) fn read(resource: &Resource<'_>, globals: &Value) -> Result<Self, TemplateError> {
        let properties: Properties = resource.properties()?;
        let globals: Globals = resource.typed(globals, "Globals.Function")?;
        let folder = properties.code_uri.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        if folder.is_empty() || folder == "." {
            return Err(resource.error("CodeUri", "has to end in the function's folder, e.g. `../functions/api`"));
        }
        let mut environment = globals.environment.variables;
        environment.extend(properties.environment.variables);
        let boundary = properties.permissions_boundary.or(globals.permissions_boundary);
        let mut function = Self {
            logical_id: resource.logical_id.to_owned(),
            folder: folder.to_owned(),
            timeout: properties.timeout.or(globals.timeout).unwrap_or(DEFAULT_TIMEOUT),
            memory_size: properties.memory_size.or(globals.memory_size).unwrap_or(DEFAULT_MEMORY),
            environment,
            statements: policy::of_function(resource, &properties.policies)?,
            boundary: policy::boundary(resource, boundary.as_ref())?,
            asynchronous: Asynchronous::read(resource, properties.event_invoke_config.as_ref())?,
            event_sources: Vec::new(),
            routes: Vec::new(),
            schedules: Vec::new(),
        };
        for (name, event) in properties.events {
            function.add_event(resource, &name, &event)?;
        }
        Ok(function)
    }

    fn add_event(&mut self, resource: &Resource<'_>, name: &str, event: &Event) -> Result<(), TemplateError> {
        match event.r#type.as_str() {
            "DynamoDB" => self.event_sources.push(EventSource::read(resource, name, &event.properties)?),
            "HttpApi" => {
                let place = format!("Events.{name}.Properties");
                let known = ["ApiId", "Method", "Path", "PayloadFormatVersion", "RouteSettings"];
                resource.only(&event.properties, &place, &known)?;
                let route: HttpApiEvent = resource.typed(&event.properties, &place)?;
                if route.payload_format_version.is_some_and(|version| version != "2.0") {
                    let place = format!("{place}.PayloadFormatVersion");
                    return Err(resource.error(place, "what is sent are events of version 2.0 only; write \"2.0\""));
                }
                self.routes.push(Route::of_event(route.method, route.path));
            }
            "Schedule" => {
                let schedule = Schedule::read(resource, name, &event.properties)?;
                self.schedules.push(schedule);
            }
            other => {
                let problem = format!(
                    "`{other}` is not imitated here; there are events of the types DynamoDB, HttpApi and Schedule; \
                     use one of them"
                );
                return Err(resource.error(format!("Events.{name}.Type"), problem));
            }
        }
        Ok(())
    }
}
