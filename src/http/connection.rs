//! One HTTP connection: requests are answered one by one, in order.

use std::{future::poll_fn, io, net::SocketAddr, pin::pin, rc::Rc, sync::Arc, task::Poll};

use actix_http::{
    ConnectionType, HttpMessage as _, Request, Response, StatusCode,
    body::BoxBody,
    error::ParseError,
    header::{HeaderValue, UPGRADE},
};
use actix_service::Service;
use futures_core::future::LocalBoxFuture;
use log::debug;

use super::{
    Patience, Shared,
    input::{Input, NoRequest},
    output::{Output, Terms},
};
use crate::connection::{
    Lease,
    hangup::Hangup,
    wire::{self, Wire},
};

/// Value of `Retry-After` in seconds for a client that found the server full.
const RETRY_SECONDS: &str = "5";

/// The end of HTTP on a connection.
pub(super) enum Served {
    /// A session took the connection over; the future carries it.
    Upgraded(LocalBoxFuture<'static, io::Result<()>>),
    /// The last response has been written.
    Over,
}

/// What follows a response.
enum Next {
    /// Another request may follow.
    Request,
    /// HTTP ends.
    End(Served),
}

/// One connection while it carries HTTP.
pub(super) struct Connection {
    wire: Rc<Wire>,
    peer: SocketAddr,
    input: Rc<Input>,
    output: Rc<Output>,
}

impl Connection {
    pub(super) fn new<S>(wire: Rc<Wire>, peer: SocketAddr, patience: Patience, shared: &Shared<S>) -> Self {
        let lease = Lease::of_waiting(Arc::clone(&shared.budget));
        let output = Output::new(Rc::clone(&wire), shared.codec.clone(), patience.stall, lease);
        let lease = Lease::new(Arc::clone(&shared.budget));
        let input = Input::new(Rc::clone(&wire), Rc::clone(&output), patience, shared.codec.clone(), lease);
        Self { wire, peer, input, output }
    }

    /// Answers requests until the connection ends or a session takes it over.
    ///
    /// # Errors
    /// The connection is broken, or the client is too slow.
    pub(super) async fn serve<S>(&self, routes: &S) -> io::Result<Served>
    where
        S: Service<Request, Response = Response<BoxBody>, Error = Response<BoxBody>>,
    {
        let mut is_first = true;
        while let Some(request) = self.next_request(is_first).await? {
            is_first = false;
            if let Next::End(ending) = self.answer(routes, request).await? {
                return Ok(ending);
            }
            // Pipelined requests must not starve other tasks of the thread.
            tokio::task::coop::consume_budget().await;
        }
        Ok(Served::Over)
    }

    /// The next request; `None` at the end. Invalid requests are answered here.
    pub(super) async fn next_request(&self, is_first: bool) -> io::Result<Option<Request>> {
        let (status, sentence) = match self.input.next_request(is_first).await {
            Ok(mut request) => {
                request.head_mut().peer_addr = Some(self.peer);
                return Ok(Some(request));
            }
            Err(NoRequest::Over) => return Ok(None),
            Err(NoRequest::Lost(error)) => return Err(error),
            Err(NoRequest::OutOfMemory(error)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}.\n")),
            Err(NoRequest::Slow) => (
                StatusCode::REQUEST_TIMEOUT,
                "The request's head took too long (--handshake-timeout).\n".to_owned(),
            ),
            Err(NoRequest::Malformed(ParseError::TooLarge)) => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "The request's head is too large.\n".to_owned())
            }
            Err(NoRequest::Malformed(error)) => {
                (StatusCode::BAD_REQUEST, format!("The request cannot be read: {error}.\n"))
            }
        };
        debug!("{} sent no request: {}", self.peer, sentence.trim_end());
        self.refuse(status, sentence).await?;
        Ok(None)
    }

    /// Sends an error as the last response of the connection.
    pub(super) async fn refuse(&self, status: StatusCode, sentence: String) -> io::Result<()> {
        let mut response = Response::build(status);
        response.insert_header(("content-type", "text/plain; charset=utf-8"));
        response.insert_header(("x-content-type-options", "nosniff"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header(("retry-after", RETRY_SECONDS));
        }
        let response = response.body(sentence).map_into_boxed_body();
        self.output.send(response, Terms::of_refusal()).await?;
        self.flush().await
    }

    /// Answers a request and then ends the connection.
    pub(super) async fn answer_last<S>(&self, routes: &S, mut request: Request) -> io::Result<()>
    where
        S: Service<Request, Response = Response<BoxBody>, Error = Response<BoxBody>>,
    {
        request.head_mut().set_connection_type(ConnectionType::Close);
        self.answer(routes, request).await?;
        self.flush().await
    }

    /// Calls the routes and writes their response.
    async fn answer<S>(&self, routes: &S, request: Request) -> io::Result<Next>
    where
        S: Service<Request, Response = Response<BoxBody>, Error = Response<BoxBody>>,
    {
        let is_upgrade = self.input.is_upgrade();
        let head = request.head();
        let mut terms = Terms::of(&head.method, head.version, head.connection_type());
        // Bytes behind an upgrade are not HTTP, and behind a request with both a body and an upgrade they are
        // ambiguous.
        let is_websocket = |protocol: &HeaderValue| protocol.as_bytes().eq_ignore_ascii_case(b"websocket");
        if self.input.has_body() && head.headers.get_all(UPGRADE).any(is_websocket) {
            terms = terms.closing();
        }
        let Some(response) = self.ask(routes, request, is_upgrade).await? else {
            return Ok(Next::End(Served::Over));
        };
        self.input.end_request();
        if is_upgrade && response.upgrade() {
            let (response, body) = response.into_parts();
            let head = self.output.upgrade(&response, terms);
            return Ok(Next::End(Served::Upgraded(Box::pin(wire::carry(Rc::clone(&self.wire), head, body)))));
        }
        let terms = if is_upgrade {
            terms.of_no_upgrade()
        } else if !self.input.skip_body() || self.input.is_last() {
            terms.closing()
        } else {
            terms
        };
        if self.output.send(response, terms).await? {
            return Ok(Next::Request);
        }
        self.flush().await?;
        Ok(Next::End(Served::Over))
    }

    /// The response of the routes; `None` if the client left and the request allows to be dropped.
    async fn ask<S>(
        &self,
        routes: &S,
        request: Request,
        is_upgrade: bool,
    ) -> io::Result<Option<Response<BoxBody>>>
    where
        S: Service<Request, Response = Response<BoxBody>, Error = Response<BoxBody>>,
    {
        let hangup = Hangup::default();
        if is_upgrade {
            request.extensions_mut().insert(Rc::clone(&self.wire));
        } else {
            request.extensions_mut().insert(hangup.clone());
        }
        let mut answer = pin!(routes.call(request));
        poll_fn(|cx| {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(Ok(Some(answer.unwrap_or_else(|error| error))));
            }
            // Responses to earlier requests do not wait for this one.
            if let Poll::Ready(Err(error)) = self.output.poll_flush(cx) {
                return Poll::Ready(Err(error));
            }
            if is_upgrade {
                return Poll::Pending;
            }
            match self.input.poll_end(cx) {
                Poll::Ready(Ok(())) if hangup.ends_request() => Poll::Ready(Ok(None)),
                Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            }
        })
        .await
    }

    pub(super) async fn flush(&self) -> io::Result<()> {
        poll_fn(|cx| self.output.poll_flush(cx)).await
    }
}
