//! A connection's socket. `http` speaks HTTP over it; after an upgrade the session owns it.
//!
//! After an upgrade, received bytes are the request's payload ([`Arrivals`]), and the response's body
//! ([`carry`]) is written. Reads go into one buffer that a thread's connections share.
//!
//! Under a host that serves the routes with a plain `HttpServer` the socket is the host's ([`host`](super::host)).

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    io::{self, IoSlice},
    net::SocketAddr,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use actix_http::error::PayloadError;
use actix_web::{
    HttpMessage as _, HttpRequest,
    body::MessageBody,
    rt::{self, net::TcpStream},
};
use bytes::{Buf as _, Bytes, BytesMut};
use smallvec::SmallVec;
use tokio::io::AsyncWrite as _;
use tokio_util::io::poll_read_buf;

use super::{
    LINGER,
    detached::{Loose, Socket},
    host::HostStream,
    permits::Permit,
    socket::{Connection, Guard},
};

/// The most bytes of one read.
const READ_SIZE: usize = 64 * 1024;

/// A read buffer with less space than this, because earlier reads are still in use, is replaced.
const MIN_READ: usize = 16 * 1024;

/// The most pieces in one write.
pub(crate) const MAX_PIECES: usize = 64;

/// Pieces for one write; usually few.
pub(crate) type Slices<'a> = SmallVec<[IoSlice<'a>; 8]>;

/// A body is polled until this many bytes wait to be written.
const WRITE_SIZE: usize = 64 * 1024;

thread_local! {
    /// The read buffer of this thread's connections. A message is copied out of it as it is unmasked, so
    /// usually nothing refers to it after a read, and the next read begins at its start.
    static READ_BUFFER: RefCell<BytesMut> = RefCell::new(BytesMut::new());
}

/// The stream of bytes under a wire.
#[derive(Debug)]
pub(crate) enum Stream {
    /// A socket of its own.
    Tcp(TcpStream),
    /// The socket belongs to the host's actix-http.
    Host(HostStream),
}

impl Stream {
    /// Writes as much of one piece as the socket takes.
    pub(crate) fn try_write(&mut self, piece: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(piece),
            Self::Host(stream) => stream.try_write(&[IoSlice::new(piece)]),
        }
    }

    fn try_write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write_vectored(pieces),
            Self::Host(stream) => stream.try_write(pieces),
        }
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(cx),
            Self::Host(stream) => stream.poll_write_ready(cx),
        }
    }

    /// The bytes that have arrived; none if the client will send no more.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let stream = match self {
            Self::Tcp(stream) => stream,
            Self::Host(stream) => return stream.poll_read(cx),
        };
        READ_BUFFER.with_borrow_mut(|buffer| {
            // Begins at the start again if earlier reads are not in use any more.
            if !buffer.try_reclaim(READ_SIZE) && buffer.capacity() < MIN_READ {
                buffer.reserve(READ_SIZE);
            }
            ready!(poll_read_buf(Pin::new(stream), cx, buffer))?;
            Poll::Ready(Ok(buffer.split().freeze()))
        })
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Host(stream) => stream.poll_shutdown(cx),
        }
    }
}

/// A connection's socket.
#[derive(Debug)]
pub(crate) struct Wire {
    /// Lets others end the connection. Declared before the stream, so that it is dropped before the socket.
    guard: Guard,
    /// `None` once it is closed.
    stream: RefCell<Option<Stream>>,
    /// Whether the last write met a full socket.
    is_blocked: Cell<bool>,
    /// Whether the answer to the handshake has been written: nothing else may be written before that.
    is_open: Cell<bool>,
    /// The task that waits for bytes; to be woken when none will come, because another task may be the one
    /// that writes.
    reader: RefCell<Option<Waker>>,
    /// Whether no task reads any more; then the task that writes checks whether the client is still there.
    has_no_reader: Cell<bool>,
    /// The task that writes, to be woken when `has_no_reader` is set.
    writer: RefCell<Option<Waker>>,
    /// The connection's place among the connections.
    place: RefCell<Option<Permit>>,
}

impl Wire {
    /// Takes a socket over.
    ///
    /// # Errors
    /// The socket is not connected any more.
    pub(crate) fn new(stream: TcpStream) -> io::Result<Rc<Self>> {
        Ok(Self::on(Guard::of(&stream)?, Stream::Tcp(stream)))
    }

    /// The wire of a session under a host with a plain `HttpServer`.
    pub(super) fn on_host(stream: HostStream) -> Rc<Self> {
        Self::on(Guard::of_host(Arc::clone(stream.state())), Stream::Host(stream))
    }

    /// The wire on a socket that was detached from another wire, maybe on another thread, and the bytes that arrive on
    /// it. The handshake has been answered.
    ///
    /// # Errors
    /// The socket is not connected any more.
    pub(crate) fn attach(mut socket: Socket) -> io::Result<(Rc<Self>, Arrivals)> {
        let wire = match socket.take() {
            Some(Loose::Tcp(stream)) => Self::new(TcpStream::from_std(stream)?)?,
            Some(Loose::Host(stream)) => Self::on_host(stream),
            None => return Err(io::ErrorKind::NotConnected.into()),
        };
        wire.place.replace(socket.place.take());
        wire.open();
        let arrivals = Arrivals::new(Rc::clone(&wire), std::mem::take(&mut socket.early));
        Ok((wire, arrivals))
    }

    /// Takes the socket away, for a session that may be on another thread. `early` bytes have been read from it.
    ///
    /// # Errors
    /// The socket is closed.
    pub(super) fn detach(&self, early: Bytes) -> io::Result<Socket> {
        let stream = self.stream.take().ok_or(io::ErrorKind::NotConnected)?;
        self.guard.forget();
        let stream = match stream {
            Stream::Tcp(stream) => Loose::Tcp(stream.into_std()?),
            Stream::Host(stream) => Loose::Host(stream),
        };
        Ok(Socket::new(stream, early, self.place.take()))
    }

    /// Keeps the connection's place among the connections until the socket is closed.
    pub(crate) fn keep(&self, place: Permit) {
        self.place.replace(Some(place));
    }

    /// Whether the answer to the handshake has been written.
    pub(super) fn is_open(&self) -> bool {
        self.is_open.get()
    }

    /// A wire whose client is in memory. The answer to its handshake has not been written.
    #[cfg(test)]
    pub(crate) fn in_memory() -> (Rc<Self>, super::host::HostEnd) {
        let (stream, end) = super::host::pair();
        (Self::on_host(stream), end)
    }

    fn on(guard: Guard, stream: Stream) -> Rc<Self> {
        Rc::new(Self {
            guard,
            stream: RefCell::new(Some(stream)),
            is_blocked: Cell::new(false),
            is_open: Cell::new(false),
            reader: RefCell::default(),
            has_no_reader: Cell::new(false),
            writer: RefCell::default(),
            place: RefCell::default(),
        })
    }

    /// The wire under a request that may take the connection over, if there is one.
    pub(crate) fn of(req: &HttpRequest) -> Option<Rc<Self>> {
        req.extensions().get::<Rc<Self>>().cloned()
    }

    /// The address at which the client reached this server.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        match self.stream.borrow().as_ref()? {
            Stream::Tcp(stream) => stream.local_addr().ok(),
            Stream::Host(_) => None,
        }
    }

    /// The handle by which others end the connection.
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        self.guard.connection()
    }

    /// Writes as much of some pieces as the socket takes, at most [`MAX_PIECES`] pieces.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the socket takes nothing now, or the handshake is not
    /// answered yet; all other errors end the connection.
    pub(crate) fn try_write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.when_open(|stream| stream.try_write_vectored(pieces))
    }

    /// Writes as much of one piece as the socket takes.
    ///
    /// # Errors
    /// Those of [`try_write`](Self::try_write).
    pub(crate) fn try_write_one(&self, piece: &[u8]) -> io::Result<usize> {
        self.when_open(|stream| stream.try_write(piece))
    }

    fn when_open(&self, write: impl FnOnce(&mut Stream) -> io::Result<usize>) -> io::Result<usize> {
        if self.is_open.get() { self.write(write) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    /// Writes, even before the answer to the handshake.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) fn write(&self, write: impl FnOnce(&mut Stream) -> io::Result<usize>) -> io::Result<usize> {
        let stream = &mut *self.stream.borrow_mut();
        let outcome = match stream {
            Some(stream) => write(stream),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        let is_blocked = outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        match stream {
            Some(Stream::Host(stream)) if is_blocked => stream.note_blocked(self.connection()),
            // The connection is shared, so it is told of changes only.
            _ if self.is_blocked.get() != is_blocked => self.connection().set_blocked(is_blocked),
            _ => {}
        }
        self.is_blocked.set(is_blocked);
        outcome
    }

    /// The answer to the handshake has been written: other writes are allowed.
    pub(crate) fn open(&self) {
        self.is_open.set(true);
    }

    /// Ready when the socket may take more; wakes the task then.
    ///
    /// # Errors
    /// The connection has ended.
    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_open.get() {
            // No waker is needed: the body is polled again right after the handshake.
            return Poll::Pending;
        }
        self.poll_socket_writable(cx)
    }

    /// Ready when the socket may take more, even before the answer to the handshake.
    ///
    /// # Errors
    /// The connection has ended.
    pub(crate) fn poll_socket_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &*self.stream.borrow() {
            Some(stream) => stream.poll_write_ready(cx),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Ready with an error once the client is gone, if no other task reads and would notice. What a client
    /// sends then is dropped.
    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if !self.has_no_reader.get() {
            let mut writer = self.writer.borrow_mut();
            if writer.as_ref().is_none_or(|writer| !writer.will_wake(cx.waker())) {
                *writer = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        loop {
            match ready!(self.poll_read(cx)) {
                Ok(bytes) if !bytes.is_empty() => {}
                // The client may have closed only its side, and may still take the backlog.
                Ok(_) if self.connection().is_blocked() => return Poll::Pending,
                Ok(_) => return Poll::Ready(io::ErrorKind::UnexpectedEof.into()),
                Err(error) => return Poll::Ready(error),
            }
        }
    }

    /// The bytes that have arrived; empty if the client will send no more.
    pub(crate) fn poll_read(&self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        match &mut *self.stream.borrow_mut() {
            Some(stream) => stream.poll_read(cx),
            None => Poll::Ready(Ok(Bytes::new())),
        }
    }

    /// Closes the server's side, then reads on for [`LINGER`] and drops what comes, so that the client sees
    /// the last bytes instead of a reset.
    pub(crate) async fn linger(&self) {
        let shut = poll_fn(|cx| match &mut *self.stream.borrow_mut() {
            Some(stream) => stream.poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        });
        if shut.await.is_ok() {
            let read_on = poll_fn(|cx| {
                while !ready!(self.poll_read(cx))?.is_empty() {}
                Poll::Ready(io::Result::Ok(()))
            });
            // The connection is over, whatever the outcome.
            let _ = rt::time::timeout(LINGER, read_on).await;
        }
    }

    /// Closes the socket, and wakes the task that waits for bytes.
    pub(crate) fn close(&self) {
        self.guard.forget();
        self.stream.take();
        self.place.take();
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// The bytes that arrive on a wire, as a request's payload. Ends with an error, as actix-http's payload of an
/// upgraded request does.
#[derive(Debug)]
pub(crate) struct Arrivals {
    wire: Rc<Wire>,
    /// Bytes that had come after the request when the socket was taken over.
    early: Bytes,
}

impl Arrivals {
    /// The bytes that arrive on `wire`, after those that have come `early`.
    pub(crate) fn new(wire: Rc<Wire>, early: Bytes) -> Self {
        Self { wire, early }
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.wire.has_no_reader.set(true);
        if let Some(writer) = self.wire.writer.take() {
            writer.wake();
        }
    }
}

impl futures_core::Stream for Arrivals {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.early.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.early))));
        }
        match self.wire.poll_read(cx) {
            Poll::Ready(Ok(bytes)) if bytes.is_empty() => {
                Poll::Ready(Some(Err(PayloadError::Incomplete(None))))
            }
            Poll::Ready(outcome) => {
                Poll::Ready(Some(outcome.map_err(|error| PayloadError::Incomplete(Some(error)))))
            }
            Poll::Pending => {
                let mut reader = self.wire.reader.borrow_mut();
                if reader.as_ref().is_none_or(|reader| !reader.will_wake(cx.waker())) {
                    *reader = Some(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }
}

/// Writes `head` and then what `body` yields until it ends, and closes the connection. The body is polled
/// before the head is written, so that a client that has the answer to its handshake is in its room.
///
/// # Errors
/// The connection ended before that, or the body failed; then it is closed at once.
pub(crate) async fn carry<B: MessageBody>(wire: Rc<Wire>, head: Bytes, body: B) -> io::Result<()> {
    let outcome = write_all(&wire, head, body).await;
    if outcome.is_ok() {
        wire.linger().await;
    }
    wire.close();
    outcome
}

async fn write_all<B: MessageBody>(wire: &Wire, head: Bytes, body: B) -> io::Result<()> {
    let mut body = pin!(body);
    let mut unwritten = Unwritten::default();
    let mut has_ended = poll_fn(|cx| Poll::Ready(unwritten.fill(body.as_mut(), cx))).await?;
    unwritten.push_front(head);
    let mut failure = None;
    poll_fn(|cx| {
        loop {
            if let Err(error) = ready!(unwritten.poll_write(wire, cx)) {
                // The client takes nothing more. What it has sent is still read to its end.
                unwritten = Unwritten::default();
                failure = failure.take().or(Some(error));
            }
            wire.open();
            if has_ended || failure.is_some() && wire.has_no_reader.get() {
                return Poll::Ready(failure.take().map_or(Ok(()), Err));
            }
            has_ended = unwritten.fill(body.as_mut(), cx)?;
            if unwritten.is_empty() && !has_ended {
                return wire.poll_gone(cx).map(Err);
            }
        }
    })
    .await
}

/// Pieces of a body that wait for the socket.
#[derive(Debug, Default)]
struct Unwritten {
    pieces: VecDeque<Bytes>,
    bytes: usize,
}

impl Unwritten {
    fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    fn push_front(&mut self, piece: Bytes) {
        self.bytes += piece.len();
        self.pieces.push_front(piece);
    }

    /// Takes what the body yields now, up to a bound. True if the body has ended.
    fn fill<B: MessageBody>(&mut self, mut body: Pin<&mut B>, cx: &mut Context<'_>) -> io::Result<bool> {
        while self.bytes < WRITE_SIZE && self.pieces.len() < MAX_PIECES {
            match body.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(piece))) => {
                    self.bytes += piece.len();
                    self.pieces.push_back(piece);
                }
                Poll::Ready(Some(Err(error))) => {
                    let error: Box<dyn std::error::Error> = error.into();
                    return Err(io::Error::other(error.to_string()));
                }
                Poll::Ready(None) => return Ok(true),
                Poll::Pending => break,
            }
        }
        Ok(false)
    }

    /// Ready when everything is written.
    fn poll_write(&mut self, wire: &Wire, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pieces.is_empty() {
            let pieces = self.pieces.iter().map(|piece| IoSlice::new(piece));
            let slices: Slices<'_> = pieces.take(MAX_PIECES).collect();
            let outcome = wire.write(|stream| stream.try_write_vectored(&slices));
            drop(slices);
            match outcome {
                Ok(written) => self.take(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(wire.poll_socket_writable(cx))?
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Removes `written` bytes, and the pieces that are empty then.
    fn take(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(piece) = self.pieces.front_mut() {
            let part = written.min(piece.len());
            piece.advance(part);
            written -= part;
            if !piece.is_empty() {
                return;
            }
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, net, time::Duration};

    use super::*;

    fn wire() -> (Rc<Wire>, net::TcpStream) {
        let listener = net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let client = net::TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        let (stream, _) = listener.accept().expect("connected");
        stream.set_nonblocking(true).expect("nonblocking");
        (Wire::new(TcpStream::from_std(stream).expect("in a runtime")).expect("connected"), client)
    }

    #[actix_web::test]
    async fn a_connection_that_no_task_reads_any_more_ends_when_its_client_leaves() {
        let (wire, client) = wire();
        let arrivals = Arrivals::new(Rc::clone(&wire), Bytes::new());
        let body = actix_web::body::BodyStream::new(futures_util::stream::pending::<io::Result<Bytes>>());
        let carried = rt::spawn(carry(wire, Bytes::from_static(b"head"), body));
        let mut head = [0; 4];
        rt::task::spawn_blocking(move || {
            let mut client = client;
            client.read_exact(&mut head).expect("the head");
            client
        })
        .await
        .map(drop)
        .expect("read");
        drop(arrivals);
        let outcome = rt::time::timeout(Duration::from_secs(10), carried).await;
        assert!(outcome.expect("it ends").expect("it runs").is_err(), "the client has gone");
    }

    #[actix_web::test]
    async fn nothing_is_written_before_the_answer_to_the_handshake() {
        let (wire, _client) = wire();
        assert!(wire.try_write_one(b"early").is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
        wire.open();
        poll_fn(|cx| wire.poll_writable(cx)).await.expect("connected");
        assert_eq!(wire.try_write_one(b"in time").expect("written"), 7);
    }
}
