//! What clients see when a shared part has panicked and begins again.

use echoroom::config::Switch;
use serde_json::json;

use crate::{
    chatters::{CHAT_DOORS, ChatDoor, Chatter},
    helpers::{RawFrame, TestServer, settings, soon, text},
    metrics::value,
    relayers::{Relayer, WAYS, Way},
    sockets::websocket,
};

async fn server() -> TestServer {
    TestServer::with(settings().with(|s| {
        s.socketio.relay = Switch::On;
        s.operation.max_restarts = 100;
    }))
    .await
}

async fn restarts(server: &TestServer, part: &str) -> f64 {
    value(server, &format!("echoroom_restarts_total{{part=\"{part}\"}}")).await
}

#[actix_web::test]
async fn a_session_whose_fan_out_has_panicked_is_told_to_come_back_at_every_door() {
    for door in CHAT_DOORS {
        let server = server().await;
        let reader = Chatter::settled(&server, door, "ann").await;
        for fan_out in ["fan-out-0", "fan-out-1"] {
            server.post_raw(&format!("/poison/{fan_out}")).await;
        }
        soon("both panic", async {
            while restarts(&server, "fan-out-0").await + restarts(&server, "fan-out-1").await < 2.0 {
                let mut plain = server.connect("/ws?room=tea").await;
                plain.try_send("hello").await;
            }
        })
        .await;
        let code = reader.until_the_end().await;
        assert_eq!(code, (door != ChatDoor::Polling).then_some(1012), "{door:?}");
        // The fan-outs serve the clients that come.
        let mut ann = Chatter::settled(&server, door, "ben").await;
        let answer = ann.ask("sendMessage", &json!({"msg": "hello"})).await;
        assert!(answer["data"]["offset"].is_u64(), "{door:?}: {answer}");
    }
}

#[actix_web::test]
async fn members_of_a_relay_room_stay_when_the_rooms_panic_and_who_comes_back_is_not_recovered() {
    for way in WAYS {
        let server = server().await;
        let (mut ann, _) = Relayer::in_room(&server, way, "tea", &json!({})).await;
        let (mut ben, _) = Relayer::in_room(&server, way, "tea", &json!({})).await;
        let (mut cid, connected) = Relayer::in_room(&server, Way::WebSocket, "tea", &json!({})).await;
        ann.send(r#"42/relay,["stroke",0]"#).await;
        for reader in [&mut ben, &mut cid] {
            assert_eq!(reader.next_text().await, r#"42/relay,["stroke",0,"1"]"#, "{way:?}");
        }
        cid.reset();
        server.post_raw("/poison/socketio-rooms").await;
        let mut strokes = 0;
        while restarts(&server, "socketio-rooms").await < 1.0 {
            strokes += 1;
            ann.send(&format!(r#"42/relay,["stroke",{strokes}]"#)).await;
        }
        ann.send(r#"42/relay,["stroke","behind"]"#).await;
        let heard = soon("the stroke behind the panic", async {
            loop {
                let packet = ben.next_text().await;
                if packet.contains("behind") {
                    return packet;
                }
            }
        })
        .await;
        assert!(!heard.contains(r#","1"]"#), "no offset is given out twice: {heard}");
        let back = json!({"pid": connected["pid"], "offset": "1"});
        let (_, answer) = Relayer::in_room(&server, Way::WebSocket, "tea", &back).await;
        assert_ne!(answer["sid"], connected["sid"], "{way:?}: it is not recovered");
    }
}

#[actix_web::test]
async fn a_socket_whose_request_the_rooms_have_panicked_over_is_told_to_come_back() {
    let server = server().await;
    let (mut ann, _) = Relayer::in_room(&server, Way::WebSocket, "tea", &json!({})).await;
    let code = soon("its request is lost", async {
        loop {
            server.post_raw("/poison/socketio-rooms").await;
            let (mut ben, _) = websocket(&server).await;
            ben.send(&text("40/relay,")).await;
            ben.send(&text(r#"42/relay,1["join","tea"]"#)).await;
            loop {
                let RawFrame { first, payload } = ben.read_frame().await;
                if first == 0x88 {
                    return payload.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
                }
                // The rooms have panicked over something of their own.
                if payload.starts_with(b"43/relay,1") {
                    break;
                }
            }
        }
    })
    .await;
    assert_eq!(code, Some(1012));
    ann.send(r#"42/relay,7["stroke",0]"#).await;
    assert_eq!(ann.next_text().await, "43/relay,7[{}]");
}
