//! The namespace `/relay` of Socket.IO.

use super::OnActix;
use crate::{
    helpers::{RawClient, TestServer, frame, text},
    sockets::{Poller, next_text},
};

/// A client of the relay.
enum Member<'a> {
    WebSocket(RawClient),
    Polling(Poller<'a>),
}

#[derive(Clone, Copy, Debug)]
enum By {
    WebSocket,
    Upgrade,
    Polling,
}

const BY_ALL: [By; 3] = [By::WebSocket, By::Upgrade, By::Polling];

impl<'a> Member<'a> {
    /// A client in a room, which gets events without offsets.
    async fn of(server: &'a TestServer, by: By, room: &str) -> Self {
        let mut member = match by {
            By::WebSocket => Self::WebSocket(crate::sockets::websocket(server).await.0),
            By::Upgrade => Self::WebSocket(Poller::open(server).await.upgraded().await),
            By::Polling => Self::Polling(Poller::open(server).await),
        };
        member.say(r#"40/relay,{"recovery":false}"#).await;
        assert!(member.next().await.starts_with(r#"40/relay,{"sid":""#), "{by:?}");
        member.say(&format!(r#"42/relay,0["join","{room}"]"#)).await;
        assert_eq!(member.next().await, format!(r#"43/relay,0[{{"room":"{room}"}}]"#), "{by:?}");
        member
    }

    async fn say(&mut self, packet: &str) {
        match self {
            Self::WebSocket(raw) => raw.send(&text(packet)).await,
            Self::Polling(poller) => assert_eq!(poller.post(packet).await.status, 200),
        }
    }

    /// The next packets, joined as over polling.
    async fn next(&mut self) -> String {
        match self {
            Self::WebSocket(raw) => next_text(raw).await,
            Self::Polling(poller) => poller.poll().await.body,
        }
    }
}

#[actix_web::test]
async fn an_event_is_acked_and_goes_as_it_is_to_the_others_in_its_room_by_each_transport() {
    let server = OnActix::start();
    for from in BY_ALL {
        for to in BY_ALL {
            let (mut ann, mut ben) =
                (Member::of(&server, from, "a").await, Member::of(&server, to, "a").await);
            let mut far = Member::of(&server, By::WebSocket, "b").await;
            for number in 1..=3 {
                // Spaces, numbers and the order of keys are the sender's.
                let arguments = format!(r#"["draw", {{"z":{number}.0, "a":[true,null]}} ,"你好"]"#);
                ann.say(&format!("42/relay,{number}{arguments}")).await;
                assert_eq!(ann.next().await, format!("43/relay,{number}[{{}}]"), "{from:?} {to:?}");
                assert_eq!(ben.next().await, format!("42/relay,{arguments}"), "{from:?} {to:?}");
                far.say(&format!(r#"42/relay,{number}["alone"]"#)).await;
                assert_eq!(far.next().await, format!("43/relay,{number}[{{}}]"), "{from:?} {to:?}");
            }
        }
    }
}

#[actix_web::test]
async fn binary_parts_go_with_their_event_as_frames_or_as_base64() {
    let server = OnActix::start();
    let event = r#"452-/relay,["shot",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]"#;
    for from in BY_ALL {
        for to in BY_ALL {
            let (mut ann, mut ben) =
                (Member::of(&server, from, "a").await, Member::of(&server, to, "a").await);
            for _ in 0..3 {
                match &mut ann {
                    Member::WebSocket(raw) => {
                        raw.send(&[text(event), frame(0x82, b"one"), frame(0x82, &[0, 255])].concat()).await;
                    }
                    Member::Polling(_) => ann.say(&format!("{event}\u{1E}bb25l\u{1E}bAP8=")).await,
                }
                match &mut ben {
                    Member::WebSocket(raw) => {
                        assert_eq!(next_text(raw).await, event, "{from:?} {to:?}");
                        for part in [&b"one"[..], &[0, 255]] {
                            let frame = raw.read_frame().await;
                            assert_eq!((frame.first, &frame.payload[..]), (0x82, part), "{from:?} {to:?}");
                        }
                    }
                    Member::Polling(poller) => {
                        let mut packets = Vec::new();
                        while packets.len() < 3 {
                            packets.extend(poller.poll().await.body.split('\u{1E}').map(str::to_owned));
                        }
                        assert_eq!(packets, [event, "bb25l", "bAP8="], "{from:?} {to:?}");
                    }
                }
            }
        }
    }
}

#[actix_web::test]
async fn events_of_one_sender_arrive_in_its_order_by_each_transport() {
    const EVENTS: usize = 100;
    let server = OnActix::start();
    for from in BY_ALL {
        for to in BY_ALL {
            let (mut ann, mut ben) =
                (Member::of(&server, from, "a").await, Member::of(&server, to, "a").await);
            let saying = async {
                for number in 0..EVENTS {
                    ann.say(&format!(r#"42/relay,["x",{number}]"#)).await;
                }
            };
            let hearing = async {
                let mut heard = Vec::new();
                while heard.len() < EVENTS {
                    heard.extend(ben.next().await.split('\u{1E}').map(str::to_owned));
                }
                heard
            };
            let (heard, ()) = tokio::join!(hearing, saying);
            let expected: Vec<_> = (0..EVENTS).map(|number| format!(r#"42/relay,["x",{number}]"#)).collect();
            assert_eq!(heard, expected, "{from:?} {to:?}");
        }
    }
}

#[actix_web::test]
async fn a_client_that_changes_rooms_is_heard_in_its_new_room_only() {
    let server = OnActix::start();
    for by in BY_ALL {
        let (mut old, mut new) =
            (Member::of(&server, By::WebSocket, "a").await, Member::of(&server, By::WebSocket, "b").await);
        let mut ann = Member::of(&server, by, "a").await;
        for number in 0..3 {
            for (room, listener) in [("a", &mut old), ("b", &mut new)] {
                ann.say(&format!(r#"42/relay,1["join","{room}"]"#)).await;
                assert_eq!(ann.next().await, format!(r#"43/relay,1[{{"room":"{room}"}}]"#), "{by:?}");
                ann.say(&format!(r#"42/relay,["in {room}",{number}]"#)).await;
                assert_eq!(listener.next().await, format!(r#"42/relay,["in {room}",{number}]"#), "{by:?}");
            }
        }
        ann.say(r#"42/relay,2["leave"]"#).await;
        assert_eq!(ann.next().await, "43/relay,2[{}]", "{by:?}");
        ann.say(r#"42/relay,3["x"]"#).await;
        assert!(ann.next().await.contains("not_in_room"), "{by:?}");
    }
}
