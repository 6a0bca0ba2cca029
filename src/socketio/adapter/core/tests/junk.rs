//! What is not a message.

use bytes::Bytes;

use super::world::{Done, FORMATS, World, event};
use crate::socketio::{
    adapter::{
        settings::RedisFormat,
        traffic::{Channel, Entry, Here, Input},
    },
    cluster::Opts,
};

/// Bodies that are messages by no channel.
fn junk() -> Vec<Bytes> {
    let deep = vec![0x91; 100_000];
    let wide = vec![0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0];
    let texts: [&[u8]; 8] = [
        b"",
        b"{",
        b"{}",
        b"\x93",
        b"\xc1",
        b"{\"type\":99,\"data\":{}}",
        b"{\"type\":3,\"data\":{\"packet\":{\"type\":2,\"data\":[]}}}",
        b"\x82\xa4type\x03",
    ];
    texts.iter().map(|text| Bytes::copy_from_slice(text)).chain([deep.into(), wide.into()]).collect()
}

#[test]
fn junk_on_each_channel_is_counted_and_harms_nothing() {
    for format in FORMATS {
        let mut world = World::new(format, 2);
        let mut count = 0;
        let channels: Vec<_> = world.redis.subscriptions(0).iter().cloned().collect();
        assert_eq!(channels.len(), if format == RedisFormat::Classic { 4 } else { 2 });
        for by in channels {
            let channel = match &by {
                Channel::Plain(name) | Channel::Shard(name) => name.clone(),
                Channel::Pattern(_) => "socket.io#/#".into(),
            };
            for body in junk() {
                count += 1;
                world.give(
                    0,
                    Input::Published { by: by.clone(), channel: channel.clone(), body: body.clone() },
                );
                assert_eq!(world.servers[0].junk(), count, "{format}, {by:?}: {body:?}");
            }
        }
        assert!(world.done(0).is_empty(), "{format}");
        world.tell(1, event(1, Opts::default()));
        world.settle();
        assert!(matches!(&*world.done(0), [Done::Here(Here::Emit { .. })]), "{format}");
    }
}

#[test]
fn entries_that_are_no_messages_are_counted_and_passed_over() {
    let mut world = World::new(RedisFormat::Streams, 2);
    let entry = |fields: &[(&'static str, &'static str)]| {
        let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
        fields.iter().map(|(name, value)| (bytes(name), bytes(value))).collect::<Vec<_>>()
    };
    let head = [("uid", "x"), ("nsp", "/"), ("type", "3")];
    for (count, data) in ["", "{", "{}", "%", "kQ==", "{\"packet\":{\"type\":2}}"].into_iter().enumerate() {
        world.redis.append("socket.io", entry(&[&head[..], &[("data", data)]].concat()));
        world.settle();
        assert_eq!(world.servers[0].junk(), count as u64 + 1, "{data:?}");
    }
    let before = world.servers[0].junk();
    world.redis.append("socket.io", entry(&[]));
    world.redis.append("socket.io", entry(&[("uid", "x"), ("nsp", "/"), ("type", "77"), ("data", "{}")]));
    world.settle();
    let entries = vec![Entry { id: "none".into(), fields: entry(&head) }];
    world.give(0, Input::Entries(entries));
    assert_eq!(world.servers[0].junk(), before + 3);
    assert!(world.done(0).is_empty());
    world.tell(1, event(1, Opts::default()));
    world.settle();
    assert!(matches!(&*world.done(0), [Done::Here(Here::Emit { .. })]));
}

#[test]
fn what_comes_by_an_unknown_channel_or_for_another_namespace_is_nothing() {
    for format in FORMATS {
        let mut world = World::new(format, 1);
        let by = Channel::Plain("socket.io#/other#".into());
        let body = Bytes::from_static(b"{\"type\":6,\"data\":{\"opts\":{}},\"uid\":\"x\",\"nsp\":\"/\"}");
        world.give(0, Input::Published { by, channel: "socket.io#/other#".into(), body });
        if format != RedisFormat::Classic {
            let by = world.redis.subscriptions(0).iter().next().cloned().expect("a channel");
            let body =
                Bytes::from_static(b"{\"type\":6,\"data\":{\"opts\":{}},\"uid\":\"x\",\"nsp\":\"/x\"}");
            world.give(0, Input::Published { by, channel: "socket.io#/#".into(), body });
        }
        assert!(world.done(0).is_empty(), "{format}");
    }
}
