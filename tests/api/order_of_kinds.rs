//! Whatever one user does reaches each reader in its order, each kind behind each kind: messages, pictures, private ones
//! of both, typing, leaving and coming back, from every door of the chat at every door of the chat. Lists of users come
//! in their place among that, and answers behind what they answer. At the relay, events with and without attachments.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use echoroom::config::Switch;
use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::{
    chatters::{CHAT_DOORS, ChatDoor, Chatter},
    helpers::{TestServer, settings},
    people::PIXEL,
    relayers::{Packet, Relayer, WAYS},
};

/// How often each kind follows each.
const REPETITIONS: usize = 8;

/// Events of a sender that are under way at a time.
const AT_ONCE: usize = 13;

/// What a user does that its room or one member of it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Message,
    Picture,
    Private,
    PrivatePicture,
    Typing,
    /// To another room and back.
    Trip,
}

const KINDS: [Kind; 6] =
    [Kind::Message, Kind::Picture, Kind::Private, Kind::PrivatePicture, Kind::Typing, Kind::Trip];

/// The kinds in an order in which each follows each once, if it is repeated.
fn each_behind_each() -> Vec<Kind> {
    let mut order = Vec::new();
    for (index, kind) in KINDS.into_iter().enumerate() {
        order.push(kind);
        for later in &KINDS[index + 1..] {
            order.extend([kind, *later]);
        }
    }
    order
}

/// What a reader is told of one act of a sender.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    /// By its id.
    Said(String),
    Typing(bool),
    Left,
    Came,
}

/// One act of a sender.
struct Act {
    kind: Kind,
    id: String,
    /// The number of the reader that a private message is for.
    to: usize,
}

impl Act {
    fn is_private(&self) -> bool {
        matches!(self.kind, Kind::Private | Kind::PrivatePicture)
    }

    fn requests(&self, readers: &[String]) -> Vec<(&'static str, Value)> {
        let (id, to) = (&self.id, &readers[self.to]);
        match self.kind {
            Kind::Message => vec![("sendMessage", json!({"msg": "m", "id": id}))],
            Kind::Picture => vec![("sendImage", json!({"img": PIXEL, "id": id}))],
            Kind::Private => vec![("sendPrivate", json!({"to": to, "msg": "p", "id": id}))],
            Kind::PrivatePicture => vec![("sendImage", json!({"to": to, "img": PIXEL, "id": id}))],
            Kind::Typing => vec![("typing", json!({"typing": self.is_typing()}))],
            Kind::Trip => ["elsewhere", "tea"].map(|room| ("joinRoom", json!({"room": room}))).to_vec(),
        }
    }

    /// So that two in a row are told apart.
    fn is_typing(&self) -> bool {
        self.id.parse::<usize>().is_ok_and(|number| number.is_multiple_of(2))
    }

    fn heard(&self) -> Vec<Heard> {
        match self.kind {
            Kind::Typing => vec![Heard::Typing(self.is_typing())],
            Kind::Trip => vec![Heard::Left, Heard::Came],
            _ => vec![Heard::Said(self.id.clone())],
        }
    }
}

/// All acts of a sender: every pair of kinds comes to every reader.
fn acts(readers: usize) -> Vec<Act> {
    let kinds = (0..REPETITIONS).flat_map(|_| each_behind_each()).enumerate();
    kinds.map(|(number, kind)| Act { kind, id: number.to_string(), to: (number / 5) % readers }).collect()
}

/// What an event tells of a sender, and of which.
fn of_sender(value: &Value) -> Option<(String, Heard)> {
    let data = &value["data"];
    if data["replay"] == true {
        return None;
    }
    let heard = match value["event"].as_str()? {
        "receiveMessage" | "receiveImage" | "receivePrivate" => {
            Heard::Said(data["id"].as_str().expect("an id").to_owned())
        }
        "typing" => Heard::Typing(data["typing"] == true),
        "delUser" => Heard::Left,
        "addUser" => Heard::Came,
        _ => return None,
    };
    Some((data["username"].as_str().expect("a name").to_owned(), heard))
}

/// The last message of each sender.
const END: &str = "end";

/// Does all acts, a few at a time, and gives back what the sender is told meanwhile: of itself, and as answers.
async fn act(sender: &mut Chatter<'_>, acts: &[Act], readers: &[String]) -> Vec<Value> {
    let mut told = Vec::new();
    for (number, some) in acts.chunks(AT_ONCE).enumerate() {
        let mut requests: Vec<_> = some.iter().flat_map(|act| act.requests(readers)).collect();
        if (number + 1) * AT_ONCE >= acts.len() {
            requests.push(("sendMessage", json!({"msg": "m", "id": END})));
        }
        let mut expected = BTreeSet::new();
        for (event, data) in requests {
            expected.insert(sender.request(event, &data).await);
        }
        while !expected.is_empty() {
            let value = sender.next().await;
            if let Some(ack) = value["ack"].as_u64() {
                assert!(value["error"].is_null(), "{value}");
                assert!(expected.remove(&ack), "answered twice: {value}");
            }
            told.push(value);
        }
    }
    told
}

/// Those of the senders that a list of users names.
fn listed<'a>(list: &'a Value, senders: &[String]) -> BTreeSet<&'a str> {
    let users = list.as_array().expect("a list").iter();
    let names = users.filter_map(|user| user["username"].as_str());
    names.filter(|name| senders.iter().any(|sender| sender == name)).collect()
}

/// Listens until all senders have ended, and asks for the list of users all the time. Each list that the room is sent
/// must name the senders that are there by the notices that came before it. Gives back what was heard of each sender, and
/// the offsets of what was said to the room with their sender and id, in the order in which all of it came.
async fn listen(
    reader: &mut Chatter<'_>,
    senders: &[String],
) -> (BTreeMap<String, Vec<Heard>>, Vec<(u64, String, Heard)>) {
    let mut heard: BTreeMap<String, Vec<Heard>> = BTreeMap::new();
    let mut order = Vec::new();
    let mut present: BTreeSet<String> = senders.iter().cloned().collect();
    let end = Heard::Said(END.to_owned());
    let (mut ended, mut asked) = (0, None);
    while ended < senders.len() || asked.is_some() {
        if asked.is_none() && ended < senders.len() {
            asked = Some(reader.request("userList", &json!({})).await);
        }
        let value = reader.next().await;
        if value["event"] == "userList" {
            assert!(listed(&value["data"], senders).into_iter().eq(&present), "{present:?}: {value}");
        }
        if let Some(ack) = value["ack"].as_u64() {
            assert_eq!(Some(ack), asked.take(), "{value}");
            assert_eq!(
                value["data"]["users"].as_array().map(Vec::len).map(|len| len as u64),
                value["data"]["count"].as_u64()
            );
        }
        let Some((name, what)) = of_sender(&value).filter(|(name, _)| senders.contains(name)) else {
            continue;
        };
        match what {
            Heard::Left => assert!(present.remove(&name), "{name} left twice"),
            Heard::Came => assert!(present.insert(name.clone()), "{name} came twice"),
            _ => assert!(present.contains(&name), "{name} is away: {value}"),
        }
        ended += usize::from(what == end);
        if let Some(offset) = value["data"]["offset"].as_u64() {
            order.push((offset, name.clone(), what.clone()));
        }
        heard.entry(name).or_default().push(what);
    }
    assert!(order.is_sorted_by_key(|(offset, ..)| *offset));
    (heard, order)
}

/// What was heard must be what was done, in its order; only typing may be missing.
fn assert_in_order(what: &str, heard: &[Heard], done: impl Iterator<Item = Heard>) {
    let mut heard = heard.iter().peekable();
    for done in done.chain([Heard::Said(END.to_owned())]) {
        let is_next = heard.next_if(|next| **next == done).is_some();
        assert!(
            is_next || matches!(done, Heard::Typing(_)),
            "{what}: {:?} instead of {done:?}",
            heard.peek()
        );
    }
    assert_eq!(heard.next(), None, "{what}");
}

/// A sender hears its own messages and private messages in its order, and each answer behind the message.
fn assert_hears_itself(name: &str, told: &[Value], acts: &[Act]) {
    let own = told.iter().filter_map(of_sender).filter(|(sender, _)| sender == name).map(|(_, heard)| heard);
    let own: Vec<_> = own.filter(|heard| matches!(heard, Heard::Said(_))).collect();
    let is_said = |act: &&Act| !matches!(act.kind, Kind::Typing | Kind::Trip);
    assert_in_order(&format!("{name} of itself"), &own, acts.iter().filter(is_said).flat_map(Act::heard));
    let mut said = BTreeSet::new();
    for value in told {
        if let Some((_, Heard::Said(id))) = of_sender(value).filter(|(sender, _)| sender == name) {
            said.insert(id);
        }
        if let (Some(_), Some(id)) = (value["ack"].as_u64(), value["data"]["id"].as_str()) {
            assert!(said.contains(id), "{name}: answered before it is heard: {value}");
        }
    }
}

async fn enter<'a>(server: &'a TestServer, what: &str) -> (Vec<Chatter<'a>>, Vec<String>) {
    let (mut users, mut names) = (Vec::new(), Vec::new());
    for door in CHAT_DOORS {
        let name = format!("{what} {door:?}");
        users.push(Chatter::settled(server, door, &name).await);
        names.push(name);
    }
    (users, names)
}

#[actix_web::test]
async fn what_one_user_does_reaches_each_reader_in_its_order_each_kind_behind_each_at_every_door() {
    let roomy = settings().with(|s| {
        s.limits.max_queue_bytes = "64m".parse().expect("a size");
        s.limits.max_intake_bytes = "16m".parse().expect("a size");
    });
    let server = TestServer::with(roomy).await;
    let (mut senders, sender_names) = enter(&server, "sender").await;
    let (mut readers, reader_names) = enter(&server, "reader").await;
    let acts = acts(readers.len());

    let acting = join_all(senders.iter_mut().map(|sender| act(sender, &acts, &reader_names)));
    let listening = join_all(readers.iter_mut().map(|reader| listen(reader, &sender_names)));
    let (told, heard) = join(acting, listening).await;

    let (heard, orders): (Vec<_>, Vec<_>) = heard.into_iter().unzip();
    for (order, name) in orders.iter().zip(&reader_names) {
        assert_eq!(order, &orders[0], "{name} and {} heard the room in two orders", reader_names[0]);
    }

    for (index, heard) in heard.iter().enumerate() {
        for sender in &sender_names {
            let for_it = acts.iter().filter(|act| !act.is_private() || act.to == index);
            let what = format!("{} of {sender}", reader_names[index]);
            assert_in_order(&what, &heard[sender], for_it.flat_map(Act::heard));
        }
    }
    for (name, told) in sender_names.iter().zip(&told) {
        assert_hears_itself(name, told, &acts);
    }
}

#[test]
fn in_the_order_of_kinds_each_is_behind_each() {
    let kinds = each_behind_each();
    let pairs = kinds.iter().zip(kinds.iter().cycle().skip(1));
    let pairs: BTreeSet<_> = pairs.map(|(one, other)| (*one as usize, *other as usize)).collect();
    assert_eq!((kinds.len(), pairs.len()), (36, 36));
}

#[actix_web::test]
async fn a_list_of_users_that_is_asked_for_names_those_who_are_there_by_what_came_before_it() {
    let server = TestServer::start().await;
    let mut ann = Chatter::settled(&server, ChatDoor::Plain, "Ann").await;
    for door in CHAT_DOORS {
        let mut reader = Chatter::settled(&server, door, &format!("{door:?}")).await;
        let is_enough = Cell::new(false);
        let coming_and_going = async {
            while !is_enough.get() {
                for room in ["elsewhere", "tea"] {
                    ann.ask("joinRoom", &json!({"room": room})).await;
                }
            }
        };
        let asking = async {
            let mut is_there = true;
            for _ in 0..200 {
                let asked = reader.request("userList", &json!({})).await;
                loop {
                    let value = reader.next().await;
                    if value["data"]["username"] == "Ann" {
                        is_there = value["event"] == "addUser";
                    }
                    if value["ack"] == asked {
                        let is_listed = !listed(&value["data"]["users"], &["Ann".to_owned()]).is_empty();
                        assert_eq!(is_listed, is_there, "{door:?}: {value}");
                        break;
                    }
                }
            }
            is_enough.set(true);
        };
        tokio::join!(asking, coming_and_going);
    }
}

/// The event with this number: every other one has attachments, and every third one asks for an ack.
fn event(number: usize) -> Vec<Packet> {
    let ack = if number.is_multiple_of(3) { number.to_string() } else { String::new() };
    if number.is_multiple_of(2) {
        return vec![Packet::Text(format!(r#"42/relay,{ack}["x",{number}]"#))];
    }
    let text = format!(r#"451-/relay,{ack}["x",{number},{{"_placeholder":true,"num":0}}]"#);
    vec![Packet::Text(text), Packet::Attachment(number.to_string().into_bytes())]
}

/// What others hear of it.
fn relayed(number: usize) -> Vec<Packet> {
    let mut packets = event(number);
    if let (Packet::Text(text), true) = (&mut packets[0], number.is_multiple_of(3)) {
        *text = text.replacen(&format!(",{number}["), ",[", 1);
    }
    packets
}

#[actix_web::test]
async fn events_at_the_relay_with_and_without_attachments_keep_their_order_by_each_transport() {
    const EVENTS: usize = 300;
    let server = TestServer::with(settings().with(|s| s.socketio.relay = Switch::On)).await;
    let bare = json!({"recovery": false});
    for from in WAYS {
        for at in WAYS {
            let room = format!("{from:?} {at:?}");
            let (mut ann, _) = Relayer::in_room(&server, from, &room, &bare).await;
            let (mut ben, _) = Relayer::in_room(&server, at, &room, &bare).await;
            let saying = async {
                for some in (0..EVENTS).collect::<Vec<_>>().chunks(7) {
                    ann.send_all(&some.iter().copied().flat_map(event).collect::<Vec<_>>()).await;
                }
                for number in (0..EVENTS).step_by(3) {
                    assert_eq!(ann.next_text().await, format!("43/relay,{number}[{{}}]"), "{room}");
                }
            };
            let hearing = async {
                for packet in (0..EVENTS).flat_map(relayed) {
                    assert_eq!(ben.next().await, packet, "{room}");
                }
            };
            tokio::join!(saying, hearing);
        }
    }
}
