//! How many sessions there may be, in total and from one address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use crate::{
    config::{PerAddress, per_address::network_of},
    logging,
};

/// The settings whose bounds are reached, as the log names them.
const MAX_SESSIONS: &str = "--max-sessions (ECHOROOM_MAX_SESSIONS)";
const MAX_PER_ADDRESS: &str = "--max-sessions-per-address (ECHOROOM_MAX_SESSIONS_PER_ADDRESS)";

/// Counts sessions and refuses those over the bounds.
#[derive(Debug)]
pub struct Admission {
    max_sessions: usize,
    max_per_address: PerAddress,
    sessions: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    draining: AtomicBool,
}

/// A session's place; given back when dropped.
#[derive(Debug)]
pub struct Admitted {
    admission: Arc<Admission>,
    /// Only if the address has a bound.
    address: Option<IpAddr>,
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
        Arc::new(Self {
            max_sessions,
            max_per_address,
            sessions: AtomicUsize::new(0),
            by_address: Mutex::default(),
            draining: AtomicBool::new(false),
        })
    }

    /// A place for one more session from `address`.
    ///
    /// # Errors
    /// Which bound is reached.
    pub fn admit(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Admitted, Full> {
        if self.is_draining() {
            return Err(Full::Draining);
        }
        // Count first: two that come at once must not both take the last place.
        if self.sessions.fetch_add(1, Ordering::SeqCst) >= self.max_sessions {
            self.sessions.fetch_sub(1, Ordering::SeqCst);
            logging::refused(
                MAX_SESSIONS,
                format_args!("there are {} sessions; one more was refused", self.max_sessions),
            );
            return Err(Full::Sessions);
        }
        let mut admitted = Admitted { admission: Arc::clone(self), address: None };
        let bounded = address.and_then(|address| Some((address, self.max_per_address.bound_for(address)?)));
        if let Some((address, bound)) = bounded {
            let network = network_of(address);
            let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
            let count = by_address.entry(network).or_default();
            if *count >= bound {
                drop(by_address);
                logging::refused(
                    MAX_PER_ADDRESS,
                    format_args!("{address} has {bound} sessions; one more was refused"),
                );
                return Err(Full::Address);
            }
            *count += 1;
            admitted.address = Some(network);
        }
        Ok(admitted)
    }

    /// Sessions open now.
    pub fn sessions(&self) -> usize {
        self.sessions.load(Ordering::SeqCst)
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

impl Drop for Admitted {
    fn drop(&mut self) {
        self.admission.sessions.fetch_sub(1, Ordering::SeqCst);
        if let Some(address) = self.address {
            let mut by_address = self.admission.by_address.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = by_address.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    by_address.remove(&address);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const TWO: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));

    #[test]
    fn the_bound_over_all_holds_and_places_come_back() {
        let admission = Admission::new(2, PerAddress::for_all(0));
        let first = admission.admit(ONE).expect("a place");
        let _second = admission.admit(ONE).expect("a place");
        assert_eq!(admission.admit(TWO).expect_err("full"), Full::Sessions);
        assert_eq!(admission.sessions(), 2);
        drop(first);
        assert!(admission.admit(TWO).is_ok());
    }

    #[test]
    fn the_bound_of_an_address_is_its_own() {
        let admission = Admission::new(9, PerAddress::for_all(1));
        let first = admission.admit(ONE).expect("a place");
        assert_eq!(admission.admit(ONE).expect_err("full"), Full::Address);
        assert_eq!(admission.sessions(), 1, "a refused session is not counted");
        let _other = admission.admit(TWO).expect("another address");
        drop(first);
        assert!(admission.admit(ONE).is_ok());
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let admission = Admission::new(9, PerAddress::for_all(1));
        let from = |text: &str| admission.admit(Some(text.parse().expect("an address")));
        let _first = from("2001:db8:0:1::1").expect("a place");
        assert_eq!(from("2001:db8:0:1:ffff::2").expect_err("the same network"), Full::Address);
        assert!(from("2001:db8:0:2::1").is_ok());
    }

    #[test]
    fn addresses_without_sessions_are_forgotten() {
        let admission = Admission::new(9, PerAddress::for_all(1));
        drop(admission.admit(ONE));
        assert!(admission.by_address.lock().expect("not poisoned").is_empty());
    }

    #[test]
    fn a_draining_server_admits_nobody() {
        let admission = Admission::new(9, PerAddress::for_all(0));
        admission.drain();
        assert_eq!(admission.admit(ONE).expect_err("draining"), Full::Draining);
    }
}
