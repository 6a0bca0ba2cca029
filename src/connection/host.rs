//! The socket of a session whose host serves the routes by a plain `HttpServer`. There actix-http owns the TCP
//! socket and carries the request's payload and the response's body, so the session's socket is one end of a pair
//! in memory. A task moves the payload into the other end, and [`HostBody`] takes the body from it.
//!
//! Only this file and [`host_state`](super::host_state) know such hosts; all other code has a
//! [`Wire`](super::wire::Wire).

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use actix_web::{dev::Payload, error::ErrorInternalServerError, rt};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use futures_util::StreamExt as _;
use tokio::io::{
    AsyncRead as _, AsyncWrite as _, AsyncWriteExt as _, DuplexStream, ReadBuf, ReadHalf, WriteHalf, duplex,
    split,
};
use tokio_util::io::poll_read_buf;

use super::{LINGER, host_state::HostState, socket::Connection};

/// Bytes that may wait in each direction of a pair.
const CAPACITY: usize = 64 * 1024;

/// Bytes of a piece of the body.
const PIECE: usize = 16 * 1024;

/// A little longer than [`LINGER`]: actix-http's timer is over by then, whatever clock it was made from.
const WAKE_AFTER: Duration = LINGER.saturating_add(Duration::from_millis(10));

/// The session's end of a pair.
#[derive(Debug)]
pub(crate) struct HostStream {
    pair: DuplexStream,
    state: Arc<HostState>,
}

/// The host's end of a pair.
#[derive(Debug)]
pub(crate) struct HostEnd {
    pair: DuplexStream,
    state: Arc<HostState>,
}

/// A new pair.
pub(super) fn pair() -> (HostStream, HostEnd) {
    let (session, host) = duplex(CAPACITY);
    let state = Arc::<HostState>::default();
    (HostStream { pair: session, state: Arc::clone(&state) }, HostEnd { pair: host, state })
}

impl HostStream {
    /// Notes after this turn whether the pair still takes nothing: within the turn the host may only not have been
    /// polled.
    pub(super) fn note_blocked(&self, connection: &Arc<Connection>) {
        let (state, connection) = (Arc::clone(&self.state), Arc::downgrade(connection));
        rt::spawn(async move {
            rt::task::yield_now().await;
            if let Some(connection) = connection.upgrade() {
                connection.set_blocked(state.is_blocked.load(Ordering::SeqCst));
            }
        });
    }

    /// The state by which the handle to the connection cuts it.
    pub(super) fn state(&self) -> &Arc<HostState> {
        &self.state
    }

    /// Writes as much as the pair takes now.
    pub(super) fn try_write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.state.check_write()?;
        // Set before the attempt: the host may make room right after it.
        self.state.is_blocked.store(true, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&self.state));
        match Pin::new(&mut self.pair).poll_write_vectored(&mut Context::from_waker(&waker), pieces) {
            Poll::Ready(outcome) => {
                self.state.is_blocked.store(false, Ordering::SeqCst);
                outcome
            }
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Ready when the pair may take more; wakes the task then.
    pub(super) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.writer.register(cx.waker());
        self.state.check_write()?;
        if self.state.is_blocked.load(Ordering::SeqCst) { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    /// Reads into `buffer`; 0 bytes if the client sends no more.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        self.state.reader.register(cx.waker());
        self.state.check()?;
        poll_read_buf(Pin::new(&mut self.pair), cx, buffer)
    }

    /// Ends the body after what has been written.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.is_finished.store(true, Ordering::SeqCst);
        Pin::new(&mut self.pair).poll_shutdown(cx)
    }
}

impl HostEnd {
    /// Has the payload moved to the session, and returns the body that carries what the session writes. Orders are
    /// done to `connection`, if the host has left a handle to its socket.
    pub(super) fn attach(self, payload: Payload, connection: Option<Arc<Connection>>) -> HostBody {
        let (from_session, to_session) = split(self.pair);
        rt::spawn(pump(payload, to_session));
        if let Some(connection) = connection {
            rt::spawn(obey(Arc::clone(&self.state), connection));
        }
        HostBody { from_session, state: self.state }
    }
}

#[cfg(test)]
impl HostEnd {
    /// Takes what has been written.
    pub(crate) fn taken(&mut self) -> Vec<u8> {
        let (mut taken, mut cx) = (Vec::new(), Context::from_waker(Waker::noop()));
        let mut space = [0; PIECE];
        loop {
            let mut read = ReadBuf::new(&mut space);
            match Pin::new(&mut self.pair).poll_read(&mut cx, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => taken.extend_from_slice(read.filled()),
                _ => return taken,
            }
        }
    }
}

/// Moves a payload into a pair until either of them ends.
async fn pump(mut payload: Payload, mut to_session: WriteHalf<DuplexStream>) {
    // The end of an upgraded connection appears as an error of its payload.
    while let Some(Ok(bytes)) = payload.next().await {
        if to_session.write_all(&bytes).await.is_err() {
            return;
        }
    }
    // Fails only if the session is gone.
    let _ = to_session.shutdown().await;
}

/// Does to the host's socket what the session orders, until the body is gone. A socket may be used on the thread of its
/// connection only, and a session may be on another one.
async fn obey(state: Arc<HostState>, connection: Arc<Connection>) {
    while !state.is_deaf.load(Ordering::SeqCst) {
        state.orders.notified().await;
        if state.is_to_be_reset.load(Ordering::SeqCst) {
            connection.end_by_reset();
        }
        if state.is_cut.load(Ordering::SeqCst) {
            return connection.cut();
        }
    }
}

/// The response body of a session: what it writes, until it ends.
#[derive(Debug)]
pub(super) struct HostBody {
    from_session: ReadHalf<DuplexStream>,
    state: Arc<HostState>,
}

impl Drop for HostBody {
    fn drop(&mut self) {
        self.state.deafen();
    }
}

impl Stream for HostBody {
    type Item = Result<Bytes, actix_web::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut space = [MaybeUninit::uninit(); PIECE];
        let mut read = ReadBuf::uninit(&mut space);
        let outcome = ready!(Pin::new(&mut self.from_session).poll_read(cx, &mut read));
        if outcome.is_ok() && !read.filled().is_empty() {
            return Poll::Ready(Some(Ok(Bytes::copy_from_slice(read.filled()))));
        }
        if !self.state.is_finished.load(Ordering::SeqCst) {
            return Poll::Ready(Some(Err(ErrorInternalServerError("the session has broken off"))));
        }
        wake_when_over(cx.waker().clone());
        Poll::Ready(None)
    }
}

/// Wakes a connection that has begun to linger, so that it checks its timer again.
///
/// actix-http lingers, too (`client_disconnect_timeout`), but counts the moment from a clock that it sets every 500 ms.
/// A short moment can therefore be over before it begins, and a timer that is over when it is made wakes no task: the
/// connection would stay open until the client closes it.
fn wake_when_over(connection: Waker) {
    rt::spawn(async move {
        rt::time::sleep(WAKE_AFTER).await;
        connection.wake();
    });
}
