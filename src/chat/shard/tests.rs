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
        effects::{Done, Job},
        handing::Decided,
        ids::IdLimits,
        line::CHAT,
        messages::{CaughtUp, ChatNews, Login, Post, Register},
    },
    config::PerAddress,
    connection::{Ending, Intake},
    domain::{Avatar, MemberId, Nickname, Profile, Token, WorkerId},
    journal::{Append, Epoch, EpochId, Keyed, Kind, RoomState},
};

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
    /// What sessions were told.
    told: HashMap<MemberId, Vec<String>>,
}

impl Stage {
    fn new() -> Self {
        let now = Now { at: Instant::now(), millis: 1000 };
        let budget = Budget::new(1 << 30);
        let shard = Shard::new(LIMITS, Arc::clone(&budget), Arc::new(NoDecisions), now);
        let mut stage = Self {
            shard,
            intake: Intake::new(1 << 20, Arc::clone(&budget)),
            budget,
            now,
            jobs: Vec::new(),
            durable: Vec::new(),
            told: HashMap::new(),
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
        while !self.jobs.is_empty() {
            let job = self.jobs.remove(0);
            let done = match job {
                Job::Rooms { .. } => Done::Rooms(Ok(Vec::new())),
                Job::Open(id, _) => Done::Opened(id, Ok(self.state())),
                Job::Append(batch) => {
                    self.durable.extend(batch);
                    Done::Appended(Ok(()))
                }
                Job::Check => Done::Checked(Ok(())),
                Job::Sweep => Done::Swept(Ok(Vec::new())),
                Job::Forget(room) => Done::Forgot(room, Ok(())),
                Job::Reserve(..) => Done::Reserved(Ok(())),
                Job::Close => Done::Closed(Ok(())),
            };
            self.feed(Input::Done(done));
        }
    }

    fn state(&self) -> RoomState {
        let records = self.durable.iter().map(|append| &append.record);
        let keys: Vec<Keyed> = records.clone().flat_map(|record| record.keys.clone()).collect();
        let head = records.map(crate::journal::Record::last).max().unwrap_or(0);
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
        let member = MemberId::of(number);
        let seat = Seat { encoding: Encoding { dialect: CHAT, deflated: false }, ..seat(PLAIN) };
        let register = Register { member, room: None, worker: WorkerId(0), seat, address: None };
        self.feed(Input::Request(register.into()));
        let nickname = Nickname::parse(name).expect("a legal name");
        let login = Login {
            member,
            ticket: number,
            room: RoomName::parse("a").expect("a legal name"),
            profile: Some(Profile { nickname, avatar: Avatar::default(), uid: None }),
            token: None,
            has_shown_token: false,
            spare: format!("{number:032x}").parse::<Token>().expect("a token"),
            position: None,
            wants_changes: None,
            _accepted: self.intake.accept(1),
        };
        self.feed(Input::Request(login.into()));
        member
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
fn a_session_that_was_not_registered_is_turned_away() {
    let mut stage = Stage::new();
    let mut effects = Vec::new();
    stage.shard.begin_again(stage.now, Lost::Newcomer(seat(PLAIN)), &mut effects);
    let turned_away = effects.iter().filter(|effect| matches!(effect, Effect::TurnAway(_, Ending::Restart)));
    assert_eq!(turned_away.count(), 1);
}
