//! Where a request comes from, as limits see it.

use std::net::IpAddr;

/// The network behind an address: an IPv4 address, or the /64 of an IPv6 one, since whoever has one address of a /64
/// has all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientNetwork(String);

impl ClientNetwork {
    /// The network of the address the gateway saw (`requestContext.http.sourceIp`), never of a header: anybody can send
    /// those. What is no address, which no gateway sends, is a source of its own.
    #[must_use]
    pub fn of(address: Option<&str>) -> Self {
        let text = address.unwrap_or_default();
        Self(match text.parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(IpAddr::V4(address)) => address.to_string(),
            Ok(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
            Err(_) => text.to_owned(),
        })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ipv4_address_is_a_source_of_its_own() {
        assert_eq!(ClientNetwork::of(Some("203.0.113.7")), ClientNetwork::of(Some("::ffff:203.0.113.7")));
        assert_ne!(ClientNetwork::of(Some("203.0.113.7")), ClientNetwork::of(Some("203.0.113.8")));
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_source() {
        let source = ClientNetwork::of(Some("2001:db8:1:2:aaaa:bbbb:cccc:dddd"));
        assert_eq!(source, ClientNetwork::of(Some("2001:db8:1:2::1")));
        assert_ne!(source, ClientNetwork::of(Some("2001:db8:1:3::1")));
        assert_ne!(source, ClientNetwork::of(None));
    }
}
