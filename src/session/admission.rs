//! How many sessions there may be, in total and from one address.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::permits::{Exceeded, Permit, Permits};
use crate::{config::PerAddress, logging};

/// The settings whose bounds are reached, as the log names them.
const MAX_SESSIONS: &str = "--max-sessions (ECHOROOM_MAX_SESSIONS)";
const MAX_PER_ADDRESS: &str = "--max-sessions-per-address (ECHOROOM_MAX_SESSIONS_PER_ADDRESS)";

/// Counts sessions and refuses those over the bounds.
#[derive(Debug)]
pub struct Admission {
    permits: Arc<Permits>,
    draining: AtomicBool,
}

/// A session's place; given back when dropped.
#[derive(Debug)]
pub struct Admitted {
    _permit: Permit,
}

/// Why a session is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// `--max-sessions`.
    #[error("there are as many sessions as the server takes (--max-sessions)")]
    Sessions,
    /// `--max-sessions-per-address`.
    #[error("there are as many sessions from your address as the server takes (--max-sessions-per-address)")]
    Address,
    /// The server stops.
    #[error("the server is about to stop")]
    Draining,
}

impl Admission {
    /// No sessions yet.
    pub fn new(max_sessions: usize, max_per_address: PerAddress) -> Arc<Self> {
        let permits = Permits::new(max_sessions, max_per_address);
        Arc::new(Self { permits, draining: AtomicBool::new(false) })
    }

    /// A place for one more session from `address`.
    ///
    /// # Errors
    /// Which bound is reached.
    pub fn admit(&self, address: Option<IpAddr>) -> Result<Admitted, Full> {
        if self.is_draining() {
            return Err(Full::Draining);
        }
        match self.permits.take(address) {
            Ok(permit) => Ok(Admitted { _permit: permit }),
            Err(Exceeded::Total(bound)) => {
                logging::refused(
                    MAX_SESSIONS,
                    format_args!("there are {bound} sessions; one more was refused"),
                );
                Err(Full::Sessions)
            }
            Err(Exceeded::Address(bound)) => {
                let address = address.map_or_else(String::new, |address| address.to_string());
                let what = format_args!("{address} has {bound} sessions; one more was refused");
                logging::refused(MAX_PER_ADDRESS, what);
                Err(Full::Address)
            }
        }
    }

    /// Sessions open now.
    pub fn sessions(&self) -> usize {
        self.permits.used()
    }

    /// Sessions that there may be.
    pub fn max_sessions(&self) -> usize {
        self.permits.bound()
    }

    /// From now on nobody is admitted.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Whether the server is about to stop.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const TWO: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));

    #[test]
    fn a_session_too_many_is_told_which_bound_it_would_exceed() {
        let admission = Admission::new(2, PerAddress::for_all(1));
        let first = admission.admit(ONE).expect("a place");
        assert_eq!(admission.admit(ONE).expect_err("full"), Full::Address);
        let _second = admission.admit(TWO).expect("a place");
        assert_eq!(admission.admit(None).expect_err("full"), Full::Sessions);
        assert_eq!((admission.sessions(), admission.max_sessions()), (2, 2));
        drop(first);
        assert!(admission.admit(ONE).is_ok());
    }

    #[test]
    fn a_draining_server_admits_nobody() {
        let admission = Admission::new(9, PerAddress::for_all(0));
        admission.drain();
        assert_eq!(admission.admit(ONE).expect_err("draining"), Full::Draining);
    }
}
