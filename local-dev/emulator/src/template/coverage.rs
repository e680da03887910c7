//! What of a template the emulator has nothing for: refused where it would carry traffic, named where nobody knows.

use serde_json::Value;

use super::{
    TemplateError, function, http_api, policy,
    resource::{Resource, resources},
    secret, table, web_socket_api,
};

/// Read into structs by the other files of this folder.
const IMITATED: [&str; 7] = [
    table::TYPE,
    function::TYPE,
    web_socket_api::TYPE,
    web_socket_api::ROUTE_RESPONSE,
    http_api::TYPE,
    policy::BOUNDARY_TYPE,
    secret::TYPE,
];

/// Types of resources without meaning on a laptop: nothing of a function's events or answers depends on them. Whole
/// services end in `::`.
const IRRELEVANT: [&str; 21] = [
    "AWS::ApiGateway::Account",
    "AWS::ApiGatewayV2::ApiMapping",
    "AWS::ApiGatewayV2::DomainName",
    "AWS::ApplicationAutoScaling::",
    "AWS::Backup::",
    "AWS::Budgets::",
    "AWS::CertificateManager::",
    "AWS::CloudFormation::",
    "AWS::CloudWatch::",
    "AWS::IAM::",
    "AWS::KMS::",
    "AWS::Lambda::Permission",
    "AWS::Logs::",
    "AWS::Route53::",
    "AWS::S3::Bucket",
    "AWS::SecretsManager::",
    "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::",
    "AWS::SSM::Parameter",
    "AWS::WAFv2::",
];

/// Would have events that nobody sends here, or answers that nobody gets; and what to write instead.
const REFUSED: [(&str, &str); 14] = [
    ("AWS::ApiGateway::", "declare an AWS::Serverless::HttpApi"),
    ("AWS::ApiGatewayV2::Api", "declare an AWS::Serverless::HttpApi or WebSocketApi"),
    ("AWS::ApiGatewayV2::Authorizer", "let the function look at the token"),
    (
        "AWS::ApiGatewayV2::Integration",
        "write an event of type HttpApi at the function, or a route of the WebSocketApi",
    ),
    ("AWS::ApiGatewayV2::Route", "write an event of type HttpApi at the function, or a route of the WebSocketApi"),
    ("AWS::Events::", "write an event of type Schedule at the function"),
    ("AWS::Lambda::EventSourceMapping", "write an event of type DynamoDB at the function"),
    ("AWS::Lambda::Function", "declare an AWS::Serverless::Function"),
    ("AWS::Lambda::Url", "write an event of type HttpApi at the function"),
    ("AWS::SNS::Subscription", "write an event of type DynamoDB at the function"),
    ("AWS::Scheduler::", "write an event of type Schedule at the function"),
    ("AWS::Serverless::Api", "declare an AWS::Serverless::HttpApi"),
    ("AWS::Serverless::SimpleTable", "declare an AWS::DynamoDB::Table"),
    ("AWS::Serverless::StateMachine", "call one function from the other, or over a stream"),
];

/// What an API may declare. Beside what is read: names, logs, throttles and domains, which a laptop has no use for.
const OF_AN_API: [&str; 15] = [
    "AccessLogSettings",
    "CorsConfiguration",
    "DefaultRouteSettings",
    "Description",
    "DisableExecuteApiEndpoint",
    "Domain",
    "FailOnWarnings",
    "IpAddressType",
    "Name",
    "PropagateTags",
    "RouteSelectionExpression",
    "RouteSettings",
    "Routes",
    "StageName",
    "Tags",
];

/// Refuses what cannot be left out, and returns what is: logical id and type of resources nobody here has heard of.
pub(super) fn check(root: &Value) -> Result<Vec<(String, String)>, TemplateError> {
    let resources = resources(root)?;
    for api in ["HttpApi", "WebSocketApi", "Api"] {
        if root.pointer(&format!("/Globals/{api}")).is_some() {
            return Err(TemplateError::property("Globals", api, "is not read here; write it at the API itself"));
        }
    }
    resources.iter().try_for_each(refuse)?;
    let known = |kind: &str| IMITATED.contains(&kind) || is_irrelevant(kind);
    let unknown = resources.iter().filter(|resource| !known(resource.type_name));
    Ok(unknown.map(|resource| (resource.logical_id.to_owned(), resource.type_name.to_owned())).collect())
}

fn refuse(resource: &Resource<'_>) -> Result<(), TemplateError> {
    let kind = resource.type_name;
    let refused = REFUSED.iter().find(|(refused, _)| is(kind, refused) && !is_irrelevant(kind));
    if let Some((_, instead)) = refused {
        return Err(resource.error("Type", format!("`{kind}` is not imitated here; {instead}")));
    }
    match kind {
        http_api::TYPE => {
            let stage = resource.properties.get("StageName").and_then(Value::as_str);
            if stage.is_some_and(|stage| stage != "$default") {
                return Err(resource.error("StageName", "there is only the stage `$default`; remove it"));
            }
            resource.only(resource.properties, "", &OF_AN_API)
        }
        web_socket_api::TYPE => resource.only(resource.properties, "", &OF_AN_API),
        function::TYPE if resource.properties.get("FunctionUrlConfig").is_some() => {
            Err(resource.error("FunctionUrlConfig", "is not imitated here; write an event of type HttpApi"))
        }
        _ => Ok(()),
    }
}

fn is_irrelevant(kind: &str) -> bool {
    IRRELEVANT.iter().any(|irrelevant| is(kind, irrelevant))
}

/// Whether a type is that one, or of that service.
fn is(kind: &str, one: &str) -> bool {
    if one.ends_with("::") { kind.starts_with(one) } else { kind == one }
}

#[cfg(test)]
mod tests {
    use super::super::Template;

    fn with(resource: &str) -> Result<Template, String> {
        Template::parse(&format!("Resources:\n{resource}")).map_err(|error| error.to_string())
    }

    #[test]
    fn what_nobody_knows_is_named_and_what_does_not_matter_is_not() {
        let template = with(
            "  Fleet: { Type: AWS::EC2::Fleet }\n  Alarm: { Type: AWS::CloudWatch::Alarm }\n  Q: { Type: AWS::SQS::Queue }",
        );
        assert_eq!(template.unwrap().skipped(), [("Fleet".to_owned(), "AWS::EC2::Fleet".to_owned())]);
    }

    #[test]
    fn what_would_carry_traffic_is_refused_with_its_name_and_a_way_out() {
        for (kind, instead) in [
            ("AWS::Lambda::EventSourceMapping", "type DynamoDB"),
            ("AWS::Lambda::Function", "AWS::Serverless::Function"),
            ("AWS::ApiGatewayV2::Route", "WebSocketApi"),
            ("AWS::ApiGateway::RestApi", "AWS::Serverless::HttpApi"),
            ("AWS::Serverless::Api", "AWS::Serverless::HttpApi"),
            ("AWS::Events::Rule", "type Schedule"),
        ] {
            let message = with(&format!("  Extra: {{ Type: '{kind}' }}")).unwrap_err();
            assert!(["`Extra`", kind, instead].iter().all(|part| message.contains(part)), "{message}");
        }
    }

    #[test]
    fn authorizers_stage_variables_and_named_stages_of_an_api_are_refused() {
        for (kind, property) in [
            ("HttpApi", "Auth: { DefaultAuthorizer: x }"),
            ("HttpApi", "StageVariables: { a: b }"),
            ("HttpApi", "StageName: prod"),
            ("WebSocketApi", "Auth: { AuthType: AWS_IAM }"),
        ] {
            let message = with(&format!("  Api:\n    Type: AWS::Serverless::{kind}\n    Properties: {{ {property} }}"));
            let message = message.unwrap_err();
            let name = property.split(':').next().unwrap();
            assert!(message.contains("`Api`") && message.contains(name) && message.contains("remove"), "{message}");
        }
        let text = "Globals: { HttpApi: { Auth: {} } }\nResources: {}";
        assert!(Template::parse(text).unwrap_err().to_string().contains("at the API itself"));
    }

    #[test]
    fn events_nobody_sends_here_are_refused() {
        let events = |event: &str| {
            with(&format!(
                "  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: ../functions/f\n      Events: {{ E: {event} }}"
            ))
        };
        for kind in ["SQS", "SNS", "S3", "ScheduleV2", "Api"] {
            let message = events(&format!("{{ Type: {kind} }}")).unwrap_err();
            assert!(
                ["`F`", "Events.E", kind, "DynamoDB, HttpApi"].iter().all(|part| message.contains(part)),
                "{message}"
            );
        }
        for (event, property) in [
            ("{ Type: HttpApi, Properties: { Path: /x, Method: GET, Auth: { Authorizer: NONE } } }", "Auth"),
            (
                "{ Type: HttpApi, Properties: { Path: /x, Method: GET, PayloadFormatVersion: '1.0' } }",
                "PayloadFormatVersion",
            ),
            ("{ Type: Schedule, Properties: { Schedule: rate(1 minute), Later: yes } }", "Later"),
            ("{ Type: Schedule, Properties: { Schedule: rate(1 minute), Input: '{' } }", "Input"),
        ] {
            let message = events(event).unwrap_err();
            assert!(message.contains(&format!("Events.E.Properties.{property}")), "{message}");
        }
    }
}
