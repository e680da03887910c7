//! Where the management API is, and what a connection's address in it looks like: on the wire, and to be signed.

use aws_smithy_http::label::{EncodingStrategy, fmt_string};
use bytes::Bytes;
use http::{
    HeaderValue, Uri,
    uri::{Authority, InvalidUri, PathAndQuery, Scheme},
};

use crate::config::ConfigError;

/// The variable that says where it is.
pub(super) const VARIABLE: &str = "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI";

/// `https://{api}.execute-api.{region}.amazonaws.com/{stage}`, read once.
#[derive(Debug, Clone)]
pub struct Endpoint {
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
    /// `/{stage}/@connections/`, as it is sent.
    path: String,
    /// The path as it is signed: what is encoded in it is encoded once more.
    canonical_path: String,
}

/// The address of one connection.
#[derive(Debug, Clone)]
pub struct Address {
    path: PathAndQuery,
    canonical_path: String,
}

/// A text that is not the id of any connection: nothing could be addressed with it.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not the id of a connection")]
pub struct NotAnId(String);

impl Endpoint {
    /// Reads a URL of scheme, host and a path, if there is one.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] if it is anything else.
    pub fn parse(url: &str) -> Result<Self, ConfigError> {
        let parts = url.parse::<Uri>().map_err(|_| invalid())?.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else { return Err(invalid()) };
        let default_port = if scheme == Scheme::HTTPS { 443 } else { 80 };
        let path = parts.path_and_query.as_ref().map_or("", PathAndQuery::path).trim_end_matches('/').to_owned();
        let is_plain = |segment: &str| !segment.is_empty() && segment != "." && segment != "..";
        let is_sound = (scheme == Scheme::HTTPS || scheme == Scheme::HTTP)
            && !authority.as_str().contains('@')
            && parts.path_and_query.is_none_or(|path| path.query().is_none())
            // The signature is made of a path without these; nobody has such a stage.
            && path.split('/').skip(1).all(is_plain);
        if !is_sound {
            return Err(invalid());
        }
        let is_default = authority.port_u16() == Some(default_port);
        let host = if is_default { authority.host() } else { authority.as_str() };
        let path = format!("{path}/@connections/");
        Ok(Self {
            host: HeaderValue::from_str(host).map_err(|_| invalid())?,
            canonical_path: fmt_string(&path, EncodingStrategy::Greedy),
            scheme,
            authority,
            path,
        })
    }

    /// Scheme and host, which is all it takes to connect.
    pub(super) fn origin(&self) -> Result<Uri, ConfigError> {
        let uri = Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone());
        uri.path_and_query("/").build().map_err(|_| invalid())
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The host as the `host` header and the signature have it.
    #[must_use]
    pub fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// Where a frame for this connection is sent. The id is encoded as the SDK does it, and for the signature, as for all
    /// services but S3, once more.
    ///
    /// # Errors
    /// [`NotAnId`] for what would address something else.
    pub fn address(&self, connection_id: &str) -> Result<Address, NotAnId> {
        if ["", ".", ".."].contains(&connection_id) {
            return Err(NotAnId(connection_id.to_owned()));
        }
        let id = fmt_string(connection_id, EncodingStrategy::Default);
        let canonical_path = format!("{}{}", self.canonical_path, fmt_string(&id, EncodingStrategy::Greedy));
        let path = Bytes::from(format!("{}{id}", self.path));
        let path = PathAndQuery::from_maybe_shared(path).map_err(|_: InvalidUri| NotAnId(connection_id.to_owned()))?;
        Ok(Address { path, canonical_path })
    }

    /// The address as HTTP/2 has it, with scheme and host; HTTP/1.1 has the path alone.
    pub(super) fn absolute(&self, address: &Address) -> Result<Uri, http::Error> {
        let uri = Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone());
        uri.path_and_query(address.path.clone()).build()
    }
}

impl Address {
    /// The path as it is sent.
    #[must_use]
    pub fn path(&self) -> &PathAndQuery {
        &self.path
    }

    /// The path as it is signed.
    #[must_use]
    pub fn canonical_path(&self) -> &str {
        &self.canonical_path
    }
}

fn invalid() -> ConfigError {
    ConfigError::Invalid { name: VARIABLE, problem: "must be http or https, a host and perhaps a stage" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_encoded_once_on_the_wire_and_twice_in_the_signature() {
        let endpoint = Endpoint::parse("https://abc123.execute-api.eu-central-1.amazonaws.com/prod").unwrap();
        let address = endpoint.address("QQFxqeZfIAMCKRA=").unwrap();
        assert_eq!(address.path().as_str(), "/prod/@connections/QQFxqeZfIAMCKRA%3D");
        assert_eq!(address.canonical_path(), "/prod/%40connections/QQFxqeZfIAMCKRA%253D");
        let absolute = endpoint.absolute(&address).unwrap().to_string();
        assert_eq!(
            absolute,
            "https://abc123.execute-api.eu-central-1.amazonaws.com/prod/@connections/QQFxqeZfIAMCKRA%3D"
        );
    }

    #[test]
    fn a_host_is_named_with_its_port_unless_it_is_the_usual_one() {
        let host = |url: &str| Endpoint::parse(url).unwrap().host().to_str().unwrap().to_owned();
        assert_eq!(host("http://127.0.0.1:3000/prod"), "127.0.0.1:3000");
        assert_eq!(host("https://example.com:443"), "example.com");
        assert_eq!(host("http://example.com:443/"), "example.com:443");
    }

    #[test]
    fn what_is_no_endpoint_is_refused_at_start() {
        for url in
            ["", "example.com/prod", "ftp://example.com", "https://a@example.com", "https://example.com/prod?a=b"]
        {
            assert!(matches!(Endpoint::parse(url), Err(ConfigError::Invalid { name: VARIABLE, .. })), "{url}");
        }
        for url in ["https://example.com/a//b", "https://example.com/a/../b", "https://example.com/./b"] {
            assert!(Endpoint::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn what_is_no_id_is_sent_to_nobody() {
        let endpoint = Endpoint::parse("http://127.0.0.1:3000/prod").unwrap();
        for id in ["", ".", ".."] {
            assert!(endpoint.address(id).is_err(), "{id:?}");
        }
    }
}
