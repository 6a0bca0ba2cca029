//! A chat that goes on where another one has panicked.
//!
//! The rooms, their users, and who is subscribed go on as they were: the fan-outs and the sessions know of
//! them. What the rooms have said is read from the journal again, when it is first needed. Lost are the input
//! that panicked, and lines that were not sent to the fan-outs yet; their senders are told.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{
    Chat,
    moving::Moving,
    shared::{Shared, is_answer},
};
use crate::{
    broadcast::{Member, Remains, RoomId, Seat},
    chat::{
        alarms::Alarm,
        calls::{Call, CallId},
        commits::Receipt,
        common::ShardId,
        effects::{Done, Effect, Input},
        handing::Decided,
        messages::{ListUsers, Post, Register, Rejected, Reply, Request, SendPrivate, Unregister, UntilKept},
        room::{Behind, Book, Room, Visit, Waiting},
        transfer::ToShard,
    },
    connection::Ending,
    domain::{MemberId, RoomName},
    journal::JournalError,
    nodes::contract::{AskId, Heard},
};

/// What is to be done about an input that is lost, because the chat panicked over it.
#[derive(Debug)]
pub enum Lost {
    /// Nothing: the input is one of many, or not answered.
    Nothing,
    /// The session that asked is told that its request failed.
    Answer(MemberId, u64),
    /// The session was not registered.
    Newcomer(Seat),
    /// Where the session is now is not certain.
    Place(MemberId),
    /// The session has ended nevertheless, here or where it has moved to.
    End(MemberId, bool),
    /// Where those sessions are now is not certain that waited for a room.
    PlacesIn(RoomId),
    /// Another shard has logged the session in, and where it is now is not certain.
    Moved(MemberId, ShardId),
    /// A room is to give way to one of another shard.
    GiveWay,
    /// The session of another shard was not logged in.
    Arrival(ShardId, MemberId, u64),
    /// The journal's answer to a batch: the batch is given to it again.
    Batch,
    /// The journal's answer to a check or a sweep: the next one is due.
    Upkeep,
    /// Those who sent a private message are told its fate.
    Fate(Decided),
    /// The server stops nevertheless.
    Stop,
    /// The journal is closed.
    Closed,
    /// The journal has forgotten a room, for that call.
    Forgot(RoomName, Option<CallId>, Result<(), JournalError>),
    /// The call is taken nevertheless.
    Call(CallId, Call),
    /// What the link has told is handled nevertheless.
    Heard(Box<Heard>),
    /// The members of the room may not have been told what was heard there.
    HeardIn(RoomName),
    /// The link has answered a claim of a name, and where its session is now is not certain.
    Entered(AskId),
}

impl Lost {
    /// What is to be done if this input is lost.
    pub fn of(input: &Input) -> Self {
        match input {
            Input::Request(request) => Self::of_request(request),
            Input::Done(Done::Opened(room, _)) => Self::PlacesIn(*room),
            Input::FromShard(ToShard::Arrive(arrive)) => {
                Self::Arrival(arrive.from, arrive.login.member, arrive.login.ticket)
            }
            Input::FromShard(ToShard::Request(request)) => Self::of_request(request),
            Input::FromShard(ToShard::LoginDone { member, by, .. }) => Self::Moved(*member, *by),
            Input::FromShard(ToShard::GiveWay) => Self::GiveWay,
            Input::FromShard(ToShard::Settled(_) | ToShard::Forgotten(..)) => Self::Nothing,
            Input::Done(Done::Appended(_)) => Self::Batch,
            Input::Done(Done::Checked(_) | Done::Swept(..)) => Self::Upkeep,
            Input::Done(Done::Forgot(room, call, answer)) => {
                Self::Forgot(room.clone(), *call, answer.clone())
            }
            Input::Decided(decided) => Self::Fate(decided.clone()),
            Input::Done(Done::Closed(_)) => Self::Closed,
            Input::Done(_) | Input::Wake | Input::TurnEnded => Self::Nothing,
            Input::Stop => Self::Stop,
            Input::Call(id, call) => Self::Call(*id, call.clone()),
            Input::Heard(heard) => Self::of_heard(heard),
        }
    }

    fn of_heard(heard: &Heard) -> Self {
        match heard {
            Heard::Said(room, _)
            | Heard::Opened(room, _)
            | Heard::Person(room, ..)
            | Heard::People(room, ..)
            | Heard::NameLost(room, _)
            | Heard::Forgot(room, _) => Self::HeardIn(room.clone()),
            Heard::Entered(_, ask, _) => Self::Entered(*ask),
            Heard::Whispered(_, _, packed) if !is_answer(packed) => Self::Nothing,
            Heard::Shown(..) => Self::Nothing,
            Heard::Accepted(..)
            | Heard::Repeated(..)
            | Heard::Delayed(..)
            | Heard::Dropped(..)
            | Heard::Whispered(..)
            | Heard::Forgetting(..)
            | Heard::Up(_)
            | Heard::Down(..) => Self::Heard(Box::new(heard.clone())),
        }
    }

    fn of_request(request: &Request) -> Self {
        match request {
            Request::Post(Post { member, ticket, .. })
            | Request::SendPrivate(SendPrivate { member, ticket, .. })
            | Request::ListUsers(ListUsers { member, ticket, .. })
            | Request::UntilKept(UntilKept { member, ticket }) => Self::Answer(*member, *ticket),
            Request::Register(Register { seat, .. }) => Self::Newcomer(seat.clone()),
            Request::Login(_) | Request::Logout(_) | Request::CaughtUp(_) => Self::Place(request.member()),
            Request::Unregister(Unregister { member, holds_name }) => Self::End(*member, *holds_name),
            Request::Publish(_) | Request::ShowTyping(_) => Self::Nothing,
        }
    }
}

/// What is left of a chat that has panicked.
#[derive(Debug)]
pub(in crate::chat) struct Rest {
    remains: Remains<Room>,
    /// What sessions have sent behind a login that waits for a room.
    behind: HashMap<MemberId, VecDeque<Behind>>,
    moving: Moving,
    is_stopping: bool,
    shared: Option<Box<Shared>>,
}

impl Chat {
    /// What is left of a chat that has panicked.
    pub(in crate::chat) fn rest(self) -> Rest {
        Rest {
            remains: self.broadcaster.remains(),
            behind: self.logging_in,
            moving: self.moving,
            is_stopping: self.is_stopping,
            shared: self.shared,
        }
    }

    /// Goes on with what is left of a chat that has panicked over an input.
    pub(in crate::chat) fn begin_again(&mut self, rest: Rest, lost: &Lost) {
        let Rest { mut remains, mut behind, moving, is_stopping, shared } = rest;
        self.has_begun_again = true;
        self.is_stopping = is_stopping;
        self.shared = shared;
        // Other shards, or the link, answer for these.
        let is_answered_for =
            |member: &MemberId| moving.away.contains_key(member) || self.is_entering(*member);
        let answered_for: HashMap<_, _> = behind.extract_if(|member, _| is_answered_for(member)).collect();
        (self.logging_in, self.moving) = (answered_for, moving);
        let rooms = remains.rooms.iter_mut();
        let unsent: Vec<_> = rooms
            .map(|(id, room, lost_lines)| {
                let is_lost = matches!(lost, Lost::HeardIn(name) if *name == room.name);
                let keeps_log = !is_lost && self.has_heard_log(room);
                (*id, close(room, *lost_lines, keeps_log))
            })
            .collect();
        let rooms: Vec<_> = unsent.iter().map(|(id, _)| *id).collect();
        let members_of: HashSet<_> = remains.members.iter().map(|(member, _)| *member).collect();
        let strangers = remains.members.iter().filter(|(_, member)| !member.is_subscribed);
        let strangers: Vec<_> = strangers.map(|(id, member)| (*id, member.room())).collect();
        self.broadcaster.adopt(remains);
        let mut waiting = Vec::new();
        for (id, Unsent { receipts, requests, lost_lines }) in unsent {
            for Receipt { to, .. } in receipts {
                self.answer(to, Reply::Rejected(Rejected::Interrupted));
            }
            waiting.extend(requests);
            self.set_alarms(id, lost_lines);
        }
        self.open_again(&rooms);
        self.make_good(lost, &strangers);
        for waiting in waiting {
            match waiting {
                Waiting::Login(login) => {
                    let behind = behind.remove(&login.member).unwrap_or_default();
                    self.request(Request::Login(login));
                    behind.into_iter().for_each(|request| self.request(request.into()));
                }
                Waiting::Publish(publish) => self.request(Request::Publish(publish)),
                Waiting::Again(request) => self.request_or_redirect(request),
            }
        }
        // Their logins were being handled.
        for member in behind.into_keys().filter(|member| members_of.contains(member)) {
            self.send_away(member);
        }
    }

    /// Sets the alarms of a room anew. Its members get the list of users if they may have missed a change.
    fn set_alarms(&mut self, id: RoomId, has_lost_lines: bool) {
        let now = self.now.at;
        let Some(room) = self.room(id) else {
            return;
        };
        room.news.forget_alarm();
        let last_hold = room.presence.expire(now);
        (room.has_names_alarm, room.has_rest_alarm) = (last_hold.is_some(), false);
        if let Some(last) = last_hold {
            self.alarms.set(last, id, Alarm::Names);
        }
        if has_lost_lines {
            self.send_list_to_all(id);
        }
        self.tell_news(id);
        self.retire(id);
    }

    /// Tells the session whose input is lost.
    fn make_good(&mut self, lost: &Lost, strangers: &[(MemberId, Option<RoomId>)]) {
        match lost {
            // The shard does what is to be done.
            Lost::Nothing
            | Lost::Batch
            | Lost::Upkeep
            | Lost::Stop
            | Lost::Closed
            | Lost::Call(..)
            | Lost::Heard(_)
            | Lost::Forgot(..) => {}
            Lost::HeardIn(room) => self.lost_in(room),
            Lost::Entered(ask) => self.lost_answer_to(*ask),
            Lost::Fate(decided) => self.decided(decided.clone()),
            Lost::Answer(member, ticket) => self.reject(*member, *ticket, Rejected::Interrupted),
            &Lost::Arrival(from, member, ticket) => {
                self.broadcaster.release(member);
                let reply = Reply::Rejected(Rejected::Interrupted);
                self.forward(from, ToShard::LoginDone { member, by: self.id, ticket, reply });
            }
            Lost::Newcomer(seat) => {
                self.effects.push(Effect::TurnAway(seat.clone(), Ending::Restart));
            }
            Lost::Place(member) => self.send_away(*member),
            &Lost::Moved(member, by) => {
                self.moving.away.remove(&member);
                self.logging_in.remove(&member);
                self.send_away(member);
                let unregister = Unregister { member, holds_name: true };
                self.forward(by, ToShard::Request(unregister.into()));
            }
            Lost::GiveWay => self.give_way(),
            &Lost::End(member, holds_name) => {
                self.request_or_redirect(Unregister { member, holds_name }.into());
            }
            Lost::PlacesIn(room) => {
                for (member, _) in strangers.iter().filter(|(_, its)| *its == Some(*room)) {
                    self.send_away(*member);
                }
            }
        }
    }

    /// Ends a session, whose client is to come back. Holds the nickname of its user until then. A session that
    /// this shard was logging in for another one stays there, and is told that its login failed.
    pub(super) fn send_away(&mut self, member: MemberId) {
        if let Some(to) = self.moving.away.remove(&member) {
            self.logging_in.remove(&member);
            let unregister = Unregister { member, holds_name: true };
            self.forward(to, ToShard::Request(unregister.into()));
        }
        let visit = self.broadcaster.rooms.own_of(member).copied();
        // The answer may have been lost; one too many does no harm.
        let comes_from = visit.and_then(|visit| visit.from).or_else(|| self.moving.came_from(member));
        if let (Some(from), Some(Visit { ticket, .. })) = (comes_from, visit) {
            let reply = Reply::Rejected(Rejected::Interrupted);
            self.forward(from, ToShard::LoginDone { member, by: self.id, ticket, reply });
            self.forward(from, ToShard::Settled(member));
        }
        if visit.is_some_and(|visit| visit.from.is_some()) {
            // The login may have been half done.
            self.leave_room(member);
            return self.broadcaster.release(member);
        }
        let known = self.broadcaster.dismiss(member, Ending::Restart);
        if let Some(id) = known.as_ref().and_then(Member::room) {
            self.has_left(member, id, Some(self.limits.name_hold));
        }
    }

    /// Has a request of a user wait until the journal has told where the user's room stands, if that is not
    /// known any more. Returns a request that need not wait.
    pub(super) fn wait_for_book(&mut self, request: Request) -> Option<Request> {
        let member = request.member();
        let is_closed = |room: &mut Room| {
            room.name.is_kept()
                && !matches!(room.book, Book::Open(_))
                && room.presence.user_of(member).is_some()
        };
        let id = self.broadcaster.rooms.room_of(member);
        let Some(id) = id.filter(|id| self.broadcaster.rooms.get(*id).is_some_and(is_closed)) else {
            return Some(request);
        };
        self.open_book(id);
        match self.broadcaster.rooms.get(id).map(|room| &mut room.book) {
            Some(Book::Opening(waiting)) => {
                waiting.push(Waiting::Again(request));
                None
            }
            _ => Some(request),
        }
    }
}

/// What of a room was on its way when the chat panicked.
struct Unsent {
    /// Acks for messages that are lost.
    receipts: Vec<Receipt>,
    /// Requests that wait for the journal.
    requests: Vec<Waiting>,
    /// Whether lines are lost.
    lost_lines: bool,
}

/// Closes the book of a room, so that it is read again unless `keeps_log`, and drops what was not sent.
fn close(room: &mut Room, lost_lines: bool, keeps_log: bool) -> Unsent {
    let requests = match &mut room.book {
        Book::Opening(waiting) => std::mem::take(waiting),
        Book::Closed | Book::Open(_) => Vec::new(),
    };
    if !keeps_log {
        room.book = Book::Closed;
    }
    room.is_catching_up = false;
    Unsent { receipts: std::mem::take(&mut room.kept).into_receipts(), requests, lost_lines }
}
