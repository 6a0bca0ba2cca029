//! How many rooms each client address has made lately.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::config::{PerAddress, per_address::network_of};

/// The period in which rooms are counted.
const MINUTE: Duration = Duration::from_secs(60);

/// Once this many addresses are in the map, those whose minute is over are removed.
const FIRST_PURGE: usize = 64;

/// Counts new rooms per address, within a minute that begins with the address's first one.
#[derive(Debug)]
pub(super) struct NewRooms {
    max: PerAddress,
    by_address: HashMap<IpAddr, Minute>,
    purge_at: usize,
}

#[derive(Debug)]
struct Minute {
    began: Instant,
    made: usize,
}

impl NewRooms {
    /// Nothing counted yet; allows `max` new rooms a minute per address.
    pub(super) fn new(max: PerAddress) -> Self {
        Self { max, by_address: HashMap::new(), purge_at: FIRST_PURGE }
    }

    /// Whether a client at this address may make a room now. An unknown address has no bound.
    pub(super) fn may_make(&self, address: Option<IpAddr>, now: Instant) -> bool {
        let Some((address, bound)) = self.bounded(address) else {
            return true;
        };
        self.by_address.get(&address).is_none_or(|minute| minute.is_over(now) || minute.made < bound)
    }

    /// Counts a room made by a client at this address.
    pub(super) fn made(&mut self, address: Option<IpAddr>, now: Instant) {
        let Some((address, _)) = self.bounded(address) else {
            return;
        };
        if self.by_address.len() >= self.purge_at {
            self.by_address.retain(|_, minute| !minute.is_over(now));
            self.purge_at = (2 * self.by_address.len()).max(FIRST_PURGE);
        }
        let minute = self.by_address.entry(address).or_insert(Minute { began: now, made: 0 });
        if minute.is_over(now) {
            *minute = Minute { began: now, made: 0 };
        }
        minute.made += 1;
    }

    fn bounded(&self, address: Option<IpAddr>) -> Option<(IpAddr, usize)> {
        let address = address?;
        Some((network_of(address), self.max.bound_for(address)?))
    }
}

impl Minute {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.began) >= MINUTE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    fn an_address_makes_so_many_rooms_in_a_minute_and_others_are_not_held_back() {
        let (mut rooms, now) = (NewRooms::new(PerAddress::for_all(2)), Instant::now());
        for _ in 0..2 {
            assert!(rooms.may_make(from("192.0.2.1"), now));
            rooms.made(from("192.0.2.1"), now);
        }
        assert!(!rooms.may_make(from("192.0.2.1"), now + Duration::from_secs(59)));
        assert!(rooms.may_make(from("192.0.2.2"), now));
        assert!(rooms.may_make(from("192.0.2.1"), now + MINUTE));
        rooms.made(from("192.0.2.1"), now + MINUTE);
        assert!(rooms.may_make(from("192.0.2.1"), now + MINUTE), "a new minute");
    }

    #[test]
    fn private_and_unknown_addresses_have_no_bound_by_default() {
        let (mut rooms, now) = (NewRooms::new(PerAddress::for_public(1)), Instant::now());
        for address in [from("127.0.0.1"), from("10.0.0.1"), None] {
            for _ in 0..3 {
                rooms.made(address, now);
            }
            assert!(rooms.may_make(address, now));
        }
        assert!(rooms.by_address.is_empty());
    }

    #[test]
    fn addresses_whose_minute_is_over_are_let_go() {
        let (mut rooms, now) = (NewRooms::new(PerAddress::for_all(1)), Instant::now());
        for number in 0..10_000_u32 {
            let address = IpAddr::V4((0xC000_0200 + number).into());
            rooms.made(Some(address), now + MINUTE * (number / 100));
        }
        assert!(rooms.by_address.len() < 400, "{}", rooms.by_address.len());
    }
}
