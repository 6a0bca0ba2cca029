//! Names of hosts: those in `Host` headers and origins, and those that `--host` allows.

use std::{fmt, net::IpAddr, str::FromStr};

use url::Host;

/// Longest name, in bytes, without a dot at its end (RFC 1035, 2.3.4).
const MAX_NAME_BYTES: usize = 253;

/// Ends of names that public name servers do not resolve: a name below them cannot be registered.
const LOCAL_ENDS: [&str; 5] = [".localhost", ".local", ".lan", ".home.arpa", ".internal"];

/// The name or address of a host, as browsers write it: lower case, without a dot at its end, other scripts as `xn--`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(Host);

/// Parse error of [`HostName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a host is a name or an address without scheme and port, such as chat.example.com, or * for all")]
pub struct HostNameError;

impl HostName {
    /// Whether the name stands for the machine itself.
    pub fn is_loopback(&self) -> bool {
        match &self.0 {
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(ip) => IpAddr::from(*ip).is_loopback(),
            Host::Ipv6(ip) => IpAddr::from(*ip).to_canonical().is_loopback(),
        }
    }

    /// Whether the name can be registered on the internet, and then made to resolve to this server's address. Not so:
    /// addresses, and names without a dot or below one of `LOCAL_ENDS`, which only a local network resolves.
    pub fn is_public(&self) -> bool {
        match &self.0 {
            Host::Domain(name) => name.contains('.') && !LOCAL_ENDS.iter().any(|end| name.ends_with(end)),
            Host::Ipv4(_) | Host::Ipv6(_) => false,
        }
    }

    /// Whether this is an IPv6 address, which is written in brackets.
    pub fn is_ipv6(&self) -> bool {
        matches!(self.0, Host::Ipv6(_))
    }
}

impl FromStr for HostName {
    type Err = HostNameError;

    /// Reads a name or an address; an IPv6 address is in brackets.
    fn from_str(text: &str) -> Result<Self, HostNameError> {
        // Most requests name an address or a plain name, which needs no table of Unicode.
        if let Ok(address) = text.parse() {
            return Ok(Self(Host::Ipv4(address)));
        }
        if is_plain_name(text) {
            return Ok(Self(Host::Domain(text.to_owned())));
        }
        Self::read(text)
    }
}

impl HostName {
    /// Reads a name or an address in any spelling.
    fn read(text: &str) -> Result<Self, HostNameError> {
        // A percent sign would be decoded: no browser sends one.
        let host = if text.contains('%') { None } else { Host::parse(text).ok() };
        match host.ok_or(HostNameError)? {
            Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(&name);
                let is_plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-_".contains(&c);
                let is_label = |label: &str| !label.is_empty() && label.bytes().all(is_plain);
                let is_name = name.len() <= MAX_NAME_BYTES && name.split('.').all(is_label);
                if is_name { Ok(Self(Host::Domain(name.to_owned()))) } else { Err(HostNameError) }
            }
            address => Ok(Self(address)),
        }
    }
}

/// Whether a text is a name as browsers write it already: labels of lower case letters, digits and hyphens, none of which
/// stands for other scripts, and the last of which cannot be the end of an address.
fn is_plain_name(text: &str) -> bool {
    let is_plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    let is_label =
        |label: &str| !label.is_empty() && !label.starts_with("xn--") && label.bytes().all(is_plain);
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= MAX_NAME_BYTES
        && last.starts_with(|c: char| c.is_ascii_lowercase())
        && text.split('.').all(is_label)
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An entry of `--host`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedHost {
    /// `*`: every name.
    Any,
    /// One name.
    Name(HostName),
}

impl FromStr for AllowedHost {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, HostNameError> {
        match text {
            "*" => Ok(Self::Any),
            // Without brackets it can be nothing else.
            _ if text.parse::<std::net::Ipv6Addr>().is_ok() => format!("[{text}]").parse().map(Self::Name),
            _ => text.parse().map(Self::Name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> HostName {
        text.parse().unwrap_or_else(|_| panic!("{text:?} is a host"))
    }

    proptest::proptest! {
        #[test]
        fn what_is_read_at_once_is_read_alike(text in "(xn--|[0-9]{1,3}\\.|)[a-z0-9.-]{0,24}") {
            proptest::prop_assert_eq!(text.parse::<HostName>(), HostName::read(&text));
        }
    }

    #[test]
    fn a_name_is_read_as_browsers_write_it() {
        for (text, name) in [
            ("Chat.EXAMPLE", "chat.example"),
            ("chat.example.", "chat.example"),
            ("my_service", "my_service"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("127.1", "127.0.0.1"),
            ("0x7f.0.0.1", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[0:0::1]", "[::1]"),
        ] {
            assert_eq!(host(text).to_string(), name);
        }
        let long = "a.".repeat(126) + "ab";
        assert!(
            long.parse::<HostName>().is_err() && long[1..].replacen('.', "a", 1).parse::<HostName>().is_ok()
        );
        for bad in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a b",
            "a/b",
            "a:80",
            "u@a",
            "http://a",
            "a%62",
            "a;b",
            "a,b",
            "a'b",
            "\"a\"",
            "[::1",
            "::1",
            "[fe80::1%25eth0]",
            "*",
            "*.example",
            "999.1.1.1",
            "a\\b",
            "a?b",
            "a#b",
        ] {
            assert_eq!(bad.parse::<HostName>(), Err(HostNameError), "{bad:?}");
        }
    }

    #[test]
    fn only_a_name_that_anybody_could_register_is_public() {
        for local in [
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "127.0.0.1",
            "192.0.2.1",
            "[::1]",
            "[2001:db8::1]",
            "raspberrypi",
            "raspberrypi.local",
            "nas.lan",
            "nas.home.arpa",
            "db.internal",
            "a.b.internal.",
            "local",
            "2130706433",
        ] {
            assert!(!host(local).is_public(), "{local}");
        }
        for public in [
            "evil.example",
            "Evil.Example.",
            "localhost.evil.example",
            "127.0.0.1.nip.io",
            "evil.com.local.example",
            "home.arpa",
            "notlocal.example",
            "xlan.example",
            "a.notlocalhost",
            "1.2.3.4.example",
        ] {
            assert!(host(public).is_public(), "{public}");
        }
    }

    #[test]
    fn loopback_has_names_and_addresses() {
        for loopback in ["localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]"]
        {
            assert!(host(loopback).is_loopback(), "{loopback}");
        }
        for other in ["localhost.example", "128.0.0.1", "[::2]", "notlocalhost"] {
            assert!(!host(other).is_loopback(), "{other}");
        }
    }

    #[test]
    fn a_setting_allows_one_name_or_all() {
        assert_eq!("*".parse(), Ok(AllowedHost::Any));
        assert_eq!("Chat.Example.".parse(), Ok(AllowedHost::Name(host("chat.example"))));
        assert_eq!("::1".parse(), Ok(AllowedHost::Name(host("[::1]"))));
        for bad in ["", "*.example", "https://chat.example", "chat.example:3000", "a b"] {
            assert_eq!(bad.parse::<AllowedHost>(), Err(HostNameError), "{bad:?}");
        }
    }
}
