//! Stopping the server, and watching it.

use std::net::SocketAddr;

use clap::Args;

use super::{Period, Switch, reading};

/// How the server stops, and who may see its metrics.
#[derive(Args, Clone, Debug)]
pub struct Operation {
    /// How long sessions may take to leave when the server stops
    #[arg(long, env = "ECHOROOM_SHUTDOWN_TIMEOUT", value_name = "TIME", default_value = "5s")]
    pub shutdown_timeout: Period,

    /// Whether /metrics is for all at the main port; else it is for programs on this machine, and only if there is no
    /// --metrics-bind
    #[arg(long, env = "ECHOROOM_PUBLIC_METRICS", value_name = "SWITCH", default_value = "off")]
    pub public_metrics: Switch,

    /// Address and port for /metrics alone, for all who can reach it
    #[arg(long, env = "ECHOROOM_METRICS_BIND", value_name = "ADDRESS:PORT",
          value_parser = reading::address_and_port)]
    pub metrics_bind: Option<SocketAddr>,
}
