//! Values that are written as settings, and the settings of the program.

#[cfg(feature = "program")]
pub use self::settings::*;
pub use self::{
    host::{AllowedHost, HostName},
    network::{Network, NetworkError},
    node_name::{NodeName, NodeNameError},
    origin::{AllowedOrigin, OriginError},
    per_address::PerAddress,
    redis_url::{Place, RedisUrl, RedisUrlError},
    switch::Switch,
    timer::LONGEST_TIMER_MILLIS,
};

pub mod host;
mod network;
mod node_name;
mod origin;
pub mod per_address;
mod redis_url;
#[cfg(feature = "program")]
mod settings;
mod switch;
mod timer;
