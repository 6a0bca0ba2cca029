//! What a host's client sends: the payload of its request. A payload belongs to the thread of its connection, so it
//! is kept there; a session on this thread reads it directly, and one on another thread has it passed on.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use actix_web::{dev::Payload, rt};
use bytes::Bytes;
use futures_core::Stream as _;
use tokio::sync::mpsc;

use super::host_state::HostState;
use crate::domain::Map;

/// A payload that sessions of this thread read.
enum Kept {
    /// The session has begun before its response is on its way.
    Expected,
    Payload(Payload),
    Ended,
}

thread_local! {
    /// The payloads of this thread's connections, by the address of their state.
    static PAYLOADS: RefCell<Map<usize, Kept>> = RefCell::default();
}

fn key(state: &Arc<HostState>) -> usize {
    Arc::as_ptr(state).addr()
}

/// Makes a place for the payload of a connection of this thread.
pub(super) fn expect(state: &Arc<HostState>) {
    PAYLOADS.with_borrow_mut(|payloads| payloads.insert(key(state), Kept::Expected));
}

/// Keeps the payload, unless its session has ended.
pub(super) fn keep(state: &Arc<HostState>, payload: Payload) {
    PAYLOADS.with_borrow_mut(|payloads| {
        if let Some(kept) = payloads.get_mut(&key(state)) {
            *kept = Kept::Payload(payload);
        }
    });
    // The session may have begun to read.
    state.reader.wake();
}

/// Forgets the payload, if this is the thread of its connection.
pub(super) fn forget(state: &Arc<HostState>) {
    // A thread that ends has dropped all of them.
    let kept = PAYLOADS.try_with(|payloads| payloads.borrow_mut().remove(&key(state)));
    drop(kept);
}

/// Has the payload passed on to a session on another thread, until either of them ends.
pub(super) fn pass_on(state: &Arc<HostState>, session: mpsc::Sender<Bytes>) {
    let kept = PAYLOADS.with_borrow_mut(|payloads| payloads.insert(key(state), Kept::Ended));
    if let Some(Kept::Payload(mut payload)) = kept {
        rt::spawn(async move {
            while let Some(bytes) = poll_fn(|cx| next_of(&mut payload, cx)).await {
                if session.send(bytes).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Where a session reads its payload.
#[derive(Debug)]
pub(super) enum Source {
    /// On the thread of the connection.
    Kept,
    /// From the thread of the connection.
    PassedOn(mpsc::Receiver<Bytes>),
}

impl Source {
    /// The next bytes; none if the client sends no more. May be called on any thread.
    pub(super) fn poll_read(
        &mut self,
        state: &Arc<HostState>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Bytes>> {
        if matches!(self, Self::Kept) {
            if let Some(read) = poll_kept(state, cx) {
                return read.map(Ok);
            }
            let (passes_on, receiver) = mpsc::channel(1);
            state.have_passed_on(passes_on);
            *self = Self::PassedOn(receiver);
        }
        match self {
            Self::Kept => Poll::Pending,
            Self::PassedOn(receiver) => receiver.poll_recv(cx).map(|bytes| Ok(bytes.unwrap_or_default())),
        }
    }
}

/// The next bytes of a payload; none if the client sends no more. `None` on another thread than that of its
/// connection.
fn poll_kept(state: &Arc<HostState>, cx: &mut Context<'_>) -> Option<Poll<Bytes>> {
    PAYLOADS.with_borrow_mut(|payloads| Some(payloads.get_mut(&key(state))?.poll_read(state, cx)))
}

impl Kept {
    fn poll_read(&mut self, state: &HostState, cx: &mut Context<'_>) -> Poll<Bytes> {
        let read = match self {
            Self::Expected if state.is_deaf() => None,
            Self::Expected => return Poll::Pending,
            Self::Payload(payload) => ready!(next_of(payload, cx)),
            Self::Ended => None,
        };
        if read.is_none() {
            *self = Self::Ended;
        }
        Poll::Ready(read.unwrap_or_default())
    }
}

/// The next bytes of a payload that are not empty, until it ends.
fn next_of(payload: &mut Payload, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
    loop {
        match ready!(Pin::new(&mut *payload).poll_next(cx)) {
            Some(Ok(bytes)) if bytes.is_empty() => {}
            Some(Ok(bytes)) => return Poll::Ready(Some(bytes)),
            // The end of an upgraded connection appears as an error of its payload.
            Some(Err(_)) | None => return Poll::Ready(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Poll, thread};

    use actix_http::h1;
    use actix_web::{dev::Payload, error::PayloadError};
    use bytes::Bytes;
    use futures_util::StreamExt as _;

    use super::super::host::{HostStream, pair};

    /// What a session reads until the end.
    async fn all_of(stream: &mut HostStream) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let read = poll_fn(|cx| stream.poll_read(cx)).await.expect("it is not cut");
            if read.is_empty() {
                return all;
            }
            all.extend_from_slice(&read);
        }
    }

    #[actix_web::test]
    async fn a_session_reads_its_payload_on_the_thread_of_its_connection_and_on_another_one() {
        for is_elsewhere in [false, true] {
            let ((mut stream, end), (mut client, payload)) = (pair(), h1::Payload::create(false));
            client.feed_data(Bytes::from_static(b"before "));
            let body = end.attach(Payload::from(payload), None);
            let first = poll_fn(|cx| stream.poll_read(cx)).await.expect("it is not cut");
            assert_eq!(&first[..], b"before ");
            let (done, wait) = tokio::sync::oneshot::channel();
            let read = async move {
                let all = all_of(&mut stream).await;
                done.send(all).expect("the test waits");
            };
            if is_elsewhere {
                thread::spawn(|| actix_web::rt::System::new().block_on(read));
            } else {
                actix_web::rt::spawn(read);
            }
            client.feed_data(Bytes::from_static(b"and "));
            client.feed_data(Bytes::new());
            client.feed_data(Bytes::from_static(b"after"));
            client.set_error(PayloadError::Incomplete(None));
            assert_eq!(wait.await, Ok(b"and after".to_vec()), "elsewhere: {is_elsewhere}");
            drop(body);
        }
    }

    #[actix_web::test]
    async fn a_session_whose_answer_never_came_reads_the_end() {
        let (mut stream, end) = pair();
        let (done, wait) = tokio::sync::oneshot::channel();
        actix_web::rt::spawn(async move {
            let all = all_of(&mut stream).await;
            done.send(all).expect("the test waits");
        });
        actix_web::rt::task::yield_now().await;
        drop(end);
        assert_eq!(wait.await, Ok(Vec::new()));
    }

    #[actix_web::test]
    async fn a_session_that_breaks_off_ends_the_body_and_its_payload() {
        let ((stream, end), (client, payload)) = (pair(), h1::Payload::create(false));
        let mut body = end.attach(Payload::from(payload), None);
        assert!(poll_fn(|cx| Poll::Ready(body.poll_next_unpin(cx))).await.is_pending());
        drop(stream);
        let end = body.next().await.expect("no end without an error");
        assert_eq!(
            end.expect_err("the session has written no end").to_string(),
            "the session has broken off"
        );
        assert!(client.is_dropped());
    }
}
