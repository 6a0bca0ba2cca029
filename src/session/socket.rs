//! The socket under a session, as others may use it: to end a connection that no longer runs.
//!
//! actix-http owns the socket. While a client does not read, it polls nothing of the connection, timers included, so
//! nobody inside can end it. Two things outside can: the kernel, by `TCP_USER_TIMEOUT`, for a client that takes
//! nothing at all; and [`Connection::cut_after`], for one that takes a byte now and then.

use std::{
    any::Any,
    io,
    net::{Shutdown, SocketAddr},
    os::fd::{AsRawFd as _, BorrowedFd, RawFd},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use actix_web::{
    dev::Extensions,
    rt::{self, net::TcpStream},
};
use log::debug;
use socket2::SockRef;
use tokio::task::AbortHandle;

/// In [`Connection::descriptor`]: the socket is gone.
const GONE: RawFd = -1;

/// A connection's socket, seen from outside; it does not keep the socket open.
#[derive(Debug)]
pub struct Connection {
    descriptor: AtomicI32,
    peer: SocketAddr,
    /// The wait for the cut, if one was ordered; it ends with the connection.
    cut: OnceLock<AbortHandle>,
}

/// Lives in the connection's data and goes with it, just before the socket.
#[derive(Debug)]
struct Guard(Arc<Connection>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.descriptor.store(GONE, Ordering::SeqCst);
        if let Some(cut) = self.0.cut.get() {
            cut.abort();
        }
    }
}

/// For `HttpServer::on_connect`: prepares a new socket and leaves a handle to it in the connection's data.
pub fn on_connect(io: &dyn Any, data: &mut Extensions, stall_timeout: Duration) {
    let Some(stream) = io.downcast_ref::<TcpStream>() else { return };
    match prepare(stream, stall_timeout) {
        Ok(connection) => drop(data.insert(Guard(Arc::new(connection)))),
        // The client is gone already; the server will notice by itself.
        Err(error) => debug!("a connection ended before it began: {error}"),
    }
}

fn prepare(stream: &TcpStream, stall_timeout: Duration) -> io::Result<Connection> {
    let peer = stream.peer_addr()?;
    set_stall_timeout(stream, stall_timeout)?;
    Ok(Connection { descriptor: AtomicI32::new(stream.as_raw_fd()), peer, cut: OnceLock::new() })
}

#[cfg(target_os = "linux")]
fn set_stall_timeout(stream: &TcpStream, stall_timeout: Duration) -> io::Result<()> {
    SockRef::from(stream).set_tcp_user_timeout(Some(stall_timeout))
}

/// Other systems have no such option: there a client that takes nothing at all is cut when it is evicted or ends, and
/// else when the system itself gives it up.
#[cfg(not(target_os = "linux"))]
fn set_stall_timeout(_: &TcpStream, _: Duration) -> io::Result<()> {
    Ok(())
}

/// The handle that [`on_connect`] left, if the request came over a socket it has seen.
pub fn of(request: &actix_web::HttpRequest) -> Option<Arc<Connection>> {
    request.conn_data::<Guard>().map(|guard| Arc::clone(&guard.0))
}

impl Connection {
    /// Cuts the connection if it is still there after `patience`; the first order counts.
    ///
    /// To be called on the worker's thread that the connection lives on.
    pub fn cut_after(self: &Arc<Self>, patience: Duration) {
        let connection = Arc::clone(self);
        self.cut.get_or_init(|| {
            let wait = rt::spawn(async move {
                rt::time::sleep(patience).await;
                connection.cut();
            });
            wait.abort_handle()
        });
    }

    /// From now on the connection ends by a reset, however it ends.
    pub fn end_by_reset(&self) {
        let outcome = self.with_socket(|socket| socket.set_linger(Some(Duration::ZERO)));
        debug!("the connection of {} is to end by a reset: {outcome:?}", self.peer);
    }

    /// Ends the connection by a reset: what the kernel holds for the client is dropped. Harmless when it has ended.
    fn cut(&self) {
        let outcome = self.with_socket(|socket| {
            socket.set_linger(Some(Duration::ZERO)).and_then(|()| socket.shutdown(Shutdown::Both))
        });
        debug!("the connection of {} was cut: {outcome:?}", self.peer);
    }

    /// `None` if the socket is gone.
    fn with_socket<T>(&self, act: impl FnOnce(SockRef<'_>) -> T) -> Option<T> {
        let descriptor = self.descriptor.load(Ordering::SeqCst);
        if descriptor == GONE {
            return None;
        }
        // SAFETY: the descriptor is open for the length of this call. It belongs to actix-http's connection, which
        // drops its data, and so our guard, before its socket, on this same thread; so here the socket still exists.
        #[allow(unsafe_code, reason = "actix-http keeps the socket to itself; see above")]
        let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
        let socket = SockRef::from(&descriptor);
        // Should that order ever change, a number used again would be another client's connection: ask whose it is.
        let is_ours = socket.peer_addr().is_ok_and(|peer| peer.as_socket() == Some(self.peer));
        is_ours.then(|| act(socket))
    }
}
