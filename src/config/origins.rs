//! Names and web origins that requests may come by.

use clap::Args;

use super::{AllowedHost, AllowedOrigin};

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
