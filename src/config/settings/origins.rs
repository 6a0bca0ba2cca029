//! Names and web origins that requests may come by.

use clap::Args;

use super::{AllowedHost, AllowedOrigin, SettingError, error::Key};

/// Which names and web origins are allowed.
#[derive(Args, Clone, Debug)]
pub struct Origins {
    /// Name that the server is reached by, or * for all; repeatable. Addresses, localhost, names without a dot, and those
    /// below .local, .lan, .home.arpa and .internal need not be named; requests for other names get 421
    #[arg(long, env = "ECHOROOM_HOST", value_name = "NAME", value_delimiter = ',')]
    pub host: Vec<AllowedHost>,

    /// Web origin (scheme, host, port) whose pages may connect besides our own, or * for all; repeatable
    #[arg(long, env = "ECHOROOM_ALLOW_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    pub allow_origin: Vec<AllowedOrigin>,
}

impl Origins {
    /// Checks each of these settings alone.
    ///
    /// # Errors
    /// The first setting that is not valid.
    pub(super) fn check(&self) -> Result<(), SettingError> {
        are_origins("allow-origin", &self.allow_origin)
    }
}

/// Checks that each entry is an origin as a browser writes it. Only an embedding program can set another: the command
/// line refuses it.
///
/// # Errors
/// The first entry that no browser sends.
pub(super) fn are_origins(flag: &'static str, origins: &[AllowedOrigin]) -> Result<(), SettingError> {
    let not_one = origins.iter().find_map(|origin| match origin {
        AllowedOrigin::Exact(text) if text.parse::<AllowedOrigin>().as_ref() != Ok(origin) => Some(text),
        _ => None,
    });
    match not_one {
        Some(origin) => Err(SettingError::NotAnOrigin { key: Key(flag), origin: origin.clone() }),
        None => Ok(()),
    }
}
