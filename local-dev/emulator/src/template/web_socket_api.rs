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
/// The type name of what lets a route answer.
pub(super) const ROUTE_RESPONSE: &str = "AWS::ApiGatewayV2::RouteResponse";

/// A declared WebSocket API.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct WebSocketApi {
    /// The name of the API in the template.
    pub logical_id: String,
    /// First part of the path clients connect to.
    pub stage: String,
    /// How a message finds its route.
    pub selection: RouteSelection,
    /// Route key to the logical id of its function.
    pub routes: BTreeMap<String, String>,
    /// Two-way routes, whose function's answer is sent to the client: those with a route response resource. AWS's
    /// documentation asks for the selection expression on the route as well; by what can be seen of AWS the resource alone
    /// makes a route two-way, and a route that is meant to be one-way must be so by that, too.
    pub answering: BTreeSet<String>,
}

/// The route selection expression.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum RouteSelection {
    /// A literal, `\$default`: every message takes that route.
    #[default]
    Default,
    /// `$request.body.action`: the value at this JSON pointer of the message, `/action`.
    Body(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    route_selection_expression: String,
    #[serde(default = "default_stage")]
    stage_name: String,
    routes: BTreeMap<String, RouteProperties>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RouteProperties {
    function_arn: Value,
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
        let selection = RouteSelection::read(&properties.route_selection_expression)
            .map_err(|problem| resource.error("RouteSelectionExpression", problem))?;
        let responses = resource::of_type(all, ROUTE_RESPONSE, |response| response.properties::<RouteResponse>())?;
        let mut routes = BTreeMap::new();
        let mut answering = BTreeSet::new();
        for (key, route) in properties.routes {
            let place = format!("Routes.{key}");
            if let Some(declared) = resource.properties.get("Routes").and_then(|routes| routes.get(&key)) {
                resource.only(
                    declared,
                    &place,
                    &["FunctionArn", "OperationName", "RouteResponseSelectionExpression"],
                )?;
            }
            if let Err(problem) = selection.reaches(&key) {
                return Err(resource.error(place, problem));
            }
            let function = resource::attribute_of(&route.function_arn, "Arn")
                .ok_or_else(|| resource.error(format!("Routes.{key}.FunctionArn"), "write `!GetAtt <function>.Arn`"))?;
            let route_id = generated_route_id(resource.logical_id, &key);
            if responses.iter().any(|response| response.is_for(resource.logical_id, &route_id)) {
                answering.insert(key.clone());
            }
            routes.insert(key, function.to_owned());
        }
        Ok(Self {
            logical_id: resource.logical_id.to_owned(),
            stage: properties.stage_name,
            selection,
            routes,
            answering,
        })
    }

    /// The key of the route a message takes, and its function; `None` if there is no such route and no `$default`.
    pub fn route(&self, message: &str) -> Option<(&str, &str)> {
        let selected = match &self.selection {
            RouteSelection::Default => None,
            RouteSelection::Body(pointer) => selected(message, pointer).filter(|key| !key.starts_with('$')),
        };
        let route = selected.and_then(|key| self.routes.get_key_value(&key));
        let (key, function) = route.or_else(|| self.routes.get_key_value("$default"))?;
        Some((key, function))
    }
}

/// The value a message has at that place. What is no JSON, or no value there, selects nothing.
fn selected(message: &str, pointer: &str) -> Option<String> {
    match serde_json::from_str::<Value>(message).ok()?.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

impl RouteSelection {
    fn read(expression: &str) -> Result<Self, String> {
        let inner = expression.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let path = inner.or_else(|| expression.strip_prefix('$')).and_then(|path| path.strip_prefix("request.body."));
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        match path {
            _ if expression == r"\$default" => Ok(Self::Default),
            Some(path) if path.split('.').all(is_name) => Ok(Self::Body(format!("/{}", path.replace('.', "/")))),
            _ => Err(format!(
                r"`{expression}` is not imitated here; write `$request.body.action`, or `\$default` for one route"
            )),
        }
    }

    /// Whether messages can come to that route.
    fn reaches(&self, key: &str) -> Result<(), &'static str> {
        let special = ["$connect", "$disconnect", "$default"].contains(&key);
        match self {
            _ if special => Ok(()),
            _ if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                Err("is no route key of SAM; write letters and digits, or $connect, $disconnect, $default")
            }
            Self::Default => Err("is never reached, since RouteSelectionExpression is a literal; \
                 write `$request.body.action` there, or remove the route"),
            Self::Body(_) => Ok(()),
        }
    }
}

impl RouteResponse {
    fn is_for(&self, api: &str, route_id: &str) -> bool {
        self.route_response_key == "$default"
            && resource::referenced(&self.api_id) == Some(api)
            && resource::referenced(&self.route_id) == Some(route_id)
    }
}

/// The logical id SAM gives a route: `$default` of `WebSocketApi` becomes `WebSocketApiDefaultRoute`, and `sendMessage`
/// becomes `WebSocketApiSendmessageRoute`.
fn generated_route_id(api: &str, key: &str) -> String {
    let name = key.trim_start_matches('$').to_lowercase();
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    format!("{api}{}{}Route", first.map(String::from).unwrap_or_default(), letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::{super::Template, *};

    const TEXT: &str = r"
Resources:
  WebSocketApi:
    Type: AWS::Serverless::WebSocketApi
    Properties:
      StageName: dev
      RouteSelectionExpression: \$default
      Routes:
        $connect: { FunctionArn: !GetAtt ConnectFunction.Arn }
        $default: { FunctionArn: !GetAtt MessageFunction.Arn }
  ConnectFunction: { Type: AWS::Serverless::Function, Properties: { CodeUri: ../functions/connect } }
  MessageFunction: { Type: AWS::Serverless::Function, Properties: { CodeUri: ../functions/message } }
";

    #[test]
    fn a_route_response_alone_makes_a_route_two_way_and_an_expression_alone_does_not() {
        let response = "
  DefaultRouteResponse:
    Type: AWS::ApiGatewayV2::RouteResponse
    Properties: { ApiId: !Ref WebSocketApi, RouteId: !Ref WebSocketApiDefaultRoute, RouteResponseKey: $default }
";
        let template = Template::parse(&TEXT.replace("\nResources:\n", &format!("\nResources:{response}"))).unwrap();
        let answering: Vec<_> = template.web_socket_api().unwrap().answering.iter().collect();
        assert_eq!(answering, ["$default"]);

        let route = "{ FunctionArn: !GetAtt MessageFunction.Arn";
        let text = TEXT.replace(route, &format!("{route}, RouteResponseSelectionExpression: $default"));
        assert!(text != TEXT && Template::parse(&text).unwrap().web_socket_api().unwrap().answering.is_empty());
    }

    /// An API with one route more, which leads to the function of `$default`.
    fn with_route(key: &str, expression: &str) -> Result<WebSocketApi, String> {
        let default = "        $default: { FunctionArn";
        let extra = format!("        {key}: {{ FunctionArn: !GetAtt MessageFunction.Arn }}\n{default}");
        let text = TEXT.replace(default, &extra).replace(r"RouteSelectionExpression: \$default", expression);
        let template = Template::parse(&text).map_err(|error| error.to_string())?;
        Ok(template.web_socket_api().unwrap().clone())
    }

    #[test]
    fn a_custom_route_takes_the_messages_that_select_it() {
        for expression in ["$request.body.action", "${request.body.action}"] {
            let expression = format!("RouteSelectionExpression: {expression}");
            let api = with_route("sendMessage", &expression).unwrap();
            let key = |message: &str| api.route(message).map(|(key, _)| key.to_owned()).unwrap();
            assert_eq!(key(r#"{"action":"sendMessage"}"#), "sendMessage");
            for other in [r#"{"action":"other"}"#, r#"{"action":"$connect"}"#, r#"{"action":{}}"#, "[]", "40/users,"] {
                assert_eq!(key(other), "$default", "{other}");
            }
        }
        let nested = with_route("7", "RouteSelectionExpression: $request.body.a.b").unwrap();
        assert_eq!(nested.route(r#"{"a":{"b":7}}"#).unwrap().0, "7");
    }

    #[test]
    fn a_route_no_message_can_take_is_refused() {
        let literal = r"RouteSelectionExpression: \$default";
        let message = with_route("sendMessage", literal).unwrap_err();
        assert!(message.contains("Routes.sendMessage") && message.contains("never reached"), "{message}");
        let message = with_route("send-message", "RouteSelectionExpression: $request.body.action").unwrap_err();
        assert!(message.contains("Routes.send-message") && message.contains("letters and digits"), "{message}");
    }

    #[test]
    fn an_expression_nobody_reads_here_is_refused() {
        for expression in ["$request.header.x", "$request.body", "$context.routeKey", "action"] {
            let message = with_route("x", &format!("RouteSelectionExpression: {expression}")).unwrap_err();
            assert!(message.contains("RouteSelectionExpression") && message.contains(expression), "{message}");
        }
    }

    #[test]
    fn routes_have_the_logical_ids_of_sam() {
        assert_eq!(generated_route_id("Api", "$default"), "ApiDefaultRoute");
        assert_eq!(generated_route_id("Api", "sendMessage"), "ApiSendmessageRoute");
    }
}
