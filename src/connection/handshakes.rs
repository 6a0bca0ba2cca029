//! How often each client address may ask for a session, granted or not: a token bucket for each address.

use std::{
    collections::HashMap,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::config::{PerAddress, per_address::network_of};

/// Addresses in a table. There are two tables; a client with more addresses than both hold is not bounded by
/// them.
const MAX_ADDRESSES: usize = 32 * 1024;

/// The token buckets of client addresses.
#[derive(Debug)]
pub(crate) struct Handshakes {
    /// Handshakes a second.
    rate: PerAddress,
    /// Handshakes at once, after a pause.
    burst: u32,
    buckets: Mutex<Buckets>,
}

/// The address has asked too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooOften {
    /// The bound, in handshakes a second.
    pub rate: usize,
}

/// The buckets that are not full, each as the time when it will be full. A full `younger` table becomes the
/// `older` one, whose addresses are forgotten: they have asked longest ago.
#[derive(Debug, Default)]
struct Buckets {
    younger: HashMap<IpAddr, Instant>,
    older: HashMap<IpAddr, Instant>,
}

impl Handshakes {
    /// `rate` handshakes a second for each address, and `burst` at once after a pause.
    pub(crate) fn new(rate: PerAddress, burst: NonZeroU32) -> Self {
        Self { rate, burst: burst.get(), buckets: Mutex::default() }
    }

    /// Takes a token for a client that asks for a session. An unknown address has no bound.
    ///
    /// # Errors
    /// The address has asked too often.
    pub(crate) fn take(&self, address: Option<IpAddr>, now: Instant) -> Result<(), TooOften> {
        let Some((address, rate)) = address.and_then(|ip| Some((network_of(ip), self.rate.bound_for(ip)?)))
        else {
            return Ok(());
        };
        let one = Duration::from_secs(1).div_f64(rate as f64);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = buckets.full_at(address).map_or(now, |at| at.max(now)) + one;
        if full_at.saturating_duration_since(now) > one.saturating_mul(self.burst) {
            return Err(TooOften { rate });
        }
        buckets.set(address, full_at);
        Ok(())
    }
}

impl Buckets {
    fn full_at(&self, address: IpAddr) -> Option<Instant> {
        self.younger.get(&address).or_else(|| self.older.get(&address)).copied()
    }

    fn set(&mut self, address: IpAddr, full_at: Instant) {
        if self.younger.len() >= MAX_ADDRESSES && !self.younger.contains_key(&address) {
            self.older = std::mem::take(&mut self.younger);
        }
        self.younger.insert(address, full_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const TWO: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));
    const SECOND: Duration = Duration::from_secs(1);

    fn handshakes(rate: PerAddress, burst: u32) -> Handshakes {
        Handshakes::new(rate, NonZeroU32::new(burst).expect("not zero"))
    }

    #[test]
    fn an_address_may_ask_so_often_at_once_and_then_at_the_rate() {
        let handshakes = handshakes(PerAddress::for_public(2), 3);
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(handshakes.take(ONE, start), Ok(()));
        }
        assert_eq!(handshakes.take(ONE, start), Err(TooOften { rate: 2 }));
        assert_eq!(handshakes.take(TWO, start), Ok(()), "another address");
        assert_eq!(handshakes.take(ONE, start + SECOND / 2), Ok(()));
        assert_eq!(handshakes.take(ONE, start + SECOND / 2), Err(TooOften { rate: 2 }));
        for _ in 0..3 {
            assert_eq!(handshakes.take(ONE, start + 60 * SECOND), Ok(()), "full again");
        }
        assert_eq!(handshakes.take(ONE, start + 60 * SECOND), Err(TooOften { rate: 2 }));
    }

    #[test]
    fn an_ipv6_network_is_one_address_and_addresses_without_a_bound_take_no_memory() {
        let handshakes = handshakes(PerAddress::for_public(1), 1);
        let from = |text: &str| handshakes.take(Some(text.parse().expect("an address")), Instant::now());
        assert_eq!(from("2001:db8::1"), Ok(()));
        assert_eq!(from("2001:db8::2"), Err(TooOften { rate: 1 }));
        for _ in 0..9 {
            assert_eq!(from("10.0.0.1"), Ok(()));
        }
        assert_eq!(handshakes.buckets.lock().expect("not poisoned").younger.len(), 1);
    }

    #[test]
    fn any_number_of_addresses_takes_a_bounded_memory() {
        let handshakes = handshakes(PerAddress::for_all(1), 1);
        let start = Instant::now();
        for number in 0..3 * MAX_ADDRESSES as u32 {
            assert_eq!(handshakes.take(Some(IpAddr::V4(number.into())), start), Ok(()));
        }
        let buckets = handshakes.buckets.lock().expect("not poisoned");
        assert!(buckets.younger.len() + buckets.older.len() <= 2 * MAX_ADDRESSES);
        drop(buckets);
        let last = Some(IpAddr::V4((3 * MAX_ADDRESSES as u32 - 1).into()));
        assert!(handshakes.take(last, start).is_err(), "the newest are known");
    }
}
