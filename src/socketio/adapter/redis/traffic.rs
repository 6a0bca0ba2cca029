//! What passes over open connections: requests and their replies, subscriptions, what is published, entries, pings.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use actix_web::rt;
use bytes::Bytes;
use bytestring::ByteString;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use redis::{PushInfo, RedisError, Value, aio::MultiplexedConnection};
use tokio::task::unconstrained;

use super::{
    home::{Connected, Opener},
    others::{Other, Others},
    pushes::{LINES, Line, Outlet, Pushed, Subscriptions, Unread},
    replies::Replies,
    requests::{Asked, Batch, FeedBatch, REQUEST_BYTES, entries_read, read},
};
use crate::{
    redis_client::{error::words_of_loss, slots::slot_of_key, values::refusal},
    socketio::adapter::{
        figures::Figures,
        settings::RedisOptions,
        traffic::{Channel, Input, Query, QueryId, Reply},
    },
};

/// Time between pings on each connection. Nothing else notices a Redis that is stopped while its connections stay.
const PING_INTERVAL: Duration = Duration::from_secs(2);

/// How long a connection may be silent. Pings make it speak more often; the reader is answered as often.
const SILENCE: Duration = Duration::from_secs(5);

/// How long a silent connection is waited for before it is given up: this process may have been busy or stopped, and has not
/// read yet what came. A timer that is as late shows that it is so still.
const DOUBT: Duration = Duration::from_millis(250);

/// What has come back of something that was sent.
pub(super) enum Back {
    /// Replies to requests of this many bytes.
    Replies(Vec<Asked>, usize, Result<Vec<Value>, RedisError>),
    /// Replies of another server of the Redis Cluster to requests of this many bytes, or why there are none.
    Elsewhere(Vec<Asked>, usize, Result<Vec<Value>, String>),
    /// The number of subscribers at all servers of the Redis Cluster, for a query of this many bytes.
    Counted(QueryId, usize, Result<Reply, String>),
    /// Replies to subscriptions of this many bytes. What is subscribed comes as pushes.
    Subscribed(usize, Result<Vec<Value>, RedisError>),
    /// A ping was answered. A refusal is an answer, too: a Redis whose disk is full refuses pings.
    Alive(Line, Result<(), RedisError>),
    /// The connection for the reader.
    Reader(Result<MultiplexedConnection, RedisError>),
    /// What was read of a stream.
    Read(ByteString, Result<Value, RedisError>),
}

/// Something that has happened on the connections.
pub(super) enum Event {
    Back(Box<Back>),
    Pushed(Pushed),
    /// A ping is due, or a connection may have been silent for too long.
    Time,
}

/// What is read.
struct Reading {
    stream: ByteString,
    after: ByteString,
}

/// Open connections.
pub(super) struct Traffic {
    requests: MultiplexedConnection,
    feed: MultiplexedConnection,
    /// `None` until there is something to read.
    reader: Option<MultiplexedConnection>,
    opener: Opener,
    others: Others,
    outlet: Outlet,
    subscriptions: Subscriptions,
    reading: Option<Reading>,
    sent: FuturesUnordered<Pin<Box<dyn Future<Output = Back>>>>,
    /// Batches that were sent and are not answered, and their bytes.
    unanswered: usize,
    unanswered_bytes: usize,
    /// When the connections were last heard of.
    heard_at: [Instant; LINES],
    /// Until when a connection that has been silent for too long is waited for.
    doubt_until: Option<Instant>,
    next_ping: Instant,
    read_count: usize,
    most_bytes: usize,
    replies: Replies,
}

impl Traffic {
    pub(super) fn new(
        connected: Connected,
        options: &RedisOptions,
        figures: Arc<Figures>,
        now: Instant,
    ) -> Self {
        Self {
            others: Others::new(connected.ranges, &connected.url),
            requests: connected.requests,
            feed: connected.feed,
            reader: None,
            opener: connected.opener,
            outlet: connected.outlet,
            subscriptions: Subscriptions::default(),
            reading: None,
            sent: FuturesUnordered::new(),
            unanswered: 0,
            unanswered_bytes: 0,
            heard_at: [now; LINES],
            doubt_until: None,
            next_ping: now + PING_INTERVAL,
            read_count: options.read_count,
            most_bytes: options.max_unanswered_bytes,
            replies: Replies { figures, home_slot: slot_of_key(options.home_key.as_bytes()) },
        }
    }

    // ----- what is sent -----

    /// Adds the end of a subscription to a turn's subscriptions.
    pub(super) fn unsubscribe(&mut self, channel: Channel, batch: &mut FeedBatch) {
        batch.unsubscribe(&channel);
        self.subscriptions.end(channel);
    }

    /// Adds to a turn's requests that a key is set. If another server of the Redis Cluster has the key, it is asked at once.
    pub(super) fn store(&mut self, key: &ByteString, value: &Bytes, expires_in: Duration, batch: &mut Batch) {
        match self.others.owner_of(key.as_bytes()) {
            None => batch.store(key, value, expires_in),
            Some(other) => {
                let mut batch = Batch::default();
                batch.store(key, value, expires_in);
                self.send_to(other, batch);
            }
        }
    }

    /// Adds a query to a turn's requests. If other servers of the Redis Cluster are needed, they are asked at once.
    pub(super) fn query(&mut self, id: QueryId, query: Query, batch: &mut Batch) {
        match &query {
            Query::Take { key } => {
                if let Some(other) = self.others.owner_of(key.as_bytes()) {
                    let mut batch = Batch::default();
                    batch.query(id, query);
                    return self.send_to(other, batch);
                }
            }
            Query::Count { channel, .. } if !self.others.is_empty() => {
                let bytes = channel.len() + REQUEST_BYTES;
                let counting = self.others.count(query, self.requests.clone());
                self.count(bytes);
                return self.keep(async move { Back::Counted(id, bytes, counting.await) });
            }
            _ => {}
        }
        batch.query(id, query);
    }

    fn send_to(&mut self, other: Other, batch: Batch) {
        let Batch { commands, asked, bytes } = batch;
        self.count(bytes);
        self.keep(async move { Back::Elsewhere(asked, bytes, other.ask(&commands).await) });
    }

    /// Reads a stream from behind an id on.
    pub(super) fn read(&mut self, stream: ByteString, after: ByteString) {
        let is_first = self.reading.replace(Reading { stream, after }).is_none();
        if is_first {
            let opener = self.opener.clone();
            self.keep(async move { Back::Reader(opener.open(Line::Reader).await) });
        }
    }

    /// Sends a turn's requests, those of each connection in one write.
    ///
    /// # Errors
    /// The connections are to be given up: too many bytes are unanswered.
    pub(super) fn send(&mut self, batch: Batch, feed: FeedBatch) -> Result<(), String> {
        let FeedBatch { commands, bytes } = feed;
        if !commands.is_empty() {
            let (mut connection, count) = (self.feed.clone(), commands.len());
            self.count(bytes);
            self.keep(async move {
                Back::Subscribed(bytes, connection.send_packed_commands(&commands, 0, count).await)
            });
        }
        let Batch { commands, asked, bytes } = batch;
        if !commands.is_empty() {
            let (mut connection, count) = (self.requests.clone(), commands.len());
            self.count(bytes);
            self.keep(async move {
                let replies = connection.send_packed_commands(&commands, 0, count).await;
                Back::Replies(asked, bytes, replies)
            });
        }
        if self.unanswered_bytes > self.most_bytes {
            return Err(format!("Redis has more than {} bytes of requests unanswered", self.most_bytes));
        }
        Ok(())
    }

    fn count(&mut self, bytes: usize) {
        self.unanswered += 1;
        self.unanswered_bytes += bytes;
    }

    /// Whether all requests are answered.
    pub(super) fn is_idle(&self) -> bool {
        self.unanswered == 0
    }

    fn ping(&mut self, line: Line) {
        let mut connection = match line {
            Line::Requests => self.requests.clone(),
            Line::Feed => self.feed.clone(),
            // It is asked all the time.
            Line::Reader => return,
        };
        self.keep(async move {
            let pong = connection.send_packed_command(&redis::cmd("PING")).await;
            Back::Alive(line, pong.map(drop))
        });
    }

    /// Has a request sent now, so that requests pass in the order of these calls, and waits for its answer later.
    fn keep(&mut self, request: impl Future<Output = Back> + 'static) {
        // A request that the runtime has put off would pass later than the next one.
        let mut request: Pin<Box<dyn Future<Output = Back>>> = Box::pin(unconstrained(request));
        match request.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            // It has failed at once.
            Poll::Ready(back) => self.sent.push(Box::pin(std::future::ready(back))),
            Poll::Pending => self.sent.push(request),
        }
    }

    // ----- what comes -----

    /// The next event. Nothing is lost if the future is dropped.
    pub(super) async fn event(&mut self) -> Event {
        let reader =
            self.reader.as_ref().map_or(self.next_ping, |_| self.heard_at[Line::Reader as usize] + SILENCE);
        let silent_at = self.heard_at[0].min(self.heard_at[1]) + SILENCE;
        let look_at = self.doubt_until.unwrap_or(silent_at.min(reader));
        let Self { outlet, sent, next_ping, .. } = self;
        let time = rt::time::sleep_until(look_at.min(*next_ping).into());
        let sent = poll_fn(|cx| match sent.poll_next_unpin(cx) {
            Poll::Ready(Some(back)) => Poll::Ready(back),
            // None is under way.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        });
        tokio::select! {
            // Replies first: they are bounded by what was asked.
            biased;
            back = sent => Event::Back(Box::new(back)),
            pushed = outlet.next() => Event::Pushed(pushed),
            () = time => Event::Time,
        }
    }

    /// Takes an event, and appends what the core is to be told.
    ///
    /// # Errors
    /// The connections are to be given up, for this reason.
    pub(super) fn take(&mut self, event: Event, inputs: &mut Vec<Input>) -> Result<(), String> {
        match event {
            Event::Back(back) => self.take_back(*back, inputs),
            Event::Pushed(Pushed::TooMuch) => {
                Err(format!("Redis has sent more than {} bytes that are not handled yet", self.most_bytes))
            }
            Event::Pushed(Pushed::Push(line, push, _)) => {
                self.hear(line);
                self.take_push(push, inputs)
            }
            Event::Time => self.look_at_the_clock(Instant::now()),
        }
    }

    fn take_push(&mut self, push: PushInfo, inputs: &mut Vec<Input>) -> Result<(), String> {
        match self.subscriptions.read(push) {
            Ok(Some(input)) => {
                if matches!(input, Input::Published { .. }) {
                    self.replies.figures.heard.fetch_add(1, Ordering::Relaxed);
                }
                inputs.push(input);
            }
            Ok(None) => {}
            Err(Unread::Junk) => self.replies.figures.count_junk(),
            Err(Unread::Lost(why)) => return Err(why),
        }
        Ok(())
    }

    fn take_back(&mut self, back: Back, inputs: &mut Vec<Input>) -> Result<(), String> {
        match back {
            Back::Replies(asked, bytes, replies) => {
                self.unanswered -= 1;
                self.unanswered_bytes -= bytes;
                let values = replies.map_err(|error| words_of_loss(&error))?;
                self.hear(Line::Requests);
                self.replies.take(asked, values, inputs)
            }
            Back::Elsewhere(asked, bytes, replies) => {
                self.unanswered -= 1;
                self.unanswered_bytes -= bytes;
                self.replies.take_elsewhere(asked, replies, inputs)
            }
            Back::Counted(id, bytes, count) => {
                self.unanswered -= 1;
                self.unanswered_bytes -= bytes;
                inputs.push(Input::Replied(id, count));
                Ok(())
            }
            Back::Subscribed(bytes, replies) => {
                self.unanswered -= 1;
                self.unanswered_bytes -= bytes;
                let values = replies.map_err(|error| words_of_loss(&error))?;
                self.hear(Line::Feed);
                match values.iter().find_map(refusal) {
                    Some(why) => Err(format!("Redis refuses a subscription: {why}")),
                    None => Ok(()),
                }
            }
            Back::Alive(line, answered) => {
                answered.map_err(|error| words_of_loss(&error))?;
                self.hear(line);
                Ok(())
            }
            Back::Reader(opened) => {
                self.reader = Some(opened.map_err(|error| words_of_loss(&error))?);
                self.hear(Line::Reader);
                self.read_on();
                Ok(())
            }
            Back::Read(stream, read) => self.take_read(&stream, read, inputs),
        }
    }

    // ----- the reader -----

    fn read_on(&mut self) {
        let (Some(reader), Some(reading)) = (&self.reader, &self.reading) else { return };
        let mut connection = reader.clone();
        let command = read(&reading.stream, &reading.after, self.read_count);
        let stream = reading.stream.clone();
        self.keep(async move { Back::Read(stream, connection.send_packed_command(&command).await) });
    }

    fn take_read(
        &mut self,
        stream: &ByteString,
        read: Result<Value, RedisError>,
        inputs: &mut Vec<Input>,
    ) -> Result<(), String> {
        let value = read.map_err(|error| words_of_loss(&error))?;
        self.hear(Line::Reader);
        if let Some(why) = refusal(&value) {
            return Err(format!("Redis does not let this server read the stream: {why}"));
        }
        let entries = entries_read(value);
        if let (Some(last), Some(reading)) = (entries.last(), &mut self.reading)
            && reading.stream == *stream
        {
            reading.after = last.id.clone();
            self.replies.figures.heard.fetch_add(entries.len() as u64, Ordering::Relaxed);
            inputs.push(Input::Entries(entries));
        }
        self.read_on();
        Ok(())
    }

    // ----- time -----

    fn hear(&mut self, line: Line) {
        self.heard_at[line as usize] = Instant::now();
    }

    fn look_at_the_clock(&mut self, now: Instant) -> Result<(), String> {
        let lines = if self.reader.is_some() { LINES } else { LINES - 1 };
        if self.heard_at[..lines].iter().all(|heard_at| now < *heard_at + SILENCE) {
            self.doubt_until = None;
        } else {
            match self.doubt_until {
                Some(until) if now < until => {}
                Some(until) if now < until + DOUBT => {
                    return Err(format!("Redis has been silent for {} seconds", SILENCE.as_secs()));
                }
                // The first look, or one after a standstill.
                _ => self.doubt_until = Some(now + DOUBT),
            }
        }
        if now >= self.next_ping {
            self.next_ping = now + PING_INTERVAL;
            [Line::Requests, Line::Feed].into_iter().for_each(|line| self.ping(line));
        }
        Ok(())
    }
}
