//! Bounds on the number of connections, whatever they carry, and the handling of connections over a bound.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::oneshot;

use super::permits::{Exceeded, Permit, Permits};
use crate::{
    config::{Network, PerAddress},
    logging,
};

const MAX_CONNECTIONS: &str = "--max-connections (ECHOROOM_MAX_CONNECTIONS)";
const MAX_PER_ADDRESS: &str = "--max-connections-per-address (ECHOROOM_MAX_CONNECTIONS_PER_ADDRESS)";

/// Counts connections and refuses those over the bounds.
#[derive(Debug)]
pub(crate) struct Connections {
    permits: Arc<Permits>,
    /// Networks of proxies: a connection from a proxy may be that of any client.
    trusted: Vec<Network>,
    over_total: SurplusLine,
    over_address: SurplusLine,
}

/// Why a connection is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Surplus {
    /// The bound of `--max-connections`.
    #[error("there are as many connections as the server takes (--max-connections)")]
    Total,
    /// The bound of `--max-connections-per-address`.
    #[error(
        "there are as many connections from your address as the server takes (--max-connections-per-address)"
    )]
    Address,
}

impl Connections {
    /// At most `max` connections, and for each address as many as `per_address` allows; addresses of
    /// `trusted` proxies have no bound of their own. Over each bound, `surplus` connections at a time are
    /// read from, to answer `/health` and to say why other requests are refused.
    pub(crate) fn new(
        max: usize,
        per_address: PerAddress,
        trusted: Vec<Network>,
        surplus: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            permits: Permits::new(max, per_address),
            trusted,
            over_total: SurplusLine::new(surplus),
            over_address: SurplusLine::new(surplus),
        })
    }

    /// A permit for a connection that has been accepted.
    ///
    /// # Errors
    /// The bound that is reached.
    pub(crate) fn admit(&self, peer: IpAddr) -> Result<Permit, Surplus> {
        let is_proxy = self.trusted.iter().any(|network| network.contains(peer));
        self.permits.take((!is_proxy).then_some(peer)).map_err(|exceeded| match exceeded {
            Exceeded::Total(bound) => {
                let what = "one more was refused";
                logging::refused(MAX_CONNECTIONS, format_args!("there are {bound} connections; {what}"));
                Surplus::Total
            }
            Exceeded::Address(bound) => {
                let what = format_args!("{peer} has {bound} connections; one more was refused");
                logging::refused(MAX_PER_ADDRESS, what);
                Surplus::Address
            }
        })
    }

    /// Lets a connection over a bound stay until it is told why. Only the newest ones may: the receiver fails
    /// once `surplus` newer connections have come.
    pub(crate) fn stand_aside(&self, surplus: Surplus) -> oneshot::Receiver<()> {
        match surplus {
            Surplus::Total => self.over_total.enter(),
            Surplus::Address => self.over_address.enter(),
        }
    }

    /// The number of open connections within the bounds.
    pub(crate) fn used(&self) -> usize {
        self.permits.used()
    }

    /// The bound on connections.
    pub(crate) fn bound(&self) -> usize {
        self.permits.bound()
    }
}

/// The connections over one bound. A client that opens connections and sends nothing must not keep requests
/// for `/health` out, so the oldest connection goes; by then it has sent its request, if it has one.
#[derive(Debug)]
struct SurplusLine {
    max: usize,
    line: Mutex<VecDeque<oneshot::Sender<()>>>,
}

impl SurplusLine {
    fn new(max: usize) -> Self {
        Self { max, line: Mutex::default() }
    }

    fn enter(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.push_back(sender);
        if line.len() > self.max {
            line.pop_front();
        }
        receiver
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn connections_are_bounded_in_all_and_for_each_address() {
        let connections = Connections::new(2, PerAddress::for_public(1), Vec::new(), 9);
        let _first = connections.admit(CLIENT).expect("a place");
        assert_eq!(connections.admit(CLIENT).expect_err("full"), Surplus::Address);
        let _other = connections.admit([127, 0, 0, 1].into()).expect("a place");
        assert_eq!(connections.admit([127, 0, 0, 1].into()).expect_err("full"), Surplus::Total);
        assert_eq!((connections.used(), connections.bound()), (2, 2));
    }

    #[test]
    fn a_trusted_proxy_may_have_any_number_of_connections() {
        let proxy = "192.0.2.0/24".parse().expect("a network");
        let connections = Connections::new(9, PerAddress::for_all(1), vec![proxy], 9);
        let _both =
            [connections.admit(CLIENT).expect("a place"), connections.admit(CLIENT).expect("a place")];
    }

    #[test]
    fn the_newest_surplus_connections_stay() {
        let connections = Connections::new(1, PerAddress::for_all(0), Vec::new(), 9);
        let mut first = connections.stand_aside(Surplus::Total);
        let mut line: Vec<_> = (1..9).map(|_| connections.stand_aside(Surplus::Total)).collect();
        let _elsewhere = connections.stand_aside(Surplus::Address);
        assert_eq!(first.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        line.push(connections.stand_aside(Surplus::Total));
        assert_eq!(first.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert!(line.iter_mut().all(|one| one.try_recv() == Err(oneshot::error::TryRecvError::Empty)));
    }
}
