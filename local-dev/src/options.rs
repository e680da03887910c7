//! What can be chosen at start: flags, each also an environment variable, and the same struct for tests.

use std::{net::IpAddr, path::PathBuf};

use clap::{
    Args, ValueEnum,
    builder::{NonEmptyStringValueParser, TypedValueParser as _},
};
use url::Url;

use crate::{Fault, Limits};

/// How to run the cloud. `Options::default()` is what no flags mean, except that tests want `port: 0`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Address to listen on. The default keeps everything on this machine.
    #[arg(long, env = "LOCAL_DEV_HOST", default_value = "127.0.0.1")]
    pub host: IpAddr,

    /// Port to listen on; 0 picks a free one and prints it.
    #[arg(long, env = "LOCAL_DEV_PORT", default_value_t = 3000)]
    pub port: u16,

    /// DynamoDB to use instead of the embedded one, e.g. http://127.0.0.1:8000 for DynamoDB Local.
    #[arg(long, env = "LOCAL_DEV_DYNAMODB_ENDPOINT", value_name = "URL", value_parser = dynamodb_endpoint)]
    pub dynamodb_endpoint: Option<String>,

    /// Folder to keep users in; without it they are gone when the program ends.
    #[arg(long, env = "LOCAL_DEV_DATA_DIR", value_name = "FOLDER", conflicts_with = "dynamodb_endpoint", value_parser = NonEmptyStringValueParser::new().map(PathBuf::from))]
    pub data_dir: Option<PathBuf>,

    /// Prefix of the names of all tables.
    #[arg(long, env = "LOCAL_DEV_STACK_NAME", default_value = "moien-realtime", value_name = "NAME", value_parser = stack_name)]
    pub stack_name: String,

    /// Browser origins that may connect, separated by commas [default: those of the template].
    #[arg(long, env = "LOCAL_DEV_ORIGINS", value_name = "LIST", value_parser = origins)]
    pub origins: Option<String>,

    /// Whether sockets without a token hear the feed.
    #[arg(long, env = "LOCAL_DEV_ANONYMOUS", value_enum, default_value_t = Anonymous::Allow)]
    pub anonymous: Anonymous,

    /// E-mail address of the administrator.
    #[arg(long, env = "LOCAL_DEV_ADMIN_EMAIL", default_value = "admin@example.com", value_name = "EMAIL", value_parser = NonEmptyStringValueParser::new())]
    pub admin_email: String,

    /// Password of the administrator.
    #[arg(
        long,
        env = "LOCAL_DEV_ADMIN_PASSWORD",
        hide_env_values = true,
        default_value = "local-admin",
        value_name = "TEXT",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub admin_password: String,

    /// Key that signs access tokens, at least 32 characters [default: a random one, kept in --data-dir].
    #[arg(long, env = "TOKEN_SECRET", hide_env_values = true, value_name = "TEXT", value_parser = token_secret)]
    pub token_secret: Option<String>,

    /// Registrations one address may try within an hour; 0 is no limit, where AWS has 20.
    #[arg(long, env = "LOCAL_DEV_REGISTRATIONS_PER_HOUR", default_value_t = 0, value_name = "NUMBER")]
    pub registrations_per_hour: u32,

    /// Run the functions behind a Lambda Invoke API, such as http://127.0.0.1:9000 of `cargo lambda watch`.
    #[arg(long, env = "LOCAL_DEV_LAMBDA_ENDPOINT", value_name = "URL", value_parser = lambda_endpoint)]
    pub lambda_endpoint: Option<String>,

    /// Write the environment the functions need to this file, for `cargo lambda watch --env-file`.
    #[arg(long, env = "LOCAL_DEV_ENV_FILE", value_name = "FILE", value_parser = NonEmptyStringValueParser::new().map(PathBuf::from))]
    pub env_file: Option<PathBuf>,

    /// Let functions do only what their policies in the template grant; what is refused is named on standard error.
    #[arg(long, env = "LOCAL_DEV_ENFORCE_POLICIES", conflicts_with_all = ["lambda_endpoint", "env_file"])]
    pub enforce_policies: bool,

    /// Something that goes wrong on purpose; may be repeated. One of drop-disconnect, gone=300ms, throttle=20%,
    /// duplicate=20%, reorder=20%, slow=message:500ms, fail=broadcast:2.
    #[arg(long = "fault", env = "LOCAL_DEV_FAULT", value_name = "FAULT", value_delimiter = ',')]
    pub faults: Vec<Fault>,

    /// When the gateway ends something.
    #[command(flatten)]
    pub limits: Limits,
}

fn origins(list: &str) -> Result<String, &'static str> {
    if list.split(',').any(|origin| origin.trim() == "*") {
        return Err("sockets compare origins exactly, so `*` would allow none of them; list the origins");
    }
    Ok(list.to_owned())
}

fn dynamodb_endpoint(url: &str) -> Result<String, &'static str> {
    endpoint(url).ok_or("it is no URL such as http://127.0.0.1:8000")
}

fn lambda_endpoint(url: &str) -> Result<String, &'static str> {
    endpoint(url).ok_or("it is no URL such as http://127.0.0.1:9000")
}

/// Of HTTP, and with a host, so that clients can be made for it.
fn endpoint(url: &str) -> Option<String> {
    let parsed = Url::parse(url).ok().filter(|url| ["http", "https"].contains(&url.scheme()))?;
    parsed.has_host().then(|| parsed.as_str().trim_end_matches('/').to_owned())
}

/// What may stand before `-` and the name of a table, which has up to 255 characters.
fn stack_name(name: &str) -> Result<String, &'static str> {
    let sound = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if sound && (1..=200).contains(&name.len()) {
        return Ok(name.to_owned());
    }
    Err("names of tables have ASCII letters, digits, `-`, `_` and `.`, and this part of them 1 to 200")
}

fn token_secret(secret: &str) -> Result<String, &'static str> {
    if secret.len() < 32 { Err("it must have at least 32 characters") } else { Ok(secret.to_owned()) }
}

/// Whether sockets without a token hear the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Anonymous {
    /// They do.
    Allow,
    /// They are refused as unauthenticated, as on AWS by default.
    Deny,
}

impl Anonymous {
    /// The value of the template's parameter.
    pub(crate) fn parameter(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: [127, 0, 0, 1].into(),
            port: 3000,
            dynamodb_endpoint: None,
            data_dir: None,
            stack_name: "moien-realtime".to_owned(),
            origins: None,
            anonymous: Anonymous::Allow,
            admin_email: "admin@example.com".to_owned(),
            admin_password: "local-admin".to_owned(),
            token_secret: None,
            registrations_per_hour: 0,
            lambda_endpoint: None,
            env_file: None,
            enforce_policies: false,
            faults: Vec::new(),
            limits: Limits::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn the_defaults_of_the_struct_are_those_of_the_flags() {
        let parsed = Command::parse_from(["local-dev"]).options;
        assert_eq!(format!("{parsed:?}"), format!("{:?}", Options::default()));
    }

    #[test]
    fn a_star_is_no_origin() {
        let parse =
            |list: &str| Command::try_parse_from(["local-dev", "--origins", list]).map(|command| command.options);
        for list in ["*", "http://localhost:4200, *"] {
            assert!(parse(list).unwrap_err().to_string().contains("list the origins"), "{list}");
        }
        assert_eq!(parse("http://a.test").unwrap().origins.as_deref(), Some("http://a.test"));
    }
}
