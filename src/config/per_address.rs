//! Bounds that hold for each client address.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A bound for each client address. Written as a number, which holds for every address, or as `public:` and a number,
/// which holds for public addresses only. 0 is no bound.
///
/// Defaults are of the second kind: behind a proxy that is not named, in a container, or in a class room all clients
/// may have one private address. A bound for such an address must be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerAddress {
    /// 0: no bound.
    count: usize,
    is_for_public_only: bool,
}

/// Parse error of [`PerAddress`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a bound per address is a number, such as 1000 or 0 for no bound, or public:1000 for public addresses only"
)]
pub struct PerAddressError;

/// Prefix of a number that holds for public addresses only.
const PUBLIC_PREFIX: &str = "public:";

impl PerAddress {
    /// `count` for every address; 0 is no bound.
    pub const fn for_all(count: usize) -> Self {
        Self { count, is_for_public_only: false }
    }

    /// `count` for public addresses, no bound for others; 0 is no bound.
    pub const fn for_public(count: usize) -> Self {
        Self { count, is_for_public_only: true }
    }

    /// The bound for an address, or `None` if there is none.
    pub fn bound_for(self, address: IpAddr) -> Option<usize> {
        let is_spared = self.is_for_public_only && !is_public(address);
        (self.count > 0 && !is_spared).then_some(self.count)
    }
}

impl FromStr for PerAddress {
    type Err = PerAddressError;

    fn from_str(text: &str) -> Result<Self, PerAddressError> {
        let (digits, is_for_public_only) = match text.strip_prefix(PUBLIC_PREFIX) {
            Some(digits) => (digits, true),
            None => (text, false),
        };
        // `parse` would accept a plus sign.
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(PerAddressError);
        }
        let count = digits.parse().map_err(|_| PerAddressError)?;
        Ok(Self { count, is_for_public_only })
    }
}

impl fmt::Display for PerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.is_for_public_only { PUBLIC_PREFIX } else { "" }, self.count)
    }
}

/// The unit that bounds per address count by: an IPv4 address, or of an IPv6 address its network of 64 bits, because one
/// client is given a network and may use every address in it.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

/// Whether an address is one of the public internet: not of this machine, a private network, a link, or a carrier's
/// shared network (100.64.0.0/10).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(ip) => {
            let is_shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xC0 == 64;
            !(ip.is_loopback()
                || ip.is_private()
                || ip.is_link_local()
                || is_shared
                || ip == Ipv4Addr::UNSPECIFIED)
        }
        IpAddr::V6(ip) => {
            !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_bound_for_public_addresses_spares_all_others() {
        let bound: PerAddress = "public:7".parse().expect("a bound");
        for public in ["192.0.2.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.32.0.1", "2001:db8::1"] {
            assert_eq!(bound.bound_for(address(public)), Some(7), "{public}");
        }
        for other in [
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.0.1",
            "100.64.0.0",
            "100.127.255.255",
            "::1",
            "fe80::1",
            "fd00::1",
            "fc00::1",
        ] {
            assert_eq!(bound.bound_for(address(other)), None, "{other}");
        }
    }

    #[test]
    fn an_ipv4_address_written_as_ipv6_is_what_it_means() {
        let bound = PerAddress::for_public(7);
        assert_eq!(bound.bound_for(address("::ffff:10.0.0.1")), None);
        assert_eq!(bound.bound_for(address("::ffff:192.0.2.1")), Some(7));
        assert_eq!(network_of(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }

    #[test]
    fn a_bare_number_is_a_bound_for_every_address_and_zero_is_none() {
        let bound: PerAddress = "7".parse().expect("a bound");
        assert_eq!(bound.bound_for(address("127.0.0.1")), Some(7));
        assert_eq!(bound.bound_for(address("192.0.2.1")), Some(7));
        for none in ["0", "public:0"] {
            let none: PerAddress = none.parse().expect("no bound");
            assert_eq!(none.bound_for(address("192.0.2.1")), None);
        }
    }

    #[test]
    fn a_bound_prints_as_it_is_read() {
        for text in ["0", "7", "public:1000"] {
            assert_eq!(text.parse::<PerAddress>().map(|bound| bound.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "public:", "all:1", "-1", "+1", "1k", "public:public:1", "99999999999999999999"] {
            assert_eq!(text.parse::<PerAddress>(), Err(PerAddressError), "{text:?}");
        }
    }

    #[test]
    fn an_ipv6_network_of_64_bits_counts_as_one_address() {
        assert_eq!(network_of(address("2001:db8:0:1:ffff::2")), address("2001:db8:0:1::"));
        assert_eq!(network_of(address("192.0.2.9")), address("192.0.2.9"));
    }
}
