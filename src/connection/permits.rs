//! Counted permits of one kind, bounded in total and for each client address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::config::{PerAddress, per_address::network_of};

/// The bounds on permits, and how many are taken.
#[derive(Debug)]
pub(crate) struct Permits {
    max: usize,
    per_address: PerAddress,
    taken: AtomicUsize,
    /// Only addresses that have a bound and a permit.
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// One permit; given back on drop.
#[derive(Debug)]
pub(crate) struct Permit {
    permits: Arc<Permits>,
    /// `None` if the address has no bound.
    address: Option<IpAddr>,
}

/// The bound that one more permit would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exceeded {
    /// The bound over all addresses.
    Total(usize),
    /// The bound of this address.
    Address(usize),
}

impl Permits {
    /// At most `max` permits, and for each address as many as `per_address` allows.
    pub(crate) fn new(max: usize, per_address: PerAddress) -> Arc<Self> {
        Arc::new(Self { max, per_address, taken: AtomicUsize::new(0), by_address: Mutex::default() })
    }

    /// Takes a permit, for `address` if it is known and has a bound.
    ///
    /// # Errors
    /// The bound that is reached.
    pub(crate) fn take(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Permit, Exceeded> {
        // Count first: two threads must not both take the last permit.
        if self.taken.fetch_add(1, Ordering::SeqCst) >= self.max {
            self.taken.fetch_sub(1, Ordering::SeqCst);
            return Err(Exceeded::Total(self.max));
        }
        let mut permit = Permit { permits: Arc::clone(self), address: None };
        if let Some((address, bound)) = address.and_then(|ip| Some((ip, self.per_address.bound_for(ip)?))) {
            let network = network_of(address);
            let mut by_address = self.by_address();
            let count = by_address.entry(network).or_default();
            if *count >= bound {
                return Err(Exceeded::Address(bound));
            }
            *count += 1;
            permit.address = Some(network);
        }
        Ok(permit)
    }

    /// The number of permits taken.
    pub(crate) fn used(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    /// The bound over all addresses.
    pub(crate) fn bound(&self) -> usize {
        self.max
    }

    fn by_address(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.taken.fetch_sub(1, Ordering::SeqCst);
        let Some(address) = self.address else { return };
        let mut by_address = self.permits.by_address();
        if let Some(count) = by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&address);
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
        let permits = Permits::new(2, PerAddress::for_all(0));
        let first = permits.take(ONE).expect("a place");
        let _second = permits.take(ONE).expect("a place");
        assert_eq!(permits.take(TWO).expect_err("full"), Exceeded::Total(2));
        assert_eq!((permits.used(), permits.bound()), (2, 2));
        drop(first);
        assert!(permits.take(TWO).is_ok());
    }

    #[test]
    fn the_bound_of_an_address_is_its_own() {
        let permits = Permits::new(9, PerAddress::for_all(1));
        let first = permits.take(ONE).expect("a place");
        assert_eq!(permits.take(ONE).expect_err("full"), Exceeded::Address(1));
        assert_eq!(permits.used(), 1, "a refused place is not counted");
        let _other = permits.take(TWO).expect("another address");
        drop(first);
        assert!(permits.take(ONE).is_ok());
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let permits = Permits::new(9, PerAddress::for_public(1));
        let from = |text: &str| permits.take(Some(text.parse().expect("an address")));
        let _first = from("2001:db8:0:1::1").expect("a place");
        assert_eq!(from("2001:db8:0:1:ffff::2").expect_err("the same network"), Exceeded::Address(1));
        assert!(from("2001:db8:0:2::1").is_ok());
    }

    #[test]
    fn addresses_without_a_place_or_a_bound_take_no_memory() {
        let permits = Permits::new(9, PerAddress::for_public(1));
        drop(permits.take(ONE));
        assert!(permits.by_address().is_empty());
        let private = [10, 0, 0, 1].into();
        let _kept =
            [permits.take(Some(private)).expect("a place"), permits.take(Some(private)).expect("a place")];
        assert!(permits.by_address().is_empty());
    }
}
