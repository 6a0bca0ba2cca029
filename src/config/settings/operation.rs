//! Stopping the server, and watching it.

use std::net::SocketAddr;

use clap::Args;

use super::{
    Period, SettingError, Switch,
    range::{self, MOST_OF_A_KIND},
    reading,
};

/// How the server stops or goes on, and who may see its metrics.
#[derive(Args, Clone, Debug)]
pub struct Operation {
    /// How long sessions may take to leave when the server stops
    #[arg(long, env = "ECHOROOM_SHUTDOWN_TIMEOUT", value_name = "TIME", default_value = "5s")]
    pub shutdown_timeout: Period,

    /// How often in 10 seconds one part of the server may begin again after a panic; one more ends the process, as does
    /// the first with 0
    #[arg(long, env = "ECHOROOM_MAX_RESTARTS", value_name = "COUNT", default_value = "5",
          value_parser = reading::count_or_zero::<usize>)]
    pub max_restarts: usize,

    /// Whether /metrics is for all at the main port; else it is for programs on this machine, and only if there is no
    /// --metrics-bind
    #[arg(long, env = "ECHOROOM_PUBLIC_METRICS", value_name = "SWITCH", default_value = "off")]
    pub public_metrics: Switch,

    /// Address and port for /metrics alone, for all who can reach it
    #[arg(long, env = "ECHOROOM_METRICS_BIND", value_name = "ADDRESS:PORT",
          value_parser = reading::address_and_port)]
    pub metrics_bind: Option<SocketAddr>,
}

impl Operation {
    /// Checks each setting alone.
    pub(super) fn check(&self) -> Result<(), SettingError> {
        range::count("max-restarts", self.max_restarts, 0..=MOST_OF_A_KIND)
    }
}
