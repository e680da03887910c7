//! What the template of this product declares, as the emulator reads it.

use std::collections::BTreeMap;

use emulator::{
    Call, needs, out_of_bounds,
    template::{
        Asynchronous, Function, KeySchema, OnFailure, Route, Schedule, StageThrottle, StartingPosition, Template,
        Throttle, ViewType, document, resolve_string,
    },
};
use serde_json::{Value, json};

use crate::TEMPLATE;

fn template() -> Template {
    Template::parse(TEMPLATE).expect("infra/template.yaml")
}

fn function(folder: &str) -> Function {
    template().function(folder).unwrap().clone()
}

/// The names of the functions whose declaration has this somewhere.
fn functions_with(has: impl Fn(&Value) -> bool) -> Vec<String> {
    let root = document(TEMPLATE).unwrap();
    let resources = root["Resources"].as_object().unwrap().iter();
    let functions = resources.filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function" && has(resource));
    functions.map(|(name, _)| name.clone()).collect()
}

#[test]
fn the_real_template_declares_what_the_emulator_needs() {
    let template = template();
    let tables: Vec<_> = template.tables().iter().map(|table| table.logical_id.as_str()).collect();
    assert_eq!(tables, ["UsersTable", "ConnectionsTable"]);
    assert!(template.functions().iter().any(|function| function.folder == "broadcast"));
    assert!(template.web_socket_api().is_some() && template.http_api().is_some());
}

#[test]
fn secrets_are_where_they_are_needed_and_nowhere_else() {
    let know = |parameter: &str| functions_with(|function| function.to_string().contains(parameter));
    assert_eq!(know("TokenSecret"), ["ApiFunction", "MessageFunction"]);
    assert_eq!(know("AdminPasswordHash"), ["ApiFunction"]);
    let mut codes = know("CodeSecret");
    codes.sort();
    assert_eq!(codes, ["ApiFunction", "NotifyFunction"]);
    let root = document(TEMPLATE).unwrap();
    assert_eq!(root["Parameters"]["AdminPasswordHash"]["NoEcho"], Value::Bool(true));
    for secret in ["TokenSecret", "CodeSecret"] {
        assert_eq!(root["Resources"][secret]["Type"], "AWS::SecretsManager::Secret", "{secret} is generated");
    }
    for secret in ["TokenSecret", "CodeSecret", "AdminPasswordHash"] {
        assert!(!root["Globals"].to_string().contains(secret), "{secret} is everywhere");
    }
    // An output may say where a secret is kept, not what it is.
    let outputs = root["Outputs"].to_string();
    assert!(!outputs.contains("{{resolve:") && !outputs.contains("AdminPasswordHash"), "{outputs}");
}

#[test]
fn only_functions_that_talk_to_sockets_may_do_so() {
    let may = |call: &str| functions_with(|function| function["Properties"]["Policies"].to_string().contains(call));
    let posts = ["HandshakeFunction", "HeartbeatFunction", "MessageFunction", "BroadcastFunction"];
    let closes = ["HeartbeatFunction", "MessageFunction", "BroadcastFunction"];
    assert_eq!(may("${WebSocketApi}/dev/POST/@connections/*"), posts);
    assert_eq!(may("${WebSocketApi}/dev/DELETE/@connections/*"), closes);
    let either = |name: &String| posts.contains(&name.as_str()) || closes.contains(&name.as_str());
    assert!(may("ManageConnections").iter().all(either));
}

/// What grows with the number of sockets is read by its key or not at all.
#[test]
fn no_function_may_scan() {
    assert_eq!(functions_with(|function| function.to_string().contains("dynamodb:Scan")), Vec::<String>::new());
}

#[test]
fn of_the_real_template_nothing_is_skipped() {
    assert_eq!(template().skipped(), []);
}

#[test]
fn a_parameter_nobody_declared_is_refused() {
    let template = template();
    let given = BTreeMap::from([("Orgins".to_owned(), String::new())]);
    let message = template.scope(&given).unwrap_err().to_string();
    assert!(message.contains("`Orgins`") && message.contains("Origins"), "{message}");
}

#[test]
fn the_environment_of_every_function_can_be_resolved() {
    let template = template();
    let given = [("AdminEmail", "x"), ("AdminPasswordHash", "$argon2id$x"), ("SenderEmail", "x")];
    let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut scope = template.scope(&BTreeMap::from(given)).unwrap();
    for name in [
        "UsersTable",
        "ConnectionsTable",
        "HandshakeFunction",
        "WebSocketApi",
        "AWS::Region",
        "AWS::URLSuffix",
        "AWS::StackName",
    ] {
        scope.set(name, name.to_lowercase());
    }
    for secret in template.secrets() {
        scope.set(secret, secret.clone());
        scope.set_secret(secret, "x");
    }
    for function in template.functions() {
        for (name, value) in &function.environment {
            resolve_string(value, &scope).unwrap_or_else(|error| panic!("{} {name}: {error}", function.logical_id));
        }
    }
}

#[test]
fn every_rest_route_leads_to_the_api_function() {
    let template = template();
    let with_routes = template.functions().iter().filter(|function| !function.routes.is_empty());
    assert_eq!(with_routes.map(|function| function.folder.as_str()).collect::<Vec<_>>(), ["api"]);
}

#[test]
fn cors_origins_come_from_the_parameter() {
    let template = template();
    let given = BTreeMap::from([("Origins".to_owned(), "http://a.test,http://b.test".to_owned())]);
    let scope = template.scope(&given).unwrap();
    let cors = template.http_api().unwrap().cors(&scope).unwrap().unwrap();
    assert_eq!(cors.allow_origins, ["http://a.test", "http://b.test"]);
    assert_eq!(cors.allow_methods, ["GET", "POST", "PATCH", "DELETE"]);
    assert_eq!(
        cors.allow_headers,
        ["authorization", "content-type", "idempotency-key", "traceparent", "tracestate", "baggage"]
    );
    assert_eq!(
        cors.expose_headers,
        ["idempotency-replayed", "link", "retry-after", "www-authenticate", "x-request-id"]
    );
    assert_eq!(cors.max_age, Some(600));
}

#[test]
fn without_origins_there_is_no_cors() {
    let template = template();
    let scope = template.scope(&BTreeMap::from([("Origins".to_owned(), String::new())])).unwrap();
    assert_eq!(template.http_api().unwrap().cors(&scope).unwrap(), None);
}

#[test]
fn the_handshake_is_tried_once_and_parked_and_the_heartbeat_is_not_repeated() {
    let template = template();
    let handshake = Asynchronous {
        maximum_retry_attempts: 0,
        maximum_event_age: 60,
        on_failure: Some("HandshakeDeadLetters".to_owned()),
    };
    assert_eq!(template.function("handshake").unwrap().asynchronous, handshake);
    let heartbeat = Asynchronous { on_failure: None, ..handshake };
    assert_eq!(template.function("heartbeat").unwrap().asynchronous, heartbeat);
}

#[test]
fn the_users_table_is_read_with_stream_and_expiry() {
    let template = template();
    let users = template.tables().iter().find(|table| table.logical_id == "UsersTable").unwrap();
    assert_eq!(users.key_schema, KeySchema { partition: "pk".into(), sort: Some("sk".into()) });
    assert_eq!(users.view_type, Some(ViewType::NewAndOldImages));
    assert_eq!(users.ttl_attribute.as_deref(), Some("expiresAt"));
}

#[test]
fn no_table_has_an_index() {
    for table in template().tables() {
        assert_eq!(table.indexes, [], "{}: an index is behind, and written with each change", table.logical_id);
    }
}

#[test]
fn both_apis_are_throttled_and_leave_room_for_callbacks() {
    let template = template();
    let scope = template.scope(&BTreeMap::new()).unwrap();
    assert_eq!(template.throttled_rate(&scope).unwrap(), 3000.0);
}

#[test]
fn sockets_have_a_rate_and_a_burst() {
    let template = template();
    let throttle = |given: &[(&str, &str)]| {
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        template.socket_throttle(&template.scope(&given).unwrap()).unwrap()
    };
    let expected = StageThrottle { default: Some(Throttle { rate: 2000.0, burst: 1000.0 }), ..Default::default() };
    assert_eq!(throttle(&[]), expected);
    assert_eq!(throttle(&[("SocketMessagesPerSecond", "7")]).default.unwrap().rate, 7.0);
}

#[test]
fn rest_has_a_rate_and_a_burst_and_all_that_hashes_a_password_has_its_own() {
    let template = template();
    let given = [("RestRequestsPerSecond", "900"), ("PasswordRequestsPerSecond", "40")];
    let given = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let throttle = template.rest_throttle(&template.scope(&given).unwrap()).unwrap();
    assert_eq!(throttle.default, Some(Throttle { rate: 900.0, burst: 500.0 }));
    let own = ["auth/admin/login", "auth/user/login", "users/register", "users/{id}/delete"];
    let own = own.map(|path| (format!("POST /api/v1/{path}"), Throttle { rate: 40.0, burst: 50.0 }));
    assert_eq!(throttle.routes, own.into());
}

#[test]
fn the_broadcast_mapping_is_read_as_declared() {
    let template = template();
    let source = template.event_sources().find(|source| source.function == "BroadcastFunction").unwrap();
    assert_eq!((source.table.as_str(), source.event.as_str()), ("UsersTable", "UserChanges"));
    assert_eq!(source.starting_position, StartingPosition::TrimHorizon);
    assert_eq!((source.batch_size, source.parallelization_factor), (100, 10));
    assert_eq!(source.maximum_retry_attempts, None, "age is the only budget");
    assert_eq!(source.maximum_record_age_in_seconds, Some(600));
    assert!(shared::recovery::WAITS.as_secs() * 2 <= 600, "an invocation sees it before anything is given up");
    assert!(source.bisect_batch_on_function_error && source.report_batch_item_failures && source.enabled);
    assert_eq!(source.filters, [json!({ "dynamodb": { "Keys": { "sk": { "S": ["PROFILE"] } } } })]);
    let bucket = OnFailure { destination: "UndeliveredRecords".to_owned(), keeps_records: true };
    assert_eq!(source.on_failure, Some(bucket));
}

#[test]
fn no_mapping_is_without_filter_limit_and_dead_letters() {
    for source in template().event_sources() {
        assert!(source.maximum_record_age_in_seconds.is_some(), "{}", source.function);
        assert!(!source.filters.is_empty() && source.on_failure.is_some(), "{}", source.function);
    }
}

#[test]
fn the_heartbeat_runs_every_minute() {
    let template = template();
    let schedules: Vec<_> = template.schedules().cloned().collect();
    let function = "HeartbeatFunction".to_owned();
    assert_eq!(schedules, [Schedule { function, seconds: 60, enabled: true, input: None }]);
}

#[test]
fn routes_lead_to_their_functions() {
    let template = template();
    let api = template.web_socket_api().unwrap();
    assert_eq!((api.logical_id.as_str(), api.stage.as_str()), ("WebSocketApi", "dev"));
    assert_eq!(api.routes["$connect"], "ConnectFunction");
    assert_eq!(api.routes["$default"], "MessageFunction");
    assert_eq!(api.routes["$disconnect"], "DisconnectFunction");
}

#[test]
fn no_route_answers() {
    let template = template();
    assert!(template.web_socket_api().unwrap().answering.is_empty());
}

#[test]
fn globals_fill_what_a_function_leaves_out() {
    let connect = function("connect");
    assert_eq!((connect.timeout, connect.memory_size), (10, 256));
    assert_eq!(connect.environment["RUST_LOG"], json!({ "Ref": "LogLevel" }));
    assert_eq!(connect.environment["ORIGINS"], json!({ "Ref": "Origins" }));
}

#[test]
fn a_functions_own_value_wins_over_globals() {
    assert_eq!((function("broadcast").timeout, function("broadcast").memory_size), (60, 1769));
}

#[test]
fn http_api_events_are_routes() {
    let routes = function("api").routes;
    let route = |method: &str, path: &str| Route { method: method.into(), path: path.into() };
    for method in ["GET", "POST", "PATCH", "DELETE"] {
        assert!(routes.contains(&route(method, "/{proxy+}")), "{method}");
    }
    assert!(routes.contains(&route("POST", "/api/v1/auth/user/login")));
}

#[test]
fn every_function_has_permissions_without_wildcards_and_within_the_boundary() {
    let template = template();
    let granted: Vec<Call> = needs(&template, &[]).unwrap().into_iter().map(|(permission, _)| permission).collect();
    for Function { logical_id, .. } in template.functions() {
        assert!(granted.iter().any(|permission| permission.function == *logical_id), "{logical_id}");
    }
    assert!(granted.iter().all(|permission| !permission.action.contains('*')), "{granted:?}");
    assert_eq!(out_of_bounds(&template).unwrap(), []);
}
