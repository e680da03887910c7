//! A SAM template as data: the only declaration of tables, streams, routes and limits (ARCHITECTURE.md, "The template is
//! the only declaration").
//!
//! The short tags of CloudFormation are expanded ([`yaml`]), every resource this emulator imitates is read into a typed
//! struct at once, and values that depend on the deployment stay unresolved until a [`Scope`] is at hand.

mod asynchronous;
mod coverage;
mod error;
mod event_source;
mod function;
mod http_api;
mod policy;
mod resolve;
mod resource;
mod schedule;
mod secret;
mod table;
mod throttle;
mod web_socket_api;
mod yaml;

use std::collections::BTreeMap;

use serde_json::Value;

pub use self::{
    asynchronous::Asynchronous,
    error::TemplateError,
    event_source::{EventSource, OnFailure, StartingPosition},
    function::{Function, Route},
    http_api::{Cors, HttpApi},
    policy::{Boundary, Statement},
    resolve::{Scope, resolve, resolve_string},
    schedule::Schedule,
    table::{Index, KeySchema, Projection, Table, ViewType},
    web_socket_api::{RouteSelection, WebSocketApi},
    yaml::load as document,
};

use self::{
    resolve::Parameter,
    throttle::{Api, Throttles},
};
pub use crate::throttle::{StageThrottle, Throttle};

/// Everything the template declares that a laptop can imitate.
#[derive(Debug)]
pub struct Template {
    parameters: BTreeMap<String, Parameter>,
    conditions: BTreeMap<String, Value>,
    tables: Vec<Table>,
    functions: Vec<Function>,
    web_socket_api: Option<WebSocketApi>,
    http_api: Option<HttpApi>,
    boundaries: Vec<Boundary>,
    secrets: Vec<String>,
    skipped: Vec<(String, String)>,
    throttles: Throttles,
}

impl Template {
    /// Reads a SAM template. The error names the resource and property that is wrong.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let root = yaml::load(text)?;
        let skipped = coverage::check(&root)?;
        let resources = resource::resources(&root)?;
        let globals = root.pointer("/Globals/Function").unwrap_or(&Value::Null);
        let template = Self {
            parameters: resolve::parameters(&root)?,
            conditions: resolve::conditions(&root)?,
            tables: resource::of_type(&resources, table::TYPE, Table::read)?,
            functions: resource::of_type(&resources, function::TYPE, |resource| Function::read(resource, globals))?,
            web_socket_api: single(
                resource::of_type(&resources, web_socket_api::TYPE, |resource| {
                    WebSocketApi::read(resource, &resources)
                })?,
                |api| &api.logical_id,
            )?,
            http_api: single(resource::of_type(&resources, http_api::TYPE, HttpApi::read)?, |api| &api.logical_id)?,
            boundaries: resource::of_type(&resources, policy::BOUNDARY_TYPE, Boundary::read)?,
            secrets: resource::of_type(&resources, secret::TYPE, secret::read)?,
            skipped,
            throttles: Throttles::read(&resources)?,
        };
        template.check_references()?;
        Ok(template)
    }

    /// The DynamoDB tables.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// The Lambda functions, `Globals` merged in.
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// The function whose code is in that folder.
    pub fn function(&self, folder: &str) -> Option<&Function> {
        self.functions.iter().find(|function| function.folder == folder)
    }

    /// What the throttles of all APIs let through in a second.
    pub fn throttled_rate(&self, scope: &Scope) -> Result<f64, TemplateError> {
        self.throttles.rate(scope)
    }

    /// The throttles of the WebSocket API's routes.
    pub fn socket_throttle(&self, scope: &Scope) -> Result<StageThrottle, TemplateError> {
        self.throttles.of(Api::Sockets, scope)
    }

    /// The throttles of the HTTP API's routes.
    pub fn rest_throttle(&self, scope: &Scope) -> Result<StageThrottle, TemplateError> {
        self.throttles.of(Api::Rest, scope)
    }

    /// The event source mappings of all functions.
    pub fn event_sources(&self) -> impl Iterator<Item = &EventSource> {
        self.functions.iter().flat_map(|function| &function.event_sources)
    }

    /// The schedules of all functions that are not disabled.
    pub fn schedules(&self) -> impl Iterator<Item = &Schedule> {
        self.functions.iter().flat_map(|function| &function.schedules).filter(|schedule| schedule.enabled)
    }

    /// Resources nobody here has heard of: logical id and type.
    pub fn skipped(&self) -> &[(String, String)] {
        &self.skipped
    }

    /// The WebSocket API, if there is one.
    pub fn web_socket_api(&self) -> Option<&WebSocketApi> {
        self.web_socket_api.as_ref()
    }

    /// The HTTP API, if there is one.
    pub fn http_api(&self) -> Option<&HttpApi> {
        self.http_api.as_ref()
    }

    /// What no function may go beyond, whatever its own policies say.
    pub fn boundary(&self, logical_id: &str) -> Option<&Boundary> {
        self.boundaries.iter().find(|boundary| boundary.logical_id == logical_id)
    }

    /// Logical ids of the secrets that are generated.
    pub fn secrets(&self) -> &[String] {
        &self.secrets
    }

    /// The names known before anything runs: the parameters' defaults, overridden by `given`.
    pub fn scope(&self, given: &BTreeMap<String, String>) -> Result<Scope, TemplateError> {
        Scope::of(&self.parameters, &self.conditions, given)
    }

    /// What only shows once all resources are read: references from one to another.
    fn check_references(&self) -> Result<(), TemplateError> {
        for source in self.event_sources() {
            let table = self.tables.iter().find(|table| table.logical_id == source.table);
            let problem = match table {
                None => "is not a table of this template",
                Some(table) if table.view_type.is_none() => "has no StreamSpecification; add one to the table",
                Some(_) => continue,
            };
            return Err(TemplateError::property(
                &source.function,
                format!("Events.{}.Properties.Stream", source.event),
                format!("`{}` {problem}", source.table),
            ));
        }
        let lost = |function: &Function| self.boundary(function.boundary.as_ref()?).is_none().then(|| function.clone());
        if let Some(function) = self.functions.iter().find_map(lost) {
            let problem = "is not a managed policy of this template";
            return Err(TemplateError::property(function.logical_id, "PermissionsBoundary", problem));
        }
        self.check_preflights()?;
        let functions: Vec<_> = self.functions.iter().map(|function| &function.logical_id).collect();
        if let Some(api) = &self.web_socket_api
            && let Some((route, function)) = api.routes.iter().find(|(_, function)| !functions.contains(function))
        {
            return Err(TemplateError::property(
                &api.logical_id,
                format!("Routes.{route}.FunctionArn"),
                format!("`{function}` is not a function of this template"),
            ));
        }
        Ok(())
    }

    /// API Gateway asks its routes before it answers a preflight: with one that takes OPTIONS, the CORS configuration is
    /// there and browsers are refused all the same.
    fn check_preflights(&self) -> Result<(), TemplateError> {
        if !self.http_api.as_ref().is_some_and(HttpApi::declares_cors) {
            return Ok(());
        }
        let takes = |route: &&Route| ["ANY", "OPTIONS"].contains(&route.method.as_str()) || route.path == "$default";
        for function in &self.functions {
            let Some(route) = function.routes.iter().find(takes) else { continue };
            let problem = format!(
                "the route `{} {}` takes OPTIONS, so that preflights go to the function and not to the CorsConfiguration; \
                 write one event for each of GET, POST, PATCH, DELETE",
                route.method, route.path
            );
            return Err(TemplateError::property(&function.logical_id, "Events", problem));
        }
        Ok(())
    }
}

/// The only API of its kind. One process has one port, so a second one would have nowhere to listen and is refused.
fn single<T>(apis: Vec<T>, logical_id: fn(&T) -> &str) -> Result<Option<T>, TemplateError> {
    let mut apis = apis.into_iter();
    let first = apis.next();
    match apis.next() {
        None => Ok(first),
        Some(second) => Err(TemplateError::property(
            logical_id(&second),
            "Type",
            "only one API of this type can run on a laptop; remove one",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_of_an_unknown_table_is_named() {
        let text = "
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: ../functions/f
      Events:
        E: { Type: DynamoDB, Properties: { Stream: !GetAtt Nowhere.StreamArn, StartingPosition: LATEST } }
";
        let message = Template::parse(text).unwrap_err().to_string();
        assert!(message.contains("F") && message.contains("Events.E") && message.contains("`Nowhere`"), "{message}");
    }
}
