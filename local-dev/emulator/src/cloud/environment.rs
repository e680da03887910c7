//! What the functions find around them: the variables their template declares, resolved to what is on this machine.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::{self, Write as _},
    net::SocketAddr,
    path::Path,
};

use aws_sdk_dynamodb::config::Credentials;
use uuid::Uuid;

use super::StartError;
use crate::{
    REGION, Settings,
    dynamodb::{Access, LiveTable},
    event::API_ID,
    functions, invoke_api,
    template::{Function, Scope, Template, TemplateError, resolve_string},
};

/// Environment variables.
type Variables = HashMap<String, String>;

/// Characters of a secret that is made here.
const SECRET_LENGTH: usize = 64;

/// Access with the credentials of the environment, for AWS itself; an emulator takes any.
pub(super) fn access() -> Access {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    // What no header can have is no key id, such as one with the end of a line that came along from a file.
    let id = variable("AWS_ACCESS_KEY_ID").filter(|id| id.bytes().all(|byte| byte.is_ascii_graphic()));
    match (id, variable("AWS_SECRET_ACCESS_KEY")) {
        (Some(id), Some(secret)) => {
            let token = variable("AWS_SESSION_TOKEN");
            let region = variable("AWS_REGION").unwrap_or_else(|| REGION.to_owned());
            Access { region, credentials: Credentials::new(id, secret, token, None, "environment") }
        }
        _ => Access::local(REGION),
    }
}

/// What the template has generated, by logical id: given, or kept with the data, or new for this run.
pub(super) fn secrets(template: &Template, settings: &Settings) -> Result<BTreeMap<String, String>, StartError> {
    let secret = |name: &String| {
        let given = settings.secrets.get(name).cloned();
        let value = given.map_or_else(|| kept_secret(name, settings.data_dir()), Ok)?;
        Ok((name.clone(), value))
    };
    template.secrets().iter().map(secret).collect()
}

fn kept_secret(name: &str, data_dir: Option<&Path>) -> Result<String, StartError> {
    let random = || format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let Some(folder) = data_dir else { return Ok(random()) };
    let file = folder.join(format!("secret-{name}"));
    let kept = || {
        fs::create_dir_all(folder)?;
        match fs::read_to_string(&file) {
            // Shorter than ours are: a disk was full when it was written.
            Ok(secret) if secret.len() < SECRET_LENGTH => keep_secret(&file, random()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => keep_secret(&file, random()),
            outcome => outcome,
        }
    };
    kept().map_err(|source| StartError::DataDir { folder: file.display().to_string(), source })
}

/// Written aside and renamed, so that the file has the whole secret or is not there.
fn keep_secret(file: &Path, secret: String) -> io::Result<String> {
    let aside = file.with_extension("new");
    let write = || {
        let mut written = fs::File::create(&aside)?;
        written.write_all(secret.as_bytes())?;
        written.sync_all()?;
        fs::rename(&aside, file)
    };
    if let Err(error) = write() {
        let _ = fs::remove_file(&aside);
        return Err(error);
    }
    Ok(secret)
}

/// What the template may refer to: its parameters, and the resources as they are here.
pub(super) fn scope(
    template: &Template,
    settings: &Settings,
    secrets: BTreeMap<String, String>,
    tables: &BTreeMap<String, LiveTable>,
) -> Result<Scope, StartError> {
    let mut scope = template.scope(&settings.parameters)?;
    scope.set_pseudo_parameters(&settings.stack_name);
    for (logical_id, table) in tables {
        scope.set(logical_id, table.name.clone());
        scope.set_attribute(logical_id, "Arn", table.arn.clone());
        scope.set_attribute(logical_id, "StreamArn", table.stream_arn.clone().unwrap_or_default());
    }
    for Function { logical_id, .. } in template.functions() {
        let name = invoke_api::physical_name(&settings.stack_name, logical_id);
        scope.set_attribute(logical_id, "Arn", functions::arn(&name));
        scope.set(logical_id, name);
    }
    for (logical_id, value) in secrets {
        scope.set(&logical_id, logical_id.clone());
        scope.set_secret(logical_id, value);
    }
    if let Some(api) = template.web_socket_api() {
        scope.set(&api.logical_id, API_ID);
    }
    Ok(scope)
}

/// What Lambda sets by itself, and where the services are on this machine.
pub(super) fn runtime_variables(
    template: &Template,
    access: &Access,
    dynamodb: String,
    address: SocketAddr,
) -> Vec<(String, String)> {
    let stage = template.web_socket_api().map_or("", |api| &api.stage);
    let here = format!("http://{}", reachable(address));
    let credentials = &access.credentials;
    let variables = [
        ("AWS_REGION", access.region.clone()),
        ("AWS_ACCESS_KEY_ID", credentials.access_key_id().to_owned()),
        ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key().to_owned()),
        ("AWS_SESSION_TOKEN", credentials.session_token().unwrap_or_default().to_owned()),
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb),
        ("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", format!("{here}/{stage}")),
        ("AWS_ENDPOINT_URL_LAMBDA", here.clone()),
        ("AWS_ENDPOINT_URL_SESV2", here.clone()),
        ("AWS_ENDPOINT_URL_SNS", here),
    ];
    variables.map(|(name, value)| (name.to_owned(), value)).into()
}

/// An address that listens everywhere is called by its loopback name.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() { SocketAddr::from(([127, 0, 0, 1], address.port())) } else { address }
}

pub(super) fn environments(
    template: &Template,
    scope: &Scope,
    runtime: &[(String, String)],
    own_keys: bool,
) -> Result<HashMap<String, Variables>, TemplateError> {
    let of = |function: &Function| {
        let declared = function.environment.iter().map(|(name, value)| {
            let value = resolve_string(value, scope).map_err(|error| error.of_variable(&function.logical_id, name))?;
            Ok((name.clone(), value))
        });
        // Declared first: where a service is on this machine wins over where it would be on AWS.
        let variables = declared.chain(runtime.iter().cloned().map(Ok)).collect::<Result<Vec<_>, TemplateError>>()?;
        // By its key a function is told from the others.
        let key = own_keys.then(|| ("AWS_ACCESS_KEY_ID".to_owned(), function.logical_id.clone()));
        Ok((function.logical_id.clone(), variables.into_iter().chain(key).collect()))
    };
    template.functions().iter().map(of).collect()
}

/// All variables of all functions in one file, which is why those they share have to have the same values.
pub(super) fn write_env_file(file: &Path, environments: &HashMap<String, Variables>) -> Result<(), StartError> {
    let lines = one_environment(environments)?;
    // Quoted, because a PHC string is full of dollar signs.
    let lines = lines.into_iter().map(|(name, (value, _))| format!("{name}='{value}'\n"));
    let written = fs::write(file, lines.collect::<String>());
    written.map_err(|source| StartError::DataDir { folder: file.display().to_string(), source })
}

/// Every variable that has a value, with that and the first function that has it.
fn one_environment(
    environments: &HashMap<String, Variables>,
) -> Result<BTreeMap<String, (String, String)>, StartError> {
    let mut all = BTreeMap::<String, (String, String)>::new();
    // In order, so that of several conflicts it is always the same that is named.
    for (function, environment) in environments.iter().collect::<BTreeMap<_, _>>() {
        for (name, value) in environment.iter().filter(|(_, value)| !value.is_empty()) {
            let (known, first) = all.entry(name.clone()).or_insert_with(|| (value.clone(), function.clone()));
            if known != value {
                let functions = (first.clone(), function.clone());
                return Err(StartError::OneVariable { variable: name.to_owned(), functions });
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Variables {
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn one_variable_with_two_values_is_no_environment_for_all() {
        let with = |value: &str| {
            one_environment(&HashMap::from([
                ("AFunction".to_owned(), environment(&[("TABLE", "a"), ("OWN", "x"), ("EMPTY", "")])),
                ("BFunction".to_owned(), environment(&[("TABLE", value), ("EMPTY", "full")])),
            ]))
        };
        assert_eq!(with("a").unwrap().into_keys().collect::<Vec<_>>(), ["EMPTY", "OWN", "TABLE"]);
        let message = with("b").unwrap_err().to_string();
        assert!(["`TABLE`", "AFunction", "BFunction"].iter().all(|part| message.contains(part)), "{message}");
    }

    #[test]
    fn a_variable_that_cannot_be_resolved_is_named_with_its_function() {
        let text = "
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: ../functions/f
      Environment: { Variables: { QUEUE: !Ref Letters } }
  Letters: { Type: AWS::SQS::Queue }
";
        let template = Template::parse(text).unwrap();
        let scope = template.scope(&BTreeMap::new()).unwrap();
        let message = environments(&template, &scope, &[], false).err().unwrap().to_string();
        assert!(["`F`", "`QUEUE`", "`Letters`", "tables"].iter().all(|part| message.contains(part)), "{message}");
    }
}
