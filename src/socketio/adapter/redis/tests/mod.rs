//! The thread beside a real server of Redis. Without `redis-server` on the machine these tests do nothing.

mod cluster;
mod losses;
mod script;
mod server;

use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use bytestring::ByteString;

use self::{
    script::{Scripted, publish},
    server::{Redis, wait_until},
};
use crate::socketio::adapter::traffic::{Channel, Here, Output, Query, Reply};

/// Unsubscribes, and waits until Redis knows.
fn unsubscribe(scripted: &Scripted, redis: &Redis, channel: &'static str) {
    scripted.put([Output::Unsubscribe(Channel::Plain(channel.into()))]);
    let mut question = redis::cmd("PUBSUB");
    question.arg("NUMSUB").arg(channel);
    wait_until("it is unsubscribed from", || redis.ask::<(String, usize)>(&question).1 == 0);
}

#[test]
fn publications_pass_in_the_order_in_which_they_are_put_out() {
    const COUNT: usize = 5000;
    let Some(redis) = Redis::start(&[]) else { return };
    let scripted = Scripted::to(&redis.url());
    scripted.up();
    scripted.subscribe(Channel::Pattern("c*".into()));
    for number in 0..COUNT {
        scripted.put([publish(["c1", "c2"][number % 2], &number.to_string())]);
    }
    for number in 0..COUNT {
        let (_, channel, body) = scripted.heard();
        assert_eq!((channel.as_str(), &body[..]), (["c1", "c2"][number % 2], number.to_string().as_bytes()));
    }
    let figures = &scripted.figures;
    wait_until("all are answered", || figures.published.load(Ordering::Relaxed) == COUNT as u64);
    assert_eq!(figures.heard.load(Ordering::Relaxed), COUNT as u64);
    assert!(figures.is_up.load(Ordering::Relaxed));
}

#[test]
fn a_message_comes_by_each_subscription_that_it_fits() {
    let Some(redis) = Redis::start(&[]) else { return };
    let scripted = Scripted::to(&redis.url());
    scripted.up();
    let plain = Channel::Plain("socket.io#/#".into());
    let pattern = Channel::Pattern("socket.io#/#*".into());
    let shard = Channel::Shard("socket.io#/#".into());
    for channel in [&plain, &pattern, &shard] {
        scripted.subscribe(channel.clone());
    }
    let body: Vec<u8> = (0..=255).collect();
    let put = |is_sharded| {
        let channel = ByteString::from("socket.io#/#");
        scripted.put([Output::Publish { channel, is_sharded, body: Bytes::from(body.clone()) }]);
    };
    put(false);
    assert_eq!(scripted.heard(), (plain, "socket.io#/#".to_owned(), body.clone().into()));
    assert_eq!(scripted.heard(), (pattern.clone(), "socket.io#/#".to_owned(), body.clone().into()));
    put(true);
    assert_eq!(scripted.heard(), (shard.clone(), "socket.io#/#".to_owned(), body.clone().into()));
    scripted.put([Output::Unsubscribe(shard), Output::Unsubscribe(pattern)]);
    unsubscribe(&scripted, &redis, "socket.io#/#");
    put(false);
    put(true);
    // The answers to these publications come later than the publications would.
    let count = Query::Count { channel: "socket.io#/#".into(), is_sharded: false };
    assert_eq!(scripted.reply_to(count), Ok(Reply::Count(0)));
    scripted.is_told_nothing_before_rooms();
}

#[test]
fn subscribers_are_counted() {
    let Some(redis) = Redis::start(&[]) else { return };
    let scripted = [(); 2].map(|()| Scripted::to(&redis.url()));
    for one in &scripted {
        one.up();
        one.subscribe(Channel::Plain("c".into()));
    }
    scripted[0].subscribe(Channel::Shard("c".into()));
    let count = |is_sharded| scripted[1].reply_to(Query::Count { channel: "c".into(), is_sharded });
    assert_eq!((count(false), count(true)), (Ok(Reply::Count(2)), Ok(Reply::Count(1))));
}

#[test]
fn a_key_is_taken_once_and_expires() {
    let Some(redis) = Redis::start(&[]) else { return };
    let scripted = Scripted::to(&redis.url());
    scripted.up();
    let store = |millis| Output::Store {
        key: "k".into(),
        value: Bytes::from_static(b"\x00\xff"),
        expires_in: Duration::from_millis(millis),
    };
    let take = || scripted.reply_to(Query::Take { key: "k".into() });
    scripted.put([store(100_000)]);
    let left: u64 = {
        wait_until("it is stored", || redis.ask(redis::cmd("EXISTS").arg("k")));
        redis.ask(redis::cmd("PTTL").arg("k"))
    };
    assert!((1..=100_000).contains(&left), "{left}");
    assert_eq!(take(), Ok(Reply::Value(Some(Bytes::from_static(b"\x00\xff")))));
    assert_eq!(take(), Ok(Reply::Value(None)));
    scripted.put([store(1)]);
    // Its reply comes behind that to the request before.
    let count = Query::Count { channel: "c".into(), is_sharded: false };
    assert_eq!(scripted.reply_to(count), Ok(Reply::Count(0)));
    wait_until("it expires", || !redis.ask::<bool>(redis::cmd("EXISTS").arg("k")));
    assert_eq!(take(), Ok(Reply::Value(None)));
}

fn append(fields: &[(&'static str, &'static str)]) -> Output {
    let fields = fields.iter().map(|(name, value)| (*name, Bytes::from_static(value.as_bytes()))).collect();
    Output::Append { stream: "s".into(), fields, max_len: 1000 }
}

#[test]
fn entries_are_found_by_their_ids() {
    let Some(redis) = Redis::start(&[]) else { return };
    let scripted = Scripted::to(&redis.url());
    scripted.up();
    let entries = |query| match scripted.reply_to(query) {
        Ok(Reply::Entries(entries)) => entries,
        reply => panic!("{reply:?}"),
    };
    let last = || entries(Query::Last { stream: "s".into() });
    assert!(last().is_empty());
    scripted.put([append(&[("uid", "a"), ("data", "{}")]), append(&[("uid", "b")])]);
    let [of_b] = last().try_into().expect("one");
    assert_eq!(of_b.fields, [(Bytes::from_static(b"uid"), Bytes::from_static(b"b"))]);
    let range = |from: &str, count| {
        entries(Query::Range { stream: "s".into(), from: from.into(), to: "+".into(), count })
    };
    let both = range("-", 10);
    assert_eq!(both[0].fields[1], (Bytes::from_static(b"data"), Bytes::from_static(b"{}")));
    assert_eq!(both[1], of_b);
    assert_eq!(range("-", 1), both[..1]);
    assert_eq!(range(&format!("({}", both[0].id), 10), both[1..]);
}

#[test]
fn a_stream_is_read_in_its_order_from_behind_an_id_on_each_entry_once() {
    let Some(redis) = Redis::start(&[]) else { return };
    let scripted = Scripted::to(&redis.url());
    scripted.up();
    let add = || redis.ask::<String>(redis::cmd("XADD").arg("s").arg("*").arg("uid").arg("a"));
    let before = [add(), add()];
    let behind: Vec<_> = (0..7).map(|_| add()).collect();
    scripted.put([Output::Read { stream: "s".into(), after: before[1].as_str().into() }]);
    let mut read = Vec::new();
    while read.len() < behind.len() {
        let ids = scripted.ids_read();
        assert!(ids.len() <= 3, "it reads {} entries at once", ids.len());
        read.extend(ids);
    }
    assert_eq!(read, behind);
    // One at a time, while it waits.
    for _ in 0..3 {
        let id = add();
        assert_eq!(scripted.ids_read(), [id]);
    }
    assert_eq!(scripted.figures.heard.load(Ordering::Relaxed), 10);
}

#[test]
fn a_refused_publication_is_counted_and_the_connections_stay() {
    let Some(redis) = Redis::start(&[]) else { return };
    redis.ask::<()>(redis::cmd("SET").arg("s").arg("no stream"));
    let limited = ["SETUSER", "tea", "on", ">pw", "+@all", "~*", "resetchannels", "&c"];
    redis.ask::<()>(redis::cmd("ACL").arg(&limited));
    let scripted = Scripted::to(&format!("{}?user=tea&pass=pw", redis.url()));
    scripted.up();
    scripted.subscribe(Channel::Plain("c".into()));
    scripted.put([publish("other", "not allowed"), append(&[("uid", "a")]), publish("c", "allowed")]);
    assert_eq!(scripted.heard().2, "allowed");
    let figures = &scripted.figures;
    wait_until("all are answered", || figures.published.load(Ordering::Relaxed) == 1);
    assert_eq!(figures.refused.load(Ordering::Relaxed), 2);
    let refused = scripted.reply_to(Query::Last { stream: "s".into() }).expect_err("it is no stream");
    assert!(refused.starts_with("WRONGTYPE"), "{refused}");
    let taken =
        scripted.reply_to(Query::Range { stream: "s".into(), from: "x".into(), to: "+".into(), count: 1 });
    taken.expect_err("the id is wrong");
    assert!(scripted.refusals.get() > 0, "the core is told");
    assert_eq!(figures.losses.load(Ordering::Relaxed), 0);
}

#[actix_web::test]
async fn the_end_waits_until_redis_has_all() {
    let Some(redis) = Redis::start(&[]) else { return };
    let hearing = Scripted::to(&redis.url());
    hearing.up();
    hearing.subscribe(Channel::Plain("c".into()));
    let scripted = Scripted::to(&redis.url());
    scripted.up();
    let mut outputs: Vec<_> = (0..100).map(|number: u32| publish("c", &number.to_string())).collect();
    outputs.push(Output::End);
    scripted.put(outputs);
    scripted.handle.ended().await;
    assert_eq!(scripted.figures.published.load(Ordering::Relaxed), 100);
    for number in 0..100 {
        assert_eq!(hearing.heard().2, number.to_string());
    }
    assert!(scripted.parts.dead().is_empty());
}

#[test]
fn the_thread_ends_with_its_last_handle() {
    let Some(redis) = Redis::start(&[]) else { return };
    let Scripted { handle, figures, parts, .. } = {
        let scripted = Scripted::to(&redis.url());
        scripted.up();
        scripted
    };
    let other = handle.clone();
    drop(handle);
    assert!(figures.is_up.load(Ordering::Relaxed));
    drop((other, parts));
    wait_until("it ends", || !figures.is_up.load(Ordering::Relaxed));
}

#[test]
fn a_reply_of_this_server_reaches_the_core_and_its_panic_ends_nothing() {
    let Some(redis) = Redis::start(&[]) else { return };
    let scripted = Scripted::to(&redis.url());
    scripted.up();
    scripted.is_told_nothing_before_rooms();
    scripted.put([Output::Here(Here::ServerEvent {
        id: None,
        namespace: "/".into(),
        args: Default::default(),
    })]);
    scripted.is_told_nothing_before_rooms();
    assert_eq!(scripted.parts.restarts(), [("socketio-redis".to_owned(), 1)]);
}
