//! The cookie with a session's id, by which a balancer finds the session's node.

use std::{fmt::Write as _, time::Duration};

use crate::web::handshake::is_token;

/// A cookie that the response to the first request of a polling session sets (RFC 6265). Its value is the
/// session's id, which is a secret. A session that begins on a WebSocket gets none: all its packets use one
/// connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// Its name; `io` by default.
    pub name: String,
    /// Paths to which the browser sends it; `/` by default. `None` leaves that to the browser.
    pub path: Option<String>,
    /// Hosts to which the browser sends it; `None`, the default, means the server's host alone.
    pub domain: Option<String>,
    /// Whether it is hidden from scripts. On by default.
    pub http_only: bool,
    /// Whether the browser sends it only over TLS. Off by default.
    pub secure: bool,
    /// Which requests from other sites have it; [`SameSite::Lax`] by default.
    pub same_site: Option<SameSite>,
    /// How long the browser keeps it; `None`, the default, means until the browser is closed.
    pub max_age: Option<Duration>,
}

/// Which requests from other sites have a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// None of them.
    Strict,
    /// Navigation to the server.
    Lax,
    /// All of them. Browsers demand that the cookie is secure.
    None,
}

/// Why a cookie cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CookieError {
    /// The name is not a token (RFC 9110, section 5.6.2).
    #[error("its name is made of letters, digits and !#$%&'*+-.^_`|~")]
    Name,
    /// The path or the domain has a semicolon, or a character that is not visible ASCII.
    #[error("its path and its domain are visible ASCII without semicolons")]
    Attribute,
    /// `SameSite=None` without `Secure`, which browsers refuse.
    #[error("browsers refuse SameSite=None without Secure")]
    NotSecure,
}

impl Default for Cookie {
    fn default() -> Self {
        Self {
            name: "io".to_owned(),
            path: Some("/".to_owned()),
            domain: None,
            http_only: true,
            secure: false,
            same_site: Some(SameSite::Lax),
            max_age: None,
        }
    }
}

impl Cookie {
    /// Checks that the cookie can be sent and that browsers take it.
    pub(super) fn check(&self) -> Result<(), CookieError> {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b';';
        let attributes = self.path.iter().chain(&self.domain);
        if !is_token(&self.name) {
            Err(CookieError::Name)
        } else if !attributes.flat_map(|text| text.bytes()).all(is_plain) {
            Err(CookieError::Attribute)
        } else if self.same_site == Some(SameSite::None) && !self.secure {
            Err(CookieError::NotSecure)
        } else {
            Ok(())
        }
    }

    /// The value of `Set-Cookie` for a session. Characters of its id that a cookie must not have are
    /// percent-encoded.
    pub(super) fn header(&self, sid: &str) -> String {
        let mut header = format!("{}={}", self.name, encoded(sid));
        if let Some(age) = self.max_age {
            // Writing to a text does not fail.
            let _ = write!(header, "; Max-Age={}", age.as_secs());
        }
        for (name, value) in [("Domain", &self.domain), ("Path", &self.path)] {
            if let Some(value) = value {
                let _ = write!(header, "; {name}={value}");
            }
        }
        header.push_str(if self.http_only { "; HttpOnly" } else { "" });
        header.push_str(if self.secure { "; Secure" } else { "" });
        header.push_str(match self.same_site {
            Some(SameSite::Strict) => "; SameSite=Strict",
            Some(SameSite::Lax) => "; SameSite=Lax",
            Some(SameSite::None) => "; SameSite=None",
            None => "",
        });
        header
    }
}

/// An id, which is visible ASCII, as the value of a cookie (RFC 6265, section 4.1.1).
fn encoded(sid: &str) -> String {
    let mut value = String::with_capacity(sid.len());
    for c in sid.chars() {
        if c.is_ascii_alphanumeric() || "-._~!*'()".contains(c) {
            value.push(c);
        } else {
            let _ = write!(value, "%{:02X}", u32::from(c));
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_has_the_reference_s_name_and_attributes_unless_set() {
        let cookie = Cookie::default();
        assert_eq!(cookie.header("aB-_"), "io=aB-_; Path=/; HttpOnly; SameSite=Lax");
        let cookie = Cookie {
            name: "at".to_owned(),
            path: None,
            domain: Some("a.example".to_owned()),
            http_only: false,
            secure: true,
            same_site: Some(SameSite::None),
            max_age: Some(Duration::from_secs(60)),
        };
        let expected = "at=a%3Bb%25; Max-Age=60; Domain=a.example; Secure; SameSite=None";
        assert_eq!((cookie.header("a;b%").as_str(), cookie.check()), (expected, Ok(())));
    }

    #[test]
    fn a_cookie_that_browsers_would_refuse_is_refused() {
        let usual = Cookie::default();
        let with = |text: &str| Some(text.to_owned());
        for (cookie, error) in [
            (Cookie { name: String::new(), ..usual.clone() }, CookieError::Name),
            (Cookie { name: "a=b".to_owned(), ..usual.clone() }, CookieError::Name),
            (Cookie { path: with("/;x"), ..usual.clone() }, CookieError::Attribute),
            (Cookie { domain: with("a\r\nb"), ..usual.clone() }, CookieError::Attribute),
            (Cookie { same_site: Some(SameSite::None), ..usual.clone() }, CookieError::NotSecure),
        ] {
            assert_eq!(cookie.check(), Err(error), "{cookie:?}");
        }
    }
}
