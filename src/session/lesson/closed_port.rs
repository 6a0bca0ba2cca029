//! Finds a port where nothing listens, for the lesson about failed connections.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use socket2::{Domain, Protocol, Socket, Type};

/// The highest of the "bad ports" of the Fetch standard, to which browsers do not connect.
const LAST_BLOCKED: u16 = 10_080;

/// How many ports are tried.
const TRIES: usize = 16;

/// A port that is free at `address` now. It is not reserved: in theory a program may listen there in the next
/// moment.
///
/// # Errors
/// No such port was found, or `address` is not one of this machine.
pub(crate) fn find(address: IpAddr) -> io::Result<u16> {
    // The page may connect to `localhost`, which stands for both loopback addresses.
    let other: IpAddr =
        if address.is_ipv4() { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
    for _ in 0..TRIES {
        let port = free_port(SocketAddr::new(address, 0))?;
        if port > LAST_BLOCKED && !is_used(SocketAddr::new(other, port)) {
            return Ok(port);
        }
    }
    Err(io::Error::other("no free port was found that a browser would connect to"))
}

/// False if the machine has no address of this kind: then nothing listens there.
fn is_used(address: SocketAddr) -> bool {
    free_port(address).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

/// A port that was bound, but never listened on.
fn free_port(address: SocketAddr) -> io::Result<u16> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&address.into())?;
    let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok(address.port())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn nothing_listens_there() {
        let port = find(Ipv4Addr::LOCALHOST.into()).expect("a port");
        assert!(port > LAST_BLOCKED);
        let error = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect_err("closed");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_port_in_use_is_not_free() {
        let used = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        assert!(is_used(used.local_addr().expect("bound")));
    }
}
