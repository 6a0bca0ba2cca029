//! Bounds on the number of sessions, in total and per address, and on how often an address may ask for one.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use super::{
    handshakes::{Handshakes, TooOften},
    permits::{Exceeded, Permit, Permits},
};
use crate::{config::PerAddress, logging};

/// The settings that the log names when their bounds are reached.
const MAX_SESSIONS: &str = "--max-sessions (ECHOROOM_MAX_SESSIONS)";
const MAX_PER_ADDRESS: &str = "--max-sessions-per-address (ECHOROOM_MAX_SESSIONS_PER_ADDRESS)";
const HANDSHAKE_RATE: &str = "--handshake-rate (ECHOROOM_HANDSHAKE_RATE)";

/// Counts sessions and refuses those over the bounds.
#[derive(Debug)]
pub struct Admission {
    permits: Arc<Permits>,
    handshakes: Handshakes,
    draining: AtomicBool,
}

/// The permit of a session; given back on drop.
#[derive(Debug)]
pub struct Admitted {
    _permit: Permit,
}

/// Why a session is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The bound of `--max-sessions`.
    #[error("there are as many sessions as the server takes (--max-sessions)")]
    Sessions,
    /// The bound of `--max-sessions-per-address`.
    #[error("there are as many sessions from your address as the server takes (--max-sessions-per-address)")]
    Address,
    /// The bound of `--handshake-rate`.
    #[error("your address has asked for sessions too often (--handshake-rate)")]
    TooOften,
    /// The server stops.
    #[error("the server is about to stop")]
    Draining,
}

impl Admission {
    /// No sessions yet. At most `max_sessions` at a time, and for each address as many as `per_address` allows; each address
    /// may ask for `handshake_rate` sessions a second, and for `handshake_burst` at once after a pause.
    pub(crate) fn new(
        max_sessions: usize,
        per_address: PerAddress,
        handshake_rate: PerAddress,
        handshake_burst: NonZeroU32,
    ) -> Arc<Self> {
        Arc::new(Self {
            permits: Permits::new(max_sessions, per_address),
            handshakes: Handshakes::new(handshake_rate, handshake_burst),
            draining: AtomicBool::new(false),
        })
    }

    /// Counts that a client at `address` asks for a session. Call it before all other checks: handshakes that
    /// fail those count, too.
    ///
    /// # Errors
    /// [`Full::TooOften`].
    pub fn knock(&self, address: Option<IpAddr>) -> Result<(), Full> {
        self.handshakes.take(address, Instant::now()).map_err(|TooOften { rate }| {
            let address = address.map_or_else(String::new, |address| address.to_string());
            let what = format_args!("{address} asks for more than {rate} sessions a second; one was refused");
            logging::refused(HANDSHAKE_RATE, what);
            Full::TooOften
        })
    }

    /// A permit for one more session from `address`.
    ///
    /// # Errors
    /// The bound that is reached, or [`Full::Draining`].
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

    /// The number of open sessions.
    pub fn sessions(&self) -> usize {
        self.permits.used()
    }

    /// The bound on sessions.
    pub fn max_sessions(&self) -> usize {
        self.permits.bound()
    }

    /// Admits no session from now on.
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

    fn admission(max_sessions: usize, per_address: usize) -> Arc<Admission> {
        let of_each = PerAddress::for_all;
        Admission::new(max_sessions, of_each(per_address), of_each(1), NonZeroU32::MIN)
    }

    #[test]
    fn a_session_too_many_is_told_which_bound_it_would_exceed() {
        let admission = admission(2, 1);
        let first = admission.admit(ONE).expect("a place");
        assert_eq!(admission.admit(ONE).expect_err("full"), Full::Address);
        let _second = admission.admit(TWO).expect("a place");
        assert_eq!(admission.admit(None).expect_err("full"), Full::Sessions);
        assert_eq!((admission.sessions(), admission.max_sessions()), (2, 2));
        drop(first);
        assert!(admission.admit(ONE).is_ok());
    }

    #[test]
    fn a_draining_server_admits_no_session() {
        let admission = admission(9, 0);
        admission.drain();
        assert_eq!(admission.admit(ONE).expect_err("draining"), Full::Draining);
    }

    #[test]
    fn an_address_that_asks_too_often_is_told_so_whatever_it_was_answered() {
        let admission = admission(9, 0);
        assert_eq!(admission.knock(ONE), Ok(()));
        assert_eq!(admission.knock(ONE), Err(Full::TooOften));
        assert_eq!(admission.knock(TWO), Ok(()));
        assert_eq!(admission.sessions(), 0);
    }
}
