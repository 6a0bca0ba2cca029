//! Ports for servers that are started again on their port.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
};

/// The system takes ports for outgoing connections from 32768 on: none of these is taken while its server is down.
const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// Ports that each process of tests looks at before those of the next one.
const STEP: u32 = 97;

/// A port on which nothing listens, and which this process has not been given before.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id().wrapping_mul(STEP).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + number % COUNT).expect("less than 32768");
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
}
