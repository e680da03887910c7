//! `AWS::Serverless::WebSocketApi`: stage, routes, and which routes answer.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::{
    TemplateError,
    resource::{self, Resource},
};

/// The type name of this resource.
pub(super) const TYPE: &str = "AWS::Serverless::WebSocketApi";
const ROUTE_RESPONSE: &str = "AWS::ApiGatewayV2::RouteResponse";

/// A declared WebSocket API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebSocketApi {
    /// Its name in the template.
    pub(crate) logical_id: String,
    /// First part of the path clients connect to.
    pub(crate) stage: String,
    /// Route key to the logical id of its function.
    pub(crate) routes: BTreeMap<String, String>,
    /// Routes whose function's answer is sent to the client. API Gateway wants both the selection expression on the
    /// route and a route response resource; with one of them alone the answer goes nowhere, so it does here.
    pub(crate) answering: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    #[serde(default = "default_stage")]
    stage_name: String,
    routes: BTreeMap<String, RouteProperties>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RouteProperties {
    function_arn: Value,
    route_response_selection_expression: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RouteResponse {
    api_id: Value,
    route_id: Value,
    route_response_key: String,
}

fn default_stage() -> String {
    "default".to_owned()
}

impl WebSocketApi {
    pub(super) fn read(resource: &Resource<'_>, all: &[Resource<'_>]) -> Result<Self, TemplateError> {
        let properties: Properties = resource.properties()?;
        let responses = resource::of_type(all, ROUTE_RESPONSE, |response| response.properties::<RouteResponse>())?;
        let mut routes = BTreeMap::new();
        let mut answering = BTreeSet::new();
        for (key, route) in properties.routes {
            let function = resource::attribute_of(&route.function_arn, "Arn")
                .ok_or_else(|| resource.error(format!("Routes.{key}.FunctionArn"), "write `!GetAtt <function>.Arn`"))?;
            let has_expression = route.route_response_selection_expression.as_deref() == Some("$default");
            let route_id = generated_route_id(resource.logical_id, &key);
            if has_expression && responses.iter().any(|response| response.is_for(resource.logical_id, &route_id)) {
                answering.insert(key.clone());
            }
            routes.insert(key, function.to_owned());
        }
        Ok(Self { logical_id: resource.logical_id.to_owned(), stage: properties.stage_name, routes, answering })
    }
}

impl RouteResponse {
    fn is_for(&self, api: &str, route_id: &str) -> bool {
        self.route_response_key == "$default"
            && resource::referenced(&self.api_id) == Some(api)
            && resource::referenced(&self.route_id) == Some(route_id)
    }
}

/// The logical id SAM gives a route: `$default` of `WebSocketApi` becomes `WebSocketApiDefaultRoute`.
fn generated_route_id(api: &str, key: &str) -> String {
    let name = key.trim_start_matches('$');
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    format!("{api}{}{}Route", first.map(String::from).unwrap_or_default(), letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::super::Template;

    const TEXT: &str = include_str!("../../../infra/template.yaml");

    #[test]
    fn routes_lead_to_their_functions() {
        let template = Template::parse(TEXT).unwrap();
        let api = template.web_socket_api().unwrap();
        assert_eq!((api.logical_id.as_str(), api.stage.as_str()), ("WebSocketApi", "dev"));
        assert_eq!(api.routes["$connect"], "ConnectFunction");
        assert_eq!(api.routes["$default"], "MessageFunction");
        assert_eq!(api.routes["$disconnect"], "DisconnectFunction");
    }

    #[test]
    fn only_the_default_route_answers() {
        let template = Template::parse(TEXT).unwrap();
        let answering: Vec<_> = template.web_socket_api().unwrap().answering.iter().collect();
        assert_eq!(answering, ["$default"]);
    }

    #[test]
    fn an_answer_needs_the_expression_and_the_route_response() {
        for missing in ["RouteResponseSelectionExpression: $default", "RouteResponseKey: $default"] {
            let other = missing.replace("$default", "none");
            let template = Template::parse(&TEXT.replace(missing, &other)).unwrap();
            assert!(template.web_socket_api().unwrap().answering.is_empty(), "without {missing}");
        }
    }
}
