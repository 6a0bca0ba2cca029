//! Web origins.

use std::str::FromStr;

/// An entry of `--allow-origin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// `*`: every page.
    Any,
    /// `null`: pages without an origin of their own, such as files.
    Null,
    /// Scheme, host and port, as a browser writes them.
    Exact(String),
}

/// Parse error of [`AllowedOrigin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an origin is *, null, or http:// or https:// and one host, such as https://example.com or http://localhost:8080; * \
     stands for all origins and is no part of one"
)]
pub struct OriginError;

impl FromStr for AllowedOrigin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        match text {
            "*" => return Ok(Self::Any),
            "null" => return Ok(Self::Null),
            _ => {}
        }
        let url = url::Url::parse(text).map_err(|_| OriginError)?;
        let names_only_an_origin = matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let origin = url.origin();
        // Browsers send no other origins: such an entry would never match.
        let is_of_a_page = matches!(url.scheme(), "http" | "https")
            && !url.host_str().is_some_and(|host| host.contains('*'));
        if !origin.is_tuple() || !names_only_an_origin || !is_of_a_page {
            return Err(OriginError);
        }
        Ok(Self::Exact(origin.ascii_serialization()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_read_as_a_browser_writes_it() {
        let parse = |text: &str| text.parse::<AllowedOrigin>();
        assert_eq!(parse("*"), Ok(AllowedOrigin::Any));
        assert_eq!(parse("null"), Ok(AllowedOrigin::Null));
        assert_eq!(
            parse("HTTPS://Example.com:443/"),
            Ok(AllowedOrigin::Exact("https://example.com".to_owned()))
        );
        for text in [
            "",
            "example.com",
            "https://",
            "https://a.b/path",
            "https://u@a.b",
            "file:///x",
            "a b",
            "http://*.example",
            "https://a.*",
            "http://*:80",
            "ws://a.b",
            "ftp://a.b",
        ] {
            assert_eq!(parse(text), Err(OriginError), "{text:?}");
        }
    }
}
