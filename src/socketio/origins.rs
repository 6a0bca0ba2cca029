//! Which pages may use a Socket.IO server.

use std::{fmt, sync::Arc, time::Duration};

use super::request::Request;
use crate::config::{AllowedOrigin, OriginError};

/// A predicate on the origin of a page and its request.
type IsAllowed = Arc<dyn Fn(&str, &Request) -> bool + Send + Sync>;

/// Pages by their origins, such as `https://app.example`. Clients other than browsers have none and are never
/// refused for it.
#[derive(Clone, Default)]
pub enum Origins {
    /// Pages of this server itself: the default. A page of a loopback address counts as one if it was sent to
    /// a loopback address.
    #[default]
    Same,
    /// Those, and these.
    List(Vec<AllowedOrigin>),
    /// All pages.
    Any,
    /// Pages of this server itself, and those whose origin, as the browser sent it, satisfies the function.
    Function(IsAllowed),
}

impl Origins {
    /// Pages of these origins, besides those of this server: a scheme, a host, and a port unless it is the
    /// scheme's default. `null` stands for pages without an origin, and `*` for all pages.
    ///
    /// # Errors
    /// A text is not an origin.
    pub fn list<T: AsRef<str>>(origins: impl IntoIterator<Item = T>) -> Result<Self, OriginError> {
        origins.into_iter().map(|origin| origin.as_ref().parse()).collect::<Result<_, _>>().map(Self::List)
    }

    /// Pages whose origin satisfies a function, besides those of this server.
    pub fn function(is_allowed: impl Fn(&str, &Request) -> bool + Send + Sync + 'static) -> Self {
        Self::Function(Arc::new(is_allowed))
    }

    /// The entries that are known before a request comes.
    pub(super) fn listed(&self) -> &[AllowedOrigin] {
        match self {
            Self::Same | Self::Function(_) => &[],
            Self::List(list) => list,
            Self::Any => &[AllowedOrigin::Any],
        }
    }
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => f.write_str("Same"),
            Self::List(list) => f.debug_tuple("List").field(list).finish(),
            Self::Any => f.write_str("Any"),
            Self::Function(_) => f.write_str("Function"),
        }
    }
}

/// Cross-origin resource sharing: which pages of other origins may read responses over polling, and what their
/// requests may have (the Fetch standard, section 3.2). A page that may read them may also begin a session by
/// polling; for WebSockets only [`Origins`] counts:
///
/// | allowed by | begins by polling | reads responses | begins on a WebSocket |
/// |---|---|---|---|
/// | neither | no | no | no |
/// | `Origins` | yes, of no use | no | yes |
/// | `Cors` | yes | yes | no |
/// | both | yes | yes | yes |
#[derive(Clone, Debug)]
pub struct Cors {
    /// The pages. [`Origins::Same`], the default, switches CORS off.
    pub origins: Origins,
    /// Whether requests may have cookies and HTTP authentication. It has no effect on pages allowed because
    /// all pages are, or because pages without an origin are: any site can have such a page. Off by default.
    pub credentials: bool,
    /// Methods in responses to preflights.
    pub methods: Vec<String>,
    /// Headers that requests may have. The default `None` allows those that the preflight asks for.
    pub allowed_headers: Option<Vec<String>>,
    /// Headers of responses that pages may read, besides those that they always may.
    pub exposed_headers: Vec<String>,
    /// How long a browser may keep the response to a preflight; its own default if it is `None`.
    pub max_age: Option<Duration>,
}

impl Default for Cors {
    fn default() -> Self {
        Self {
            origins: Origins::Same,
            credentials: false,
            methods: ["GET", "POST"].map(str::to_owned).into(),
            allowed_headers: None,
            exposed_headers: Vec::new(),
            max_age: None,
        }
    }
}

impl Cors {
    /// CORS for pages of these origins, without credentials.
    pub fn of(origins: Origins) -> Self {
        Self { origins, ..Self::default() }
    }
}
