//! What can be chosen at start: flags, each also an environment variable, and the same struct for tests.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use clap::{
    Args, Command, FromArgMatches as _, ValueEnum,
    builder::{NonEmptyStringValueParser, TypedValueParser as _},
};
use url::Url;

use shared::origins::parse_list;

use emulator::{Fault, duration};

/// How to run the cloud. [`Options::default()`] is what no flags mean; tests want `port: 0`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Address to listen on. The default keeps everything on this machine.
    #[arg(long, env = "LOCAL_DEV_HOST", default_value = "127.0.0.1")]
    pub host: IpAddr,

    /// Port to listen on; 0 picks a free one and prints it.
    #[arg(long, env = "LOCAL_DEV_PORT", default_value_t = 3000)]
    pub port: u16,

    /// Further names this machine is reached by, such as host.docker.internal, separated by commas. Requests for any other
    /// are refused, so that a web page cannot pass for a local one by pointing its name here.
    #[arg(long, env = "LOCAL_DEV_ALLOWED_HOSTS", value_name = "LIST", value_delimiter = ',')]
    pub allowed_hosts: Vec<String>,

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
    #[arg(long, env = "TOKEN_SECRET", hide_env_values = true, value_name = "TEXT")]
    pub token_secret: Option<String>,

    /// Registrations one address may try within an hour; 0 is no limit, where AWS has 20.
    #[arg(long, env = "LOCAL_DEV_REGISTRATIONS_PER_HOUR", default_value_t = 0, value_name = "NUMBER")]
    pub registrations_per_hour: u32,

    /// Value of a parameter of infra/template.yaml, such as FeedShards=4; may be repeated.
    #[arg(long = "parameter", env = "LOCAL_DEV_PARAMETER", value_name = "NAME=VALUE", value_parser = parameter)]
    pub parameters: Vec<(String, String)>,

    /// Invocations of functions at the same time; beyond them the APIs are refused, as by Lambda.
    #[arg(long, env = "LOCAL_DEV_CONCURRENT_INVOCATIONS", default_value_t = 1000, value_name = "NUMBER")]
    pub concurrent_invocations: usize,

    /// Run the functions behind a Lambda Invoke API, such as http://127.0.0.1:9000 of `cargo lambda watch`.
    #[arg(long, env = "LOCAL_DEV_LAMBDA_ENDPOINT", value_name = "URL", value_parser = lambda_endpoint)]
    pub lambda_endpoint: Option<String>,

    /// Write the environment the functions need to this file, for `cargo lambda watch --env-file`.
    #[arg(long, env = "LOCAL_DEV_ENV_FILE", value_name = "FILE", value_parser = NonEmptyStringValueParser::new().map(PathBuf::from))]
    pub env_file: Option<PathBuf>,

    /// Let functions do only what their policies in the template grant; what is refused is named on standard error.
    #[arg(long, env = "LOCAL_DEV_ENFORCE_POLICIES", conflicts_with_all = ["lambda_endpoint", "env_file"])]
    pub enforce_policies: bool,

    /// Have functions call the gateway, Lambda and the embedded database over HTTP, as on AWS, and not within the process.
    #[arg(long, env = "LOCAL_DEV_LOOPBACK")]
    pub loopback: bool,

    /// Something that goes wrong on purpose; may be repeated. One of drop-disconnect, empty-answers, gone=300ms,
    /// throttle=20%, duplicate=20%, reorder=20%, slow=message:500ms, fail=broadcast:2.
    #[arg(long = "fault", env = "LOCAL_DEV_FAULT", value_name = "FAULT", value_delimiter = ',')]
    pub faults: Vec<Fault>,

    /// How long a function's failed asynchronous invocation waits for its second attempt; the third one waits twice as long.
    #[arg(long, env = "LOCAL_DEV_RETRY_PAUSE", value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub retry_pause: Duration,

    /// The times after which the gateway ends something.
    #[command(flatten)]
    pub limits: Limits,

    /// Changes that could not be delivered for this long are given up [default: as in the template, 600s].
    #[arg(long, env = "LOCAL_DEV_RECORD_AGE", value_name = "TIME", value_parser = duration)]
    pub record_age: Option<Duration>,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').ok_or_else(|| format!("`{text}` is no NAME=VALUE, such as FeedShards=4"))?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

/// Origins as browsers send them: an origin that is written otherwise would never match.
fn origins(list: &str) -> Result<String, String> {
    let origins = parse_list(list).map_err(|(origin, problem)| format!("`{origin}` {problem}"))?;
    Ok(origins.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
}

fn dynamodb_endpoint(url: &str) -> Result<String, &'static str> {
    endpoint(url).ok_or("it is no URL such as http://127.0.0.1:8000")
}

fn lambda_endpoint(url: &str) -> Result<String, &'static str> {
    endpoint(url).ok_or("it is no URL such as http://127.0.0.1:9000")
}

/// The URL, if it is one of HTTP and has a host, so that clients can be made for it.
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

/// Whether sockets without a token hear the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Anonymous {
    /// Sockets without a token hear the feed.
    Allow,
    /// Sockets without a token are refused as unauthenticated, as on AWS by default.
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

impl Options {
    /// Whether functions, database or services call each other over connections, which are open files.
    pub(crate) fn has_calls_over_connections(&self) -> bool {
        self.loopback || self.dynamodb_endpoint.is_some() || self.lambda_endpoint.is_some()
    }
}

/// What no flags mean, whatever the environment says.
impl Default for Options {
    fn default() -> Self {
        let command = Self::augment_args(Command::new("local-dev")).mut_args(|arg| arg.env(None::<&str>));
        let defaults = command.try_get_matches_from(["local-dev"]);
        defaults.and_then(|matches| Self::from_arg_matches(&matches)).unwrap_or_else(|error| error.exit())
    }
}

/// The limits of API Gateway that end or cut something short. Shorter ones show what a client makes of it.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Limits of the gateway")]
pub struct Limits {
    /// Without a message in either direction a connection at /dev ends after this time.
    #[arg(long = "idle-timeout", env = "LOCAL_DEV_IDLE_TIMEOUT", value_name = "TIME", default_value = "600s", value_parser = duration)]
    pub idle: Duration,
    /// Any connection at /dev ends after this time.
    #[arg(long = "lifetime", env = "LOCAL_DEV_LIFETIME", value_name = "TIME", default_value = "7200s", value_parser = duration)]
    pub lifetime: Duration,
    /// A function that has not answered a message by then is not waited for.
    #[arg(long = "integration-timeout", env = "LOCAL_DEV_INTEGRATION_TIMEOUT", value_name = "TIME", default_value = "29s", value_parser = duration)]
    pub integration: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Options::default().limits
    }
}

impl From<Limits> for emulator::Limits {
    fn from(Limits { idle, lifetime, integration }: Limits) -> Self {
        Self { idle, lifetime, integration }
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
    fn the_limits_are_those_of_the_emulator_unless_they_are_said() {
        assert_eq!(emulator::Limits::from(Limits::default()), emulator::Limits::default());
    }

    #[test]
    fn a_parameter_is_a_name_and_a_value() {
        let parse = |text: &str| Command::try_parse_from(["local-dev", "--parameter", text]).map(|c| c.options);
        assert_eq!(parse("A=b=c").unwrap().parameters, [("A".to_owned(), "b=c".to_owned())]);
        assert!(parse("FeedShards").unwrap_err().to_string().contains("NAME=VALUE"));
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

    #[test]
    fn origins_are_put_as_browsers_send_them_or_refused_in_words() {
        let parse =
            |list: &str| Command::try_parse_from(["local-dev", "--origins", list]).map(|command| command.options);
        let written = "http://LocalHost:4200/, HTTPS://app.example.com:443";
        assert_eq!(parse(written).unwrap().origins.as_deref(), Some("http://localhost:4200,https://app.example.com"));
        for (list, words) in [
            (
                "http://a.test,http://localhost:4200/admin",
                "`http://localhost:4200/admin` has more than scheme, host and port",
            ),
            ("localhost:4200", "`localhost:4200` has no scheme"),
        ] {
            let message = parse(list).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
    }
}
