//! Whatever sessions do in whichever order: all nodes agree with Redis, and each request is answered once.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::nodes::contract::NotEntered;

/// Sessions of each node, by their numbers.
const SESSIONS: u64 = 3;

const NAMES: [&str; 3] = ["ann", "ben", "Ann"];

#[derive(Clone, Debug)]
enum Step {
    /// A session registers if it is not there, and logs in with this name and token.
    Login(usize, u64, usize, Option<u64>),
    Post(usize, u64, u8),
    Typing(usize, u64),
    Private(usize, u64, usize),
    UntilKept(usize, u64),
    Logout(usize, u64),
    Leave(usize, u64, bool),
    EndTurn(usize),
    /// Redis does what is ordered next.
    Order(usize),
    /// The next thing is heard.
    Hear(usize),
    /// The chat panics over what it hears next.
    PanicOverHeard(usize),
    Panic(usize),
    Wait(usize),
    /// The link cannot reach Redis any more, or can again.
    Cut(usize),
    Restore(usize),
    /// Redis loses the newest record.
    Lose,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (node, session) = (|| 0..2_usize, || 1..=SESSIONS);
    let step = prop_oneof![
        4 => (node(), session(), 0..NAMES.len(), prop_oneof![Just(None), (1..3_u64).prop_map(Some)])
            .prop_map(|(node, session, name, token)| Step::Login(node, session, name, token)),
        6 => (node(), session(), 0..4_u8).prop_map(|(node, session, id)| Step::Post(node, session, id)),
        1 => (node(), session()).prop_map(|(node, session)| Step::Typing(node, session)),
        2 => (node(), session(), 0..NAMES.len()).prop_map(|(node, session, to)| Step::Private(node, session, to)),
        1 => (node(), session()).prop_map(|(node, session)| Step::UntilKept(node, session)),
        1 => (node(), session()).prop_map(|(node, session)| Step::Logout(node, session)),
        1 => (node(), session(), any::<bool>()).prop_map(|(node, session, holds)| Step::Leave(node, session, holds)),
        2 => node().prop_map(Step::EndTurn),
        6 => node().prop_map(Step::Order),
        8 => node().prop_map(Step::Hear),
        1 => node().prop_map(Step::PanicOverHeard),
        1 => node().prop_map(Step::Panic),
        1 => node().prop_map(Step::Wait),
        1 => node().prop_map(Step::Cut),
        1 => node().prop_map(Step::Restore),
        1 => Just(Step::Lose),
    ];
    proptest::collection::vec(step, 1..120)
}

/// What is expected of a session.
#[derive(Debug, Default)]
struct Session {
    member: Option<MemberId>,
    /// Tickets that are to be answered.
    asked: BTreeSet<u64>,
    /// Offsets of the lines that it has got since it was last subscribed.
    offsets: Vec<u64>,
    /// Whether it waits for the answer to a login: nothing is read from its client then.
    logs_in: bool,
    /// The ticket of its last login.
    login: u64,
}

struct Play {
    nodes: Nodes,
    sessions: BTreeMap<(usize, u64), Session>,
    last: u64,
}

impl Play {
    fn session(&mut self, node: usize, session: u64) -> &mut Session {
        self.sessions.entry((node, session)).or_default()
    }

    /// The session, and a ticket for a request that is to be answered.
    fn asks(&mut self, node: usize, session: u64) -> Option<(MemberId, u64)> {
        self.last += 1;
        let ticket = self.last;
        let session = self.session(node, session);
        let member = session.member.filter(|_| !session.logs_in)?;
        session.asked.insert(ticket);
        Some((member, ticket))
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Login(node, session, name, token) => self.login(node, session, name, token),
            Step::Post(node, session, id) => {
                if let Some((member, ticket)) = self.asks(node, session) {
                    self.nodes.post(node, member, ticket, &format!("id {id}"));
                }
            }
            Step::Typing(node, session) => {
                if let Some((member, ticket)) = self.asks(node, session) {
                    self.session(node, session).asked.remove(&ticket);
                    let _accepted = self.nodes.nodes[node].intake.accept(1);
                    self.nodes.nodes[node].ask(ShowTyping { member, typing: true, _accepted });
                }
            }
            Step::Private(node, session, to) => {
                if let Some((member, ticket)) = self.asks(node, session) {
                    private::private(&mut self.nodes, node, member, ticket, NAMES[to], None);
                }
            }
            Step::UntilKept(node, session) => {
                if let Some((member, ticket)) = self.asks(node, session) {
                    self.nodes.nodes[node].ask(UntilKept { member, ticket });
                }
            }
            Step::Logout(node, session) => {
                if let Some((member, ticket)) = self.asks(node, session) {
                    self.nodes.nodes[node].ask(Logout { member, ticket });
                }
            }
            Step::Leave(node, session, holds_name) => {
                if let Some(member) = self.session(node, session).member.take() {
                    self.session(node, session).asked.clear();
                    self.nodes.leave(node, member, holds_name);
                }
            }
            Step::EndTurn(node) => self.nodes.nodes[node].feed(Input::TurnEnded),
            Step::Order(node) => {
                if !self.nodes.nodes[node].is_cut
                    && let Some(order) = self.nodes.nodes[node].orders.pop_front()
                {
                    for (to, heard) in self.nodes.redis.take(node, order) {
                        self.nodes.nodes[to].heard.push_back(heard);
                    }
                }
            }
            Step::Hear(node) => {
                if let Some(heard) = self.nodes.nodes[node].heard.pop_front() {
                    self.nodes.nodes[node].feed(Input::Heard(heard));
                }
            }
            Step::PanicOverHeard(node) => {
                if let Some(heard) = self.nodes.nodes[node].heard.pop_front() {
                    self.nodes.nodes[node].panic(&Input::Heard(heard));
                }
            }
            Step::Panic(node) => self.nodes.nodes[node].panic(&Input::Wake),
            Step::Wait(node) => self.nodes.nodes[node].pass(Duration::from_millis(700)),
            Step::Cut(node) => self.cut(node),
            Step::Restore(node) => self.nodes.up(node),
            Step::Lose => self.nodes.lose(),
        }
        self.read()
    }

    /// A link cannot reach Redis: it gives claims up, drops what is not kept, and keeps the rest.
    fn cut(&mut self, node: usize) {
        if self.nodes.nodes[node].is_cut {
            return;
        }
        self.nodes.down(node);
        let node = &mut self.nodes.nodes[node];
        for order in std::mem::take(&mut node.orders) {
            match order {
                Order::Show(..) | Order::Whisper(..) => {}
                Order::Enter(room, ask, _) => {
                    let away = NotEntered::Away(Away("gone".to_owned()));
                    node.heard.push_back(Heard::Entered(room, ask, Err(away)));
                }
                Order::Say(room, says) => {
                    let ids = says.iter().map(|say| say.id).collect();
                    node.heard.push_back(Heard::Delayed(room.clone(), ids));
                    node.orders.push_back(Order::Say(room, says));
                }
                other => node.orders.push_back(other),
            }
        }
    }

    fn login(&mut self, node: usize, session: u64, name: usize, token: Option<u64>) {
        if self.session(node, session).member.is_none() {
            self.last += 1;
            let member = self.nodes.register(node, 1000 * (node as u64 + 1) + self.last);
            *self.session(node, session) = Session { member: Some(member), ..Session::default() };
        }
        if let Some((member, ticket)) = self.asks(node, session) {
            let login = self.nodes.login_of(node, member, ticket, NAMES[name], token);
            let session = self.session(node, session);
            (session.logs_in, session.login) = (true, ticket);
            self.nodes.nodes[node].ask(login);
        }
    }

    /// Reads what sessions were told. A session that is logged in subscribes.
    fn read(&mut self) -> Result<(), TestCaseError> {
        for (&(node, _), session) in &mut self.sessions {
            let Some(member) = session.member else { continue };
            for told in self.nodes.nodes[node].told(member) {
                let (first, rest) = told.split_once(' ').unwrap_or((&told, ""));
                if told == "Restart" {
                    // Its fan-out forgets it.
                    *session = Session::default();
                    break;
                } else if let Some(ticket) = first.strip_suffix(':').and_then(|ticket| ticket.parse().ok()) {
                    prop_assert!(session.asked.remove(&ticket), "{} was told twice: {}", member, told);
                    session.logs_in &= session.login != ticket;
                    if rest.starts_with("logged in") {
                        session.offsets.clear();
                        let after = self.nodes.redis.rooms[&room()].opened(false).head;
                        self.nodes.nodes[node].ask(CaughtUp { member, visit: ticket, after });
                    }
                } else if let Ok(offset) = first.parse::<u64>() {
                    let follows = session.offsets.last().is_none_or(|last| last + 1 == offset);
                    prop_assert!(follows, "{} heard {:?} and then {}", member, session.offsets, told);
                    session.offsets.push(offset);
                }
            }
        }
        Ok(())
    }

    /// All that is under way is done.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        (0..2).for_each(|node| self.nodes.up(node));
        for _ in 0..4 {
            self.nodes.run();
            self.nodes.nodes.iter_mut().for_each(|node| node.pass(Duration::from_secs(2)));
            self.read()?;
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        self.settle()?;
        for (key, session) in &self.sessions {
            prop_assert!(session.asked.is_empty(), "{:?} was not answered: {:?}", key, session.asked);
        }
        let keys = self.nodes.redis.rooms.get(&room()).map(|room| room.keys.clone()).unwrap_or_default();
        let unique: BTreeSet<_> = keys.iter().map(|keyed| keyed.key).collect();
        prop_assert_eq!(unique.len(), keys.len(), "a message is said once");
        let people = self.nodes.redis.rooms.get(&room());
        let people: Vec<String> = people
            .into_iter()
            .flat_map(|room| room.people.values())
            .filter(|person| !person.nodes.is_empty())
            .map(|person| person.name.to_string())
            .collect();
        let keys: Vec<_> =
            self.sessions.iter().filter_map(|(&(node, _), its)| Some((node, its.member?))).collect();
        for (node, member) in keys {
            let known = self.nodes.users_at(node, member);
            prop_assert!(known == ["NotLoggedIn"] || known == people, "{:?} but {:?}", known, people);
        }
        for node in &self.nodes.nodes {
            prop_assert_eq!((node.budget.accepted(), node.shard.figures().unkept), (0, 0));
            prop_assert!(node.jobs.is_empty());
        }
        Ok(())
    }

    /// All sessions leave.
    fn end(&mut self) -> Result<(), TestCaseError> {
        for ((node, _), session) in std::mem::take(&mut self.sessions) {
            if let Some(member) = session.member {
                self.nodes.leave(node, member, false);
            }
        }
        self.settle()?;
        // The names of those that have dropped are held no longer.
        for node in &mut self.nodes.nodes {
            node.pass(redis::HOLD);
            node.pass(redis::HOLD);
            // Nor is what was said last in any danger.
            node.pass(redis::HOLD);
        }
        self.settle()?;
        for room in self.nodes.redis.rooms.values() {
            prop_assert!(room.open_at.is_empty(), "a room stays open");
            prop_assert!(room.people.values().all(|person| person.nodes.is_empty()), "{:?}", room.people);
        }
        let rooms = self.nodes.nodes.iter().map(|node| node.shard.figures().kept_rooms);
        prop_assert_eq!(rooms.collect::<Vec<_>>(), [0, 0]);
        Ok(())
    }
}

proptest! {
    // A case takes about 20 ms.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn nodes_agree_with_redis_and_each_request_is_answered_once(steps in steps()) {
        let mut play = Play { nodes: Nodes::new(), sessions: BTreeMap::new(), last: 0 };
        for step in &steps {
            play.step(step)?;
        }
        play.check()?;
        play.end()?;
    }
}
