//! Which browser pages may connect, and which `Origin` is no page's at all.

use std::{fmt, net::IpAddr, str::FromStr};

use http::{HeaderValue, Uri};

use crate::config::{ConfigError, Environment};

/// An origin as browsers write it in the header of that name: scheme, host and port, in small letters, and no port where
/// it is the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

/// Why a text is no origin, and what to write instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// `*`.
    #[error("sockets compare origins exactly, so `*` would allow none of them; list the origins")]
    Star,
    /// No scheme in front.
    #[error("has no scheme; write it as browsers do, such as https://admin.example.com or http://localhost:4200")]
    Scheme,
    /// Something behind the port.
    #[error("has more than scheme, host and port; an origin has no path, query, fragment, user or password")]
    Path,
    /// A host or port that cannot be one.
    #[error("has no usable host or port; a name with other than ASCII letters is written as browsers do, xn--…")]
    Host,
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let text = text.trim();
        if text == "*" {
            return Err(OriginError::Star);
        }
        let (scheme, rest) = text.split_once("://").ok_or(OriginError::Scheme)?;
        if rest.contains(['?', '#', '@']) || rest.strip_suffix('/').unwrap_or(rest).contains('/') {
            return Err(OriginError::Path);
        }
        let uri: Uri = text.parse().map_err(|_| OriginError::Host)?;
        let authority = uri.authority().ok_or(OriginError::Host)?;
        let (host, port) = (authority.host().to_lowercase(), authority.port_u16());
        let written = port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        if host.is_empty() || written != authority.as_str().to_lowercase() {
            return Err(OriginError::Host);
        }
        let scheme = scheme.to_lowercase();
        let port = port.filter(|port| Some(*port) != default_port(&scheme));
        Ok(Self { scheme, host, port })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port } = self;
        write!(f, "{scheme}://{host}")?;
        port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// Which browser origins may connect (`ORIGINS`, separated by commas).
#[derive(Debug, Clone)]
pub struct Origins(Vec<String>);

impl Origins {
    /// Reads `ORIGINS`. Without any, no page but the service's own may connect; clients that send no `Origin` may.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for an entry that no browser would ever send.
    pub fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        let invalid = |_| ConfigError::Invalid {
            name: "ORIGINS",
            problem: "must list origins as browsers send them, such as https://admin.example.com, separated by commas",
        };
        let origins = parse_list(env.optional("ORIGINS").unwrap_or_default()).map_err(invalid)?;
        Ok(Self(origins.iter().map(ToString::to_string).collect()))
    }

    /// Whether a handshake with this `Origin` header may go on, at a service of this `domainName` (see [`is_own`]).
    /// Without the header nobody's page is behind it.
    #[must_use]
    pub fn allow(&self, origin: Option<&HeaderValue>, domain_name: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        if self.0.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()) {
            return true;
        }
        let origin = origin.to_str().ok().and_then(|origin| origin.parse().ok());
        origin.zip(domain_name).is_some_and(|(origin, domain_name)| is_own(&origin, domain_name))
    }
}

/// The origins of a list, separated by commas; the error comes with the entry it is about.
///
/// # Errors
/// [`OriginError`] of the first entry that is none.
pub fn parse_list(list: &str) -> Result<Vec<Origin>, (String, OriginError)> {
    let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries.map(|entry| entry.parse().map_err(|error| (entry.to_owned(), error))).collect()
}

/// Whether an origin is the address of the service itself. The WebSocket libraries of Python, Swift and React Native make
/// one up from the URL they connect to and send it without being asked; Swift's with the scheme `wss`. A page can only
/// have it if the service itself had sent that page.
///
/// Without TLS that is true only within one machine, so `http` and `ws` are for loopback names alone. There all of them
/// are one, since the client chooses among them.
fn is_own(origin: &Origin, domain_name: &str) -> bool {
    let Ok(own) = format!("{}://{domain_name}", origin.scheme).parse::<Origin>() else { return false };
    let same_port = origin.port == own.port;
    match origin.scheme.as_str() {
        "https" | "wss" if origin.host == own.host => same_port,
        "http" | "ws" | "https" | "wss" => same_port && is_loopback(&origin.host) && is_loopback(&own.host),
        _ => false,
    }
}

/// Whether a host, as written in a URL, can only be this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => {
            let name = host.to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(list: &str) -> Origins {
        let env = Environment::from_iter([("ORIGINS".to_owned(), list.to_owned())]);
        Origins::from_env(&env).unwrap()
    }

    fn allows(origins: &Origins, origin: &str, domain_name: Option<&str>) -> bool {
        origins.allow(Some(&HeaderValue::from_str(origin).unwrap()), domain_name)
    }

    #[test]
    fn without_origins_no_page_may_connect_and_native_clients_may() {
        let none = origins("");
        assert!(none.allow(None, Some("api.example.com")));
        assert!(allows(&none, "https://api.example.com", Some("api.example.com")));
        assert!(!allows(&none, "http://localhost:4200", Some("api.example.com")));
    }

    #[test]
    fn origins_match_exactly_and_a_missing_origin_is_allowed() {
        let origins = origins("http://localhost:4200, https://app.example.com");
        assert!(allows(&origins, "http://localhost:4200", None));
        assert!(allows(&origins, "https://app.example.com", None));
        assert!(origins.allow(None, None));
        for foreign in
            ["http://localhost:4201", "https://app.example.com.evil.example", "null", "", "HTTP://LOCALHOST:4200"]
        {
            assert!(!allows(&origins, foreign, Some("api.example.com")), "{foreign}");
        }
    }

    #[test]
    fn what_people_write_becomes_what_browsers_send() {
        for (written, sent) in [
            ("http://localhost:4200/", "http://localhost:4200"),
            ("HTTPS://App.Example.COM", "https://app.example.com"),
            ("https://app.example.com:443", "https://app.example.com"),
            ("http://app.example.com:80/", "http://app.example.com"),
            ("http://[::1]:4200", "http://[::1]:4200"),
            ("capacitor://localhost", "capacitor://localhost"),
        ] {
            assert_eq!(written.parse::<Origin>().unwrap().to_string(), sent);
            assert!(allows(&origins(written), sent, None), "{written}");
        }
    }

    #[test]
    fn what_no_browser_would_send_is_refused_with_what_is_wrong() {
        for (text, error) in [
            ("*", OriginError::Star),
            ("localhost:4200", OriginError::Scheme),
            ("null", OriginError::Scheme),
            ("http://localhost:4200/app", OriginError::Path),
            ("http://localhost:4200//", OriginError::Path),
            ("http://localhost:4200?x", OriginError::Path),
            ("http://localhost:4200#x", OriginError::Path),
            ("http://me@localhost:4200", OriginError::Path),
            ("http://", OriginError::Host),
            ("http://localhost:", OriginError::Host),
            ("http://localhost:99999", OriginError::Host),
            ("https://münchen.example", OriginError::Host),
        ] {
            assert_eq!(text.parse::<Origin>(), Err(error), "{text}");
        }
        let env = Environment::from_iter([("ORIGINS".to_owned(), "http://localhost:4200/app".to_owned())]);
        assert!(matches!(Origins::from_env(&env), Err(ConfigError::Invalid { name: "ORIGINS", .. })));
    }

    #[test]
    fn the_address_of_the_service_itself_is_no_foreign_page() {
        let origins = origins("https://app.example.com");
        let domain = Some("rt.example.com");
        for own in
            ["https://rt.example.com", "wss://rt.example.com", "https://rt.example.com:443", "https://RT.example.com/"]
        {
            assert!(allows(&origins, own, domain), "{own}");
        }
        for foreign in [
            "http://rt.example.com",
            "ws://rt.example.com",
            "https://rt.example.com:8443",
            "https://rt.example.com.evil.example",
            "https://evil.example",
            "http://localhost",
            "ftp://rt.example.com",
        ] {
            assert!(!allows(&origins, foreign, domain), "{foreign}");
        }
        assert!(!allows(&origins, "https://rt.example.com", None));
    }

    #[test]
    fn without_tls_and_beyond_this_machine_the_own_address_has_to_be_listed() {
        let (own, domain) = ("http://192.168.1.5:3000", Some("192.168.1.5:3000"));
        assert!(!allows(&origins("http://localhost:4200"), own, domain));
        assert!(allows(&origins("http://localhost:4200,http://192.168.1.5:3000"), own, domain));
        assert!(origins("").allow(None, domain), "most native clients send none");
    }

    #[test]
    fn at_a_loopback_address_every_loopback_name_of_that_port_is_its_own() {
        let origins = origins("https://app.example.com");
        let domain = Some("localhost:3000");
        for own in ["http://localhost:3000", "http://127.0.0.1:3000", "ws://[::1]:3000", "http://127.0.0.1:3000/"] {
            assert!(allows(&origins, own, domain), "{own}");
        }
        for foreign in
            ["http://localhost:3001", "http://localhost", "http://evil.example:3000", "http://192.0.2.1:3000"]
        {
            assert!(!allows(&origins, foreign, domain), "{foreign}");
        }
    }
}
