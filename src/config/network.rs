//! Networks of addresses.

use std::{net::IpAddr, str::FromStr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// An entry of `--trusted-proxy`: one address, or a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

/// Bits of an IPv6 address before the IPv4 address that it means (`::ffff:a.b.c.d`).
const MAPPED_BITS: u8 = 96;

/// Parse error of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a proxy is an address or a network, such as 10.1.2.3 or 10.0.0.0/8")]
pub struct NetworkError;

impl Network {
    /// Whether an address is in the network. An IPv4 address written as IPv6 is compared as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// Reads an address or a network. An IPv4 network written as IPv6 becomes IPv4, as the addresses compared with it do.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let address = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
        let network: IpNet = address.or_else(|_| text.parse()).map_err(|_| NetworkError)?;
        let mapped = |network: Ipv6Net| {
            let len = network.prefix_len().checked_sub(MAPPED_BITS)?;
            Ipv4Net::new(network.addr().to_ipv4_mapped()?, len).ok()
        };
        match network {
            IpNet::V6(network) => Ok(Self(mapped(network).map_or(IpNet::V6(network), IpNet::V4))),
            network => Ok(Self(network)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn a_proxy_is_an_address_or_a_network() {
        let network: Network = "10.0.0.0/8".parse().expect("a network");
        assert!(network.contains([10, 1, 2, 3].into()) && !network.contains([11, 1, 2, 3].into()));
        assert!(network.contains("::ffff:10.1.2.3".parse().expect("an address")));
        assert!("::1".parse::<Network>().is_ok_and(|one| one.contains(Ipv6Addr::LOCALHOST.into())));
        for (text, own, other) in [
            ("::ffff:127.0.0.1", [127, 0, 0, 1], [127, 0, 0, 2]),
            ("::ffff:10.0.0.0/104", [10, 1, 2, 3], [11, 1, 2, 3]),
        ] {
            let network: Network = text.parse().expect("a network");
            assert!(network.contains(own.into()) && !network.contains(other.into()), "{text}");
        }
        for text in ["", "proxy", "10.0.0.0/33", "10.0.0"] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError), "{text:?}");
        }
    }
}
