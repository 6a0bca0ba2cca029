//! A chat that panics goes on: who is where stays, what was said and sent is kept and acked, and what is lost is told.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::*;
use crate::{
    broadcast::{
        Encoding, ForFanOut, Seat, Tell,
        testing::{PLAIN, seat},
    },
    chat::{
        calls::{Answer, Call, CallId},
        common::ChatLimits,
        effects::{Done, Job},
        handing::{Decided, Fate, Waiter},
        ids::IdLimits,
        line::CHAT,
        messages::{CaughtUp, ChatNews, Login, Post, Register, Unregister},
        position::Asker,
        transfer::ToShard,
    },
    config::PerAddress,
    connection::{Budget, Ending, Intake},
    domain::{Avatar, MemberId, Nickname, Profile, Token, WorkerId},
    journal::{Append, Epoch, EpochId, Keyed, Kind, Record, RoomState},
};

mod calls;
mod nodes;

#[derive(Debug)]
struct NoDecisions;

impl Decisions for NoDecisions {
    fn decided(&self, _: Decided) {}
}

const LIMITS: ChatLimits = ChatLimits {
    max_rooms: 9,
    max_new_rooms: PerAddress::for_all(0),
    name_hold: Duration::from_secs(30),
    name_reservation: Duration::from_secs(60),
    max_held_names: 9,
    ids: IdLimits { per_user: 9, age: Duration::from_secs(60), total: 99 },
    tail_bytes: 1 << 20,
    commit_delay: Duration::ZERO,
};

/// A shard with a journal that does what it is asked when it is told to.
struct Stage {
    shard: Shard,
    intake: Intake,
    budget: Arc<Budget>,
    now: Now,
    /// What the journal has been asked and has not done.
    jobs: Vec<Job>,
    /// What is durable.
    durable: Vec<Append>,
    /// The calls that have been answered.
    answered: Vec<(CallId, Answer)>,
    /// What goes to other shards.
    forwards: Vec<(ShardId, ToShard)>,
    /// What sessions were told.
    told: HashMap<MemberId, Vec<String>>,
}

impl Stage {
    fn new() -> Self {
        let now = Now { at: Instant::now(), millis: 1000 };
        Self::of(&Common::new(LIMITS, Budget::new(1 << 30), 1), ShardId(0), now)
    }

    fn of(common: &Arc<Common>, id: ShardId, now: Now) -> Self {
        let budget = Arc::clone(&common.budget);
        let shard = Shard::new(Arc::clone(common), id, Arc::new(NoDecisions), now);
        let mut stage = Self {
            shard,
            intake: Intake::new(1 << 20, Arc::clone(&budget)),
            budget,
            now,
            jobs: Vec::new(),
            durable: Vec::new(),
            told: HashMap::new(),
            forwards: Vec::new(),
            answered: Vec::new(),
        };
        let mut effects = Vec::new();
        stage.shard.start(&mut effects);
        stage.carry_out(effects);
        stage.run_journal();
        stage
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Ask(job) => self.jobs.push(job),
                Effect::Send(_, ForFanOut::Tell(Tell { member, news })) => {
                    let news = *news.downcast::<ChatNews>().expect("news of the chat");
                    self.told.entry(member).or_default().push(sentence(&news));
                }
                Effect::Send(_, ForFanOut::Dismiss(dismiss)) => {
                    self.told.entry(dismiss.member).or_default().push(format!("{:?}", dismiss.ending));
                }
                Effect::Send(..) => {}
                Effect::TurnAway(_, ending) => panic!("turned away: {ending:?}"),
                Effect::Forward(to, message) => self.forwards.push((to, message)),
                Effect::Answer(id, answer) => self.answered.push((id, answer)),
                Effect::Order(order) => panic!("there is no link: {order:?}"),
            }
        }
    }

    fn feed(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.shard.handle(self.now, input, &mut effects);
        self.carry_out(effects);
    }

    /// The journal does what it has been asked, also what it is asked meanwhile. It keeps one room.
    fn run_journal(&mut self) {
        self.run_journal_until(|_| false);
        assert!(self.jobs.is_empty());
    }

    /// The journal does what it has been asked, until the next job is such a one.
    fn run_journal_until(&mut self, is_next: impl Fn(&Job) -> bool) {
        while !self.jobs.first().is_none_or(&is_next) {
            let job = self.jobs.remove(0);
            let done = match job {
                Job::Rooms { .. } => Done::Rooms(Ok(Vec::new())),
                Job::Open(id, _) => Done::Opened(id, Ok(self.state())),
                Job::Append(batch) => {
                    self.durable.extend(batch);
                    Done::Appended(Ok(()))
                }
                Job::Check => Done::Checked(Ok(())),
                Job::Sweep => Done::Swept(0, Ok(Vec::new())),
                Job::Forget(room, call) => Done::Forgot(room, call, Ok(())),
                Job::Reserve(..) => Done::Reserved(Ok(())),
                Job::Close => Done::Closed(Ok(())),
            };
            self.feed(Input::Done(done));
        }
    }

    fn state(&self) -> RoomState {
        let records = self.durable.iter().map(|append| &append.record);
        let keys: Vec<Keyed> = records.clone().flat_map(|record| record.keys.clone()).collect();
        let head = records.map(Record::last).max().unwrap_or(0);
        let epoch = Epoch { id: EpochId { random: 1, number: 1 }, starts: 1 };
        RoomState { epochs: vec![epoch], head, keys, names: Vec::new() }
    }

    /// A user logs in to the room and subscribes.
    fn user(&mut self, number: u64, name: &str) -> MemberId {
        let member = self.log_in(number, name);
        self.run_journal();
        self.feed(Input::Request(CaughtUp { member, visit: number, after: self.state().head }.into()));
        member
    }

    /// A session registers and asks for a login.
    fn log_in(&mut self, number: u64, name: &str) -> MemberId {
        let member = self.register(number);
        let login = self.login_of(member, number, name, &RoomName::parse("a").expect("a legal name"));
        self.feed(Input::Request(login.into()));
        member
    }

    fn register(&mut self, number: u64) -> MemberId {
        let member = MemberId::of(number);
        let seat = Seat { encoding: Encoding { dialect: CHAT, deflated: false }, ..seat(PLAIN) };
        let register = Register { member, room: None, worker: WorkerId(0), seat, address: None };
        self.feed(Input::Request(register.into()));
        member
    }

    fn login_of(&self, member: MemberId, ticket: u64, name: &str, room: &RoomName) -> Login {
        let nickname = Nickname::parse(name).expect("a legal name");
        Login {
            member,
            ticket,
            room: room.clone(),
            profile: Some(Profile { nickname, avatar: Avatar::default(), uid: None }),
            token: None,
            has_shown_token: false,
            spare: format!("{:032x}", 100 * member.number() + ticket).parse::<Token>().expect("a token"),
            position: None,
            wants_changes: None,
            _accepted: self.intake.accept(1),
        }
    }

    fn post(&mut self, member: MemberId, ticket: u64, id: &str) {
        let (body, id) = ("text".into(), Some(id.into()));
        let accepted = self.intake.accept(4);
        self.feed(Input::Request(Post { member, ticket, kind: Kind::Message, body, id, accepted }.into()));
    }

    /// The chat panics over an input.
    fn panic(&mut self, lost: Lost) {
        let mut effects = Vec::new();
        self.shard.begin_again(self.now, lost, &mut effects);
        self.carry_out(effects);
    }

    /// What a session was told since this was last called.
    fn told(&mut self, member: MemberId) -> Vec<String> {
        self.told.remove(&member).unwrap_or_default()
    }

    fn offsets(&self) -> Vec<(u64, u32)> {
        self.durable.iter().map(|append| (append.record.first, append.record.count)).collect()
    }
}

fn sentence(news: &ChatNews) -> String {
    match news {
        ChatNews::Reply { ticket, reply: Reply::Posted(place) } => {
            format!("{ticket}: posted at {}", place.offset)
        }
        ChatNews::Reply { ticket, reply: Reply::LoggedIn(_) } => format!("{ticket}: logged in"),
        ChatNews::Reply { ticket, reply: Reply::Rejected(rejected) } => format!("{ticket}: {rejected:?}"),
        ChatNews::Reply { ticket, reply } => format!("{ticket}: {reply:?}"),
        ChatNews::Tail(tail) => format!("tail of {}", tail.records.len()),
        ChatNews::Lost => "lost".to_owned(),
    }
}

#[test]
fn what_was_sent_when_the_chat_panics_is_kept_and_acked() {
    let mut stage = Stage::new();
    let (ann, ben) = (stage.user(1, "ann"), stage.user(2, "ben"));
    stage.told.clear();
    stage.post(ann, 10, "x");
    stage.feed(Input::TurnEnded);
    // The first batch is on its way; the second waits for it.
    stage.post(ben, 20, "y");
    stage.feed(Input::TurnEnded);
    stage.panic(Lost::Nothing);
    stage.run_journal();
    assert_eq!(
        (stage.told(ann), stage.told(ben)),
        (vec!["10: posted at 1".into()], vec!["20: posted at 2".into()])
    );
    assert_eq!(stage.offsets(), [(1, 1), (2, 1)]);
}

#[test]
fn what_was_not_sent_is_lost_and_its_sender_is_told() {
    let mut stage = Stage::new();
    let ann = stage.user(1, "ann");
    stage.told.clear();
    stage.post(ann, 10, "x");
    stage.panic(Lost::Answer(ann, 11));
    assert_eq!(stage.told(ann), ["10: Interrupted", "11: Interrupted"]);
    stage.post(ann, 12, "x");
    stage.run_journal();
    assert_eq!((stage.told(ann), stage.offsets()), (vec!["12: posted at 1".into()], vec![(1, 1)]));
    assert_eq!(stage.budget.used(), 0, "no share is left behind");
}

#[test]
fn users_go_on_where_they_were_and_their_requests_wait_for_the_journal() {
    let mut stage = Stage::new();
    let (ann, ben) = (stage.user(1, "ann"), stage.user(2, "ben"));
    stage.post(ann, 10, "x");
    stage.feed(Input::TurnEnded);
    stage.run_journal();
    stage.told.clear();
    stage.panic(Lost::Nothing);
    stage.post(ann, 11, "x");
    stage.post(ben, 20, "y");
    assert_eq!((stage.told(ann), stage.told(ben)), (vec![], vec![]), "the journal is asked first");
    stage.run_journal();
    assert_eq!(stage.told(ann), ["11: posted at 1"], "the message is known by its id");
    assert_eq!((stage.told(ben), stage.offsets()), (vec!["20: posted at 2".into()], vec![(1, 1), (2, 1)]));
    let other = stage.log_in(3, "Ann");
    stage.run_journal();
    assert_eq!(stage.told(other), ["3: NameTaken"], "the names are in use as before");
}

#[test]
fn a_message_that_is_on_its_way_is_known_by_its_id() {
    let mut stage = Stage::new();
    let ann = stage.user(1, "ann");
    stage.told.clear();
    stage.post(ann, 10, "x");
    stage.feed(Input::TurnEnded);
    let append = stage.jobs.remove(0);
    stage.panic(Lost::Nothing);
    stage.post(ann, 11, "x");
    stage.run_journal();
    assert!(stage.told(ann).is_empty(), "it is not durable yet");
    stage.jobs.push(append);
    stage.run_journal();
    assert_eq!(stage.told(ann), ["10: posted at 1", "11: posted at 1"]);
    assert_eq!(stage.offsets(), [(1, 1)]);
}

#[test]
fn a_session_whose_place_is_not_certain_is_sent_away_and_its_name_is_held() {
    let mut stage = Stage::new();
    let ann = stage.user(1, "ann");
    stage.told.clear();
    stage.panic(Lost::Place(ann));
    assert_eq!(stage.told(ann), ["Restart"]);
    stage.panic(Lost::Place(ann));
    assert!(stage.told(ann).is_empty(), "once");
    let other = stage.log_in(2, "ann");
    stage.run_journal();
    assert_eq!(stage.told(other), ["2: NameTaken"]);
    assert_eq!(stage.shard.figures().members, 1);
}

#[test]
fn a_login_that_waits_for_the_journal_goes_on_and_one_that_was_being_handled_is_sent_away() {
    let mut stage = Stage::new();
    let ann = stage.log_in(1, "ann");
    stage.panic(Lost::Nothing);
    let opened = |job: &Job| if let Job::Open(room, _) = job { Some(*room) } else { None };
    let room = stage.jobs.iter().rev().find_map(opened).expect("the journal is asked for the room");
    stage.run_journal();
    assert_eq!(stage.told(ann), ["1: logged in"]);
    stage.panic(Lost::PlacesIn(room));
    assert_eq!(stage.told(ann), ["Restart"], "it has not subscribed yet");
}

#[test]
fn who_sent_a_private_message_is_told_its_fate_though_the_chat_panics_over_it() {
    let mut stage = Stage::new();
    let ann = stage.user(1, "ann");
    stage.told.clear();
    let fate = Arc::new(Fate::undelivered(7));
    let to = Asker { member: ann, worker: WorkerId(0), ticket: 9 };
    fate.send(Some(Waiter::Request { to, accepted: None }));
    stage.panic(Lost::of(&Input::Decided(Decided { fate, delivered: true })));
    assert_eq!(stage.told(ann), ["9: PrivateSent { at: 7, delivered: true }"]);
}

#[test]
fn more_rooms_than_there_may_be_since_the_start_lose_their_history_the_longest_silent_first() {
    let mut stage = Stage::new();
    let known: Vec<_> = (0_u64..12)
        .map(|number| (RoomName::parse(&format!("room {number}")).expect("a legal name"), 100 - number))
        .collect();
    stage.feed(Input::Done(Done::Rooms(Ok(known.clone()))));
    let forgotten: Vec<_> = stage
        .jobs
        .iter()
        .filter_map(|job| if let Job::Forget(room, None) = job { Some(room) } else { None })
        .collect();
    assert_eq!(forgotten, [&known[11].0, &known[10].0, &known[9].0], "of twelve, nine may be");
}

#[test]
fn a_session_that_was_not_registered_is_turned_away() {
    let mut stage = Stage::new();
    let mut effects = Vec::new();
    stage.shard.begin_again(stage.now, Lost::Newcomer(seat(PLAIN)), &mut effects);
    let turned_away = effects.iter().filter(|effect| matches!(effect, Effect::TurnAway(_, Ending::Restart)));
    assert_eq!(turned_away.count(), 1);
}

/// Two shards, and what goes between them.
struct Pair {
    stages: [Stage; 2],
}

impl Pair {
    fn new() -> Self {
        let now = Now { at: Instant::now(), millis: 1000 };
        let common = Common::new(LIMITS, Budget::new(1 << 30), 2);
        let stages = [0, 1].map(|id| Stage::of(&common, ShardId(id), now));
        Self { stages }
    }

    /// The name of a room of a shard.
    fn room_of(&self, shard: usize, number: usize) -> RoomName {
        let common = &self.stages[0].shard.make.common;
        let names = (0..).map(|number| RoomName::parse(&format!("room {number}")).expect("a legal name"));
        names.filter(|room| common.shard_of(room) == ShardId(shard)).nth(number).expect("endless")
    }

    /// All journals and messages between the shards are dealt with.
    fn run(&mut self) {
        loop {
            let forwards: Vec<_> =
                self.stages.iter_mut().flat_map(|stage| stage.forwards.drain(..)).collect();
            self.stages.iter_mut().for_each(Stage::run_journal);
            if forwards.is_empty() && self.stages.iter().all(|stage| stage.forwards.is_empty()) {
                return;
            }
            for (ShardId(to), message) in forwards {
                self.stages[to].feed(Input::FromShard(message));
            }
        }
    }

    fn log_in(&mut self, at: usize, member: MemberId, ticket: u64, room: &RoomName) {
        let stage = &mut self.stages[at];
        let login = stage.login_of(member, ticket, "ann", room);
        stage.feed(Input::Request(login.into()));
    }

    fn told(&mut self, member: MemberId) -> Vec<String> {
        self.stages.iter_mut().flat_map(|stage| stage.told(member)).collect()
    }

    fn members(&self) -> [usize; 2] {
        [0, 1].map(|shard: usize| self.stages[shard].shard.figures().members)
    }
}

#[test]
fn a_session_that_logs_in_to_a_room_of_another_shard_moves_there_and_is_told_once() {
    let mut pair = Pair::new();
    let (here, there) = (pair.room_of(0, 0), pair.room_of(1, 0));
    let ann = pair.stages[0].register(1);
    pair.log_in(0, ann, 1, &here);
    pair.run();
    pair.log_in(0, ann, 2, &there);
    pair.run();
    assert_eq!(
        (pair.told(ann), pair.members()),
        (vec!["1: logged in".into(), "2: logged in".into()], [0, 1])
    );
    let stage = &mut pair.stages[1];
    stage.feed(Input::Request(CaughtUp { member: ann, visit: 2, after: 0 }.into()));
    stage.post(ann, 3, "x");
    stage.feed(Input::TurnEnded);
    pair.run();
    assert_eq!(pair.told(ann), ["tail of 0", "3: posted at 1"]);
    assert!(pair.stages.iter().all(|stage| stage.shard.chat.has_settled()));
    pair.log_in(1, ann, 4, &here);
    pair.run();
    assert_eq!((pair.told(ann), pair.members()), (vec!["4: logged in".into()], [1, 0]));
}

#[test]
fn a_login_that_another_shard_refuses_changes_nothing() {
    let mut pair = Pair::new();
    let (here, there) = (pair.room_of(0, 0), pair.room_of(1, 0));
    let other = pair.stages[1].register(2);
    pair.log_in(1, other, 1, &there);
    let ann = pair.stages[0].register(1);
    pair.log_in(0, ann, 1, &here);
    pair.run();
    pair.told(ann);
    pair.log_in(0, ann, 2, &there);
    pair.run();
    assert_eq!((pair.told(ann), pair.members()), (vec!["2: NameTaken".into()], [1, 1]));
    pair.stages[0].post(ann, 3, "x");
    pair.stages[0].feed(Input::TurnEnded);
    pair.run();
    assert_eq!(pair.told(ann), ["3: posted at 1"], "it is in its former room");
}

#[test]
fn an_ack_reaches_a_session_that_has_moved_to_another_shard() {
    let mut pair = Pair::new();
    let (here, there) = (pair.room_of(0, 0), pair.room_of(1, 0));
    let ann = pair.stages[0].register(1);
    pair.log_in(0, ann, 1, &here);
    pair.run();
    pair.told(ann);
    pair.stages[0].post(ann, 2, "x");
    pair.stages[0].feed(Input::TurnEnded);
    let append = pair.stages[0].jobs.pop().expect("the journal is given the message");
    pair.log_in(0, ann, 3, &there);
    pair.run();
    assert_eq!(pair.told(ann), ["3: logged in"]);
    pair.stages[0].jobs.push(append);
    pair.run();
    assert_eq!(pair.told(ann), ["2: posted at 1"]);
}

#[test]
fn what_is_sent_behind_a_login_follows_the_session_to_the_other_shard() {
    let mut pair = Pair::new();
    let (here, there) = (pair.room_of(0, 0), pair.room_of(1, 0));
    let ann = pair.stages[0].register(1);
    pair.log_in(0, ann, 1, &here);
    pair.run();
    pair.log_in(0, ann, 2, &there);
    pair.stages[0].post(ann, 3, "x");
    // Its client has left.
    pair.stages[0].feed(Input::Request(Unregister { member: ann, holds_name: false }.into()));
    pair.run();
    pair.stages[1].feed(Input::TurnEnded);
    pair.run();
    assert_eq!((pair.stages[0].offsets(), pair.stages[1].offsets()), (vec![], vec![(1, 1)]));
    assert_eq!(pair.members(), [0, 0]);
    assert!(pair.stages.iter().all(|stage| stage.shard.chat.has_settled()));
}

#[test]
fn a_session_is_told_whichever_shard_panics_while_it_moves() {
    for panics in [0, 1] {
        let mut pair = Pair::new();
        let (here, there) = (pair.room_of(0, 0), pair.room_of(1, 0));
        let ann = pair.stages[0].register(1);
        pair.log_in(0, ann, 1, &here);
        pair.run();
        pair.told(ann);
        pair.log_in(0, ann, 2, &there);
        if panics == 0 {
            pair.stages[0].panic(Lost::Nothing);
        } else {
            let (_, arrive) = pair.stages[0].forwards.pop().expect("the session moves");
            let lost = Lost::of(&Input::FromShard(arrive));
            pair.stages[1].panic(lost);
        }
        pair.run();
        let expected = ["2: logged in", "2: Interrupted"][panics];
        assert_eq!((pair.told(ann), pair.members().iter().sum::<usize>()), (vec![expected.to_owned()], 1));
    }
}

#[test]
fn a_session_that_has_moved_ends_though_its_former_shard_panics_over_its_end() {
    let mut pair = Pair::new();
    let there = pair.room_of(1, 0);
    let ann = pair.stages[0].register(1);
    pair.log_in(0, ann, 2, &there);
    pair.run();
    assert_eq!(pair.members(), [0, 1]);
    let end = Unregister { member: ann, holds_name: false };
    pair.stages[0].panic(Lost::of(&Input::Request(end.into())));
    pair.run();
    assert_eq!(pair.members(), [0, 0]);
}

#[test]
fn a_room_over_the_bound_takes_the_place_of_a_silent_room_of_another_shard() {
    let mut pair = Pair::new();
    let rooms: Vec<_> = (0..LIMITS.max_rooms).map(|number| pair.room_of(1, number)).collect();
    let known = rooms.iter().map(|room| (room.clone(), 7)).collect();
    pair.stages[1].feed(Input::Done(Done::Rooms(Ok(known))));
    let ann = pair.stages[0].register(1);
    let fresh = pair.room_of(0, 0);
    pair.log_in(0, ann, 1, &fresh);
    pair.run();
    assert_eq!(pair.told(ann), ["1: logged in"]);
    let kept = pair.stages.iter().map(|stage| stage.shard.figures().kept_rooms).sum::<usize>();
    assert_eq!(kept, LIMITS.max_rooms);
    assert_eq!(pair.stages[1].shard.take_counts().forgotten_rooms, 1);
}
