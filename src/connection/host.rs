//! The socket of a session whose host serves the routes by a plain `HttpServer`. There actix-http owns the TCP
//! socket and carries the request's payload and the response's body, so the session reads the payload
//! ([`host_payload`]) and writes into a pipe in memory, from which [`HostBody`] takes the body.
//!
//! Only the files `host*.rs` know such hosts; all other code has a [`Wire`](super::wire::Wire).

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use actix_web::{dev::Payload, error::ErrorInternalServerError, rt};
use bytes::Bytes;
use futures_core::Stream;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf, ReadHalf, SimplexStream, WriteHalf, simplex};

use super::{
    LINGER,
    host_payload::{self, Source},
    host_state::HostState,
    socket::Connection,
};

/// Bytes that may wait in a pipe.
const CAPACITY: usize = 64 * 1024;

/// Bytes of a piece of the body.
const PIECE: usize = 16 * 1024;

/// A little longer than [`LINGER`]: actix-http's timer is over by then, whatever clock it was made from.
const WAKE_AFTER: Duration = LINGER.saturating_add(Duration::from_millis(10));

/// The session's side: reads the payload, and writes into the pipe.
#[derive(Debug)]
pub(crate) struct HostStream {
    payload: Source,
    pipe: WriteHalf<SimplexStream>,
    state: Arc<HostState>,
}

/// The host's side.
#[derive(Debug)]
pub(crate) struct HostEnd {
    pipe: ReadHalf<SimplexStream>,
    takes: Takes,
}

/// The host takes what the session writes, as long as this is there.
#[derive(Debug)]
struct Takes(Arc<HostState>);

impl Drop for Takes {
    fn drop(&mut self) {
        self.0.deafen();
    }
}

/// Both sides of a connection of this thread.
pub(super) fn pair() -> (HostStream, HostEnd) {
    let (read, write) = simplex(CAPACITY);
    let state = Arc::<HostState>::default();
    host_payload::expect(&state);
    let stream = HostStream { payload: Source::Kept, pipe: write, state: Arc::clone(&state) };
    (stream, HostEnd { pipe: read, takes: Takes(state) })
}

impl Drop for HostStream {
    fn drop(&mut self) {
        // A dropped half of a pipe does not close it.
        let _ = Pin::new(&mut self.pipe).poll_shutdown(&mut Context::from_waker(Waker::noop()));
        host_payload::forget(&self.state);
        self.state.leave();
    }
}

impl HostStream {
    /// Notes after this turn whether the pipe still takes nothing: within the turn the host may only not have been
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

    /// Writes as much as the pipe takes now.
    pub(super) fn try_write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.state.check_write()?;
        // Set before the attempt: the host may make room right after it.
        self.state.is_blocked.store(true, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&self.state));
        match Pin::new(&mut self.pipe).poll_write_vectored(&mut Context::from_waker(&waker), pieces) {
            Poll::Ready(outcome) => {
                self.state.is_blocked.store(false, Ordering::SeqCst);
                outcome
            }
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Ready when the pipe may take more; wakes the task then.
    pub(super) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.writer.register(cx.waker());
        self.state.check_write()?;
        if self.state.is_blocked.load(Ordering::SeqCst) { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    /// The next bytes; none if the client sends no more.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        self.state.reader.register(cx.waker());
        self.state.check()?;
        self.payload.poll_read(&self.state, cx)
    }

    /// Ends the body after what has been written.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.is_finished.store(true, Ordering::SeqCst);
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

impl HostEnd {
    /// Gives the session its payload, and returns the body that carries what the session writes. Orders are done to
    /// `connection`, if the host has left a handle to its socket.
    pub(super) fn attach(self, payload: Payload, connection: Option<Arc<Connection>>) -> HostBody {
        let Self { pipe, takes } = self;
        host_payload::keep(&takes.0, payload);
        rt::spawn(obey(Arc::clone(&takes.0), connection));
        HostBody { pipe, takes }
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
            match Pin::new(&mut self.pipe).poll_read(&mut cx, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => taken.extend_from_slice(read.filled()),
                _ => return taken,
            }
        }
    }
}

/// Does what the session orders, until it is gone. The host's socket and the payload may be used on the thread of
/// their connection only, and a session may be on another one.
async fn obey(state: Arc<HostState>, mut connection: Option<Arc<Connection>>) {
    while !state.is_left() {
        state.orders.notified().await;
        if state.is_to_be_reset.load(Ordering::SeqCst)
            && let Some(connection) = &connection
        {
            connection.end_by_reset();
        }
        if state.is_cut.load(Ordering::SeqCst)
            && let Some(connection) = connection.take()
        {
            connection.cut();
        }
        if state.is_deaf() {
            // The host may have closed its socket.
            connection = None;
        }
        if let Some(session) = state.take_passes_on() {
            host_payload::pass_on(&state, session);
        }
    }
    host_payload::forget(&state);
}

/// The response body of a session: what it writes, until it ends.
#[derive(Debug)]
pub(super) struct HostBody {
    pipe: ReadHalf<SimplexStream>,
    takes: Takes,
}

impl Stream for HostBody {
    type Item = Result<Bytes, actix_web::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut space = [MaybeUninit::uninit(); PIECE];
        let mut read = ReadBuf::uninit(&mut space);
        let outcome = ready!(Pin::new(&mut self.pipe).poll_read(cx, &mut read));
        if outcome.is_ok() && !read.filled().is_empty() {
            return Poll::Ready(Some(Ok(Bytes::copy_from_slice(read.filled()))));
        }
        if !self.takes.0.is_finished.load(Ordering::SeqCst) {
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
