//! What passes over two open connections: calls and their answers, subscriptions, what is published, pings.

use std::{
    collections::HashMap,
    future::poll_fn,
    num::NonZeroU8,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use actix_web::rt;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use log::{error, warn};
use redis::{Pipeline, PushInfo, PushKind, RedisError, Value, aio::MultiplexedConnection};

use super::{
    answers::answer,
    calls::call,
    connecting::{Connected, Line, Pushes},
    keys::{channel_of, channel_of_node, partition_of_node},
    publications::Publications,
    questions::Question,
};
use crate::{
    config::RedisAcks,
    domain::RoomName,
    nodes::{
        Bounds, NodeUid, Partition,
        commands::{Answer, Appended, Command, Refused},
        contract::Away,
        link::{CallId, Input},
    },
    redis_client::{
        error::{CLOSED, text_of_error, words_of_loss},
        slots::{is_down, is_moved},
        values::refusal,
    },
};

/// Time between pings on each connection. Nothing else notices a Redis that is stopped while its connections stay.
const PING_INTERVAL: Duration = Duration::from_secs(2);

/// How long a connection may be silent. Pings make it speak more often.
const SILENCE: Duration = Duration::from_secs(5);

/// How long a batch waits for replicas. Calls behind it on the connection wait, too.
const REPLICA_TIMEOUT: Duration = Duration::from_secs(1);

/// A timer that is so late shows that this process has stood still, and what has come meanwhile may not be read yet.
const STANDSTILL: Duration = Duration::from_secs(1);

/// Most inputs that are taken at once, so that no side waits for long.
const MOST_AT_ONCE: usize = 1024;

type Answers = Result<Vec<Value>, RedisError>;

/// What has come back of something that was sent.
enum Back {
    /// Answers to calls, and, behind those, the number of replicas if they were waited for.
    Calls(Vec<(CallId, Command)>, Answers),
    /// A question or a ping was answered. A refusal is an answer, too: a Redis whose disk is full refuses pings.
    Alive(Line, Result<(), RedisError>),
    /// Answers to subscriptions in these partitions; those that matter come as pushes.
    Subscribed(Vec<Partition>, Answers),
}

/// A partition that another server of the Redis Cluster has, in the words of this one.
pub(super) struct Moved {
    pub(super) partition: Partition,
    pub(super) why: String,
}

/// Something that has happened on the connections.
enum Event {
    Pushed(Line, PushInfo),
    Back(Back),
    /// A ping is due, or a connection may have been silent for too long.
    Time,
    /// The connections' tasks have ended.
    Over,
}

/// A turn's requests, each kind in its order.
#[derive(Default)]
pub(super) struct Batch {
    calls: Vec<(CallId, Command)>,
    feed: Pipeline,
    /// The partitions of the subscriptions.
    subscribed: Vec<Partition>,
}

impl Batch {
    fn subscription(&mut self, word: &str, channel: &str, partition: Partition) {
        self.feed.cmd(word).arg(channel);
        self.subscribed.push(partition);
    }
}

/// Two open connections.
pub(super) struct Traffic {
    calls: MultiplexedConnection,
    feed: MultiplexedConnection,
    pushes: Pushes,
    sent: FuturesUnordered<Pin<Box<dyn Future<Output = Back>>>>,
    publications: Publications,
    /// The rooms whose channels are being subscribed to.
    subscribing: HashMap<String, RoomName>,
    moved: Vec<Moved>,
    acks: RedisAcks,
    bounds: Arc<Bounds>,
    /// Whether replicas are waited for. Calls are then held back: behind each other, many such waits would take too long.
    is_waiting: bool,
    held: Vec<(CallId, Command)>,
    /// When the connections were last heard of.
    heard_at: [Instant; 2],
    next_ping: Instant,
}

impl Traffic {
    pub(super) fn new(connected: Connected, acks: RedisAcks, bounds: Arc<Bounds>, now: Instant) -> Self {
        Self {
            calls: connected.calls,
            feed: connected.feed,
            pushes: connected.pushes,
            sent: FuturesUnordered::new(),
            publications: Publications::default(),
            subscribing: HashMap::new(),
            moved: Vec::new(),
            acks,
            bounds,
            is_waiting: false,
            held: Vec::new(),
            heard_at: [now; 2],
            next_ping: now + PING_INTERVAL,
        }
    }

    /// Adds a call to a turn's requests.
    pub(super) fn call(&mut self, id: CallId, command: Command, batch: &mut Batch) {
        batch.calls.push((id, command));
    }

    /// Subscribes to the channel of a room.
    pub(super) fn subscribe(&mut self, room: RoomName, batch: &mut Batch) {
        let channel = channel_of(&room);
        batch.subscription("SSUBSCRIBE", &channel, Partition::of(&room));
        self.subscribing.insert(channel, room);
    }

    /// Unsubscribes from the channel of a room.
    pub(super) fn unsubscribe(&mut self, room: &RoomName, batch: &mut Batch) {
        batch.subscription("SUNSUBSCRIBE", &channel_of(room), Partition::of(room));
    }

    /// Subscribes to the channel of a node in a partition.
    pub(super) fn subscribe_node(&mut self, partition: Partition, node: NodeUid, batch: &mut Batch) {
        batch.subscription("SSUBSCRIBE", &channel_of_node(partition, &node), partition);
    }

    /// Sends a turn's requests, those of each connection in one write.
    pub(super) fn send(&mut self, batch: Batch) {
        let Batch { calls, feed, subscribed } = batch;
        if !feed.is_empty() {
            let (mut connection, count) = (self.feed.clone(), feed.len());
            self.keep(async move {
                Back::Subscribed(subscribed, connection.send_packed_commands(&feed, 0, count).await)
            });
        }
        self.held.extend(calls);
        self.send_calls();
    }

    /// Sends all calls, unless replicas are waited for.
    fn send_calls(&mut self) {
        if self.is_waiting || self.held.is_empty() {
            return;
        }
        let calls = std::mem::take(&mut self.held);
        let mut requests = Pipeline::with_capacity(calls.len() + 1);
        for (_, command) in &calls {
            requests.add_command(call(command, &self.bounds));
        }
        if let Some(replicas) = self.replicas_for(&calls) {
            // One for the batch: it waits for all that was written before on this connection.
            self.is_waiting = true;
            requests.cmd("WAIT").arg(replicas.get()).arg(REPLICA_TIMEOUT.as_millis() as u64);
        }
        let mut connection = self.calls.clone();
        let count = requests.len();
        self.keep(async move {
            let answers = connection.send_packed_commands(&requests, 0, count).await;
            Back::Calls(calls, answers)
        });
    }

    /// The number of replicas to wait for behind these calls, if any of them needs those.
    fn replicas_for(&self, calls: &[(CallId, Command)]) -> Option<NonZeroU8> {
        match self.acks {
            RedisAcks::Replicas(count) if calls.iter().any(|(_, command)| needs_replicas(command)) => {
                Some(count)
            }
            _ => None,
        }
    }

    /// Asks a question of a session or page.
    pub(super) fn ask(&mut self, question: Question) {
        let Question { partition: _, requests, answer } = question;
        let (mut connection, count) = (self.calls.clone(), requests.len());
        self.keep(async move {
            match connection.send_packed_commands(&requests, 0, count).await {
                Ok(replies) => {
                    answer(Ok(replies));
                    Back::Alive(Line::Calls, Ok(()))
                }
                Err(error) => {
                    answer(Err(text_of_error(&error)));
                    Back::Alive(Line::Calls, Err(error))
                }
            }
        });
    }

    fn ping(&mut self, line: Line) {
        let mut connection = if line == Line::Calls { self.calls.clone() } else { self.feed.clone() };
        self.keep(async move {
            let pong = connection.send_packed_command(&redis::cmd("PING")).await;
            Back::Alive(line, pong.map(drop))
        });
    }

    /// Has a request sent now, so that requests pass in the order of these calls, and waits for its answer later.
    fn keep(&mut self, request: impl Future<Output = Back> + 'static) {
        let mut request: Pin<Box<dyn Future<Output = Back>>> = Box::pin(request);
        match request.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            // It has failed at once.
            Poll::Ready(back) => self.sent.push(Box::pin(std::future::ready(back))),
            Poll::Pending => self.sent.push(request),
        }
    }

    /// Waits until something has happened, and appends all that has to `inputs`.
    ///
    /// # Errors
    /// The connections are to be given up.
    pub(super) async fn next(&mut self, inputs: &mut Vec<Input>) -> Result<(), Away> {
        let event = self.event().await;
        self.take(event, inputs)?;
        while inputs.len() < MOST_AT_ONCE {
            match self.event().now_or_never() {
                Some(event) => self.take(event, inputs)?,
                None => break,
            }
        }
        Ok(())
    }

    /// The next event. Nothing is lost if the future is dropped.
    async fn event(&mut self) -> Event {
        let silent_at = self.heard_at[0].min(self.heard_at[1]) + SILENCE;
        let Self { pushes, sent, next_ping, .. } = self;
        let time = rt::time::sleep_until(silent_at.min(*next_ping).into());
        let sent = poll_fn(|cx| match sent.poll_next_unpin(cx) {
            Poll::Ready(Some(back)) => Poll::Ready(back),
            // None is under way.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        });
        tokio::select! {
            // Answers first: they are bounded by what was asked.
            biased;
            back = sent => Event::Back(back),
            push = pushes.recv() => push.map_or(Event::Over, |(line, push)| Event::Pushed(line, push)),
            () = time => Event::Time,
        }
    }

    fn take(&mut self, event: Event, inputs: &mut Vec<Input>) -> Result<(), Away> {
        match event {
            Event::Pushed(_, PushInfo { kind: PushKind::Disconnection, .. }) | Event::Over => {
                Err(Away(CLOSED.to_owned()))
            }
            Event::Pushed(line, push) => {
                self.hear(line);
                self.take_push(push, inputs);
                Ok(())
            }
            Event::Back(Back::Subscribed(partitions, answers)) => {
                let values = answers.map_err(|error| away(&error))?;
                self.hear(Line::Feed);
                self.take_subscribed(partitions, &values)
            }
            Event::Back(Back::Alive(line, answered)) => {
                answered.map_err(|error| away(&error))?;
                self.hear(line);
                Ok(())
            }
            Event::Back(Back::Calls(calls, answers)) => {
                let values = answers.map_err(|error| away(&error))?;
                self.hear(Line::Calls);
                self.take_answers(calls, values, inputs)?;
                self.send_calls();
                Ok(())
            }
            Event::Time => self.look_at_the_clock(Instant::now()),
        }
    }

    fn hear(&mut self, line: Line) {
        self.heard_at[line as usize] = Instant::now();
    }

    fn take_push(&mut self, push: PushInfo, inputs: &mut Vec<Input>) {
        let mut data = push.data.into_iter();
        let (Some(Value::BulkString(channel)), second) = (data.next(), data.next()) else {
            return;
        };
        match (push.kind, second) {
            (PushKind::SSubscribe, _) => {
                let room =
                    std::str::from_utf8(&channel).ok().and_then(|channel| self.subscribing.remove(channel));
                // Without a room: the channel of the node itself.
                inputs.extend(room.map(Input::Subscribed));
            }
            // A node does not unsubscribe from its own channel: Redis has, because the slot is another server's.
            (PushKind::SUnsubscribe, _) => {
                let why = "Redis has given its slot to another server".to_owned();
                self.moved.extend(partition_of_node(&channel).map(|partition| Moved { partition, why }));
            }
            (PushKind::SMessage, Some(Value::BulkString(payload))) => {
                match self.publications.read(&channel, Bytes::from(payload)) {
                    Ok(published) => {
                        inputs.extend(published.map(|(room, published)| Input::Published(room, published)));
                    }
                    // Every client of this Redis may publish anything. A record that is missing is asked for.
                    Err(error) => warn!("a publication in Redis is passed over: {error}"),
                }
            }
            _ => {}
        }
    }

    /// What other servers of the Redis Cluster have now, as this one has said since the last time.
    pub(super) fn take_moved(&mut self) -> Vec<Moved> {
        std::mem::take(&mut self.moved)
    }

    fn take_subscribed(&mut self, partitions: Vec<Partition>, values: &[Value]) -> Result<(), Away> {
        for (partition, value) in partitions.into_iter().zip(values) {
            match refusal(value) {
                Some(why) if is_moved(&why) || is_down(&why) => self.moved.push(Moved { partition, why }),
                Some(why) => return Err(Away(format!("Redis refuses a subscription: {why}"))),
                None => {}
            }
        }
        Ok(())
    }

    fn take_answers(
        &mut self,
        calls: Vec<(CallId, Command)>,
        mut values: Vec<Value>,
        inputs: &mut Vec<Input>,
    ) -> Result<(), Away> {
        let missing = self.replicas_for(&calls).and_then(|wanted| {
            self.is_waiting = false;
            let have = values.pop().map_or(0, |value| if let Value::Int(have) = value { have } else { 0 });
            (have < wanted.get().into()).then(|| format!("{have} of {wanted} replicas have it in time"))
        });
        if values.len() != calls.len() {
            return Err(Away("Redis has answered something else than what it was asked".to_owned()));
        }
        let mut verdict = Ok(());
        for ((id, command), value) in calls.into_iter().zip(values) {
            let answer = answer_to(&command, value, missing.as_deref());
            if let Err(Refused(text)) = &answer
                && is_for_another_connection(text)
            {
                verdict = Err(Away(format!("Redis has become another one: {text}")));
            }
            inputs.push(Input::Answered(id, answer));
        }
        verdict
    }

    fn look_at_the_clock(&mut self, now: Instant) -> Result<(), Away> {
        if now >= self.next_ping + STANDSTILL {
            self.heard_at = [now; 2];
        }
        if self.heard_at.iter().any(|heard_at| now >= *heard_at + SILENCE) {
            return Err(Away(format!("Redis has been silent for {} seconds", SILENCE.as_secs())));
        }
        if now >= self.next_ping {
            self.next_ping = now + PING_INTERVAL;
            [Line::Calls, Line::Feed].into_iter().for_each(|line| self.ping(line));
        }
        Ok(())
    }
}

/// Whether replicas must have what a command has written. Without them Redis takes no messages, so a probe fails, too.
fn needs_replicas(command: &Command) -> bool {
    matches!(command, Command::Append(_) | Command::Probe { .. })
}

/// The answer to a call. A round that is appended, or a probe, counts only if no replica is `missing`.
fn answer_to(command: &Command, value: Value, missing: Option<&str>) -> Result<Answer, Refused> {
    if let Some(text) = refusal(&value) {
        return Err(Refused(text));
    }
    let answer = answer(command, value).map_err(|error| {
        error!("an answer of Redis cannot be read: {error}");
        Refused(error.to_string())
    })?;
    match (missing, command, &answer) {
        (Some(missing), Command::Append(_), Answer::Appended(Appended::At(_)))
        | (Some(missing), Command::Probe { .. }, _) => Err(Refused(missing.to_owned())),
        _ => Ok(answer),
    }
}

/// Whether an error will not pass on this connection: the server has become a replica, or its functions are gone, which
/// connecting loads.
fn is_for_another_connection(text: &str) -> bool {
    ["READONLY", "ERR Function not found"].iter().any(|begin| text.starts_with(begin))
}

fn away(error: &RedisError) -> Away {
    Away(words_of_loss(error))
}
