//! A client of Socket.IO that takes no binary frames (`forceBase64`) says its attachments as base64 in text frames, and
//! hears them so.

use echoroom::config::{Settings, Switch};

use crate::{
    helpers::{RawClient, TestServer, frame, settings, text},
    sockets::{Poller, expect_closed, next_text},
};

const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

fn open() -> Settings {
    settings().with(|s| s.socketio.relay = Switch::On)
}

async fn joined(mut raw: RawClient) -> RawClient {
    raw.send(&text("40/relay,")).await;
    while !next_text(&mut raw).await.starts_with("40/relay,{") {}
    raw.send(&text(r#"42/relay,0["join","a"]"#)).await;
    assert_eq!(next_text(&mut raw).await, r#"43/relay,0[{"room":"a"}]"#);
    raw
}

#[actix_web::test]
async fn attachments_are_taken_as_base64_in_text_frames_and_as_binary_frames_also_mixed() {
    let server = TestServer::with(open()).await;
    let mut ben = joined(server.connect_raw(WEBSOCKET).await).await;
    let at_once = joined(server.connect_raw(WEBSOCKET).await).await;
    let upgraded = joined(Poller::connected(&server).await.upgraded().await).await;
    let mut offset = 0;
    for mut ann in [at_once, upgraded] {
        for attachments in [
            [text("bAQID"), text("bBAU=")],
            [frame(0x82, &[1, 2, 3]), text("bBAU=")],
            [text("bAQID"), frame(0x82, &[4, 5])],
        ] {
            offset += 1;
            let event = r#"52-/relay,["m",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}"#;
            ann.send(&text(&format!("4{event}]"))).await;
            ann.send(&attachments.concat()).await;
            assert_eq!(next_text(&mut ben).await, format!(r#"4{event},"{offset}"]"#));
            for expected in [&[1, 2, 3][..], &[4, 5]] {
                let frame = ben.read_frame().await;
                assert_eq!((frame.first, &frame.payload[..]), (0x82, expected));
            }
        }
        ann.send(&text(r#"451-/relay,["m",{"_placeholder":true,"num":0}]"#)).await;
        ann.send(&text("b***")).await;
        expect_closed(ann).await;
    }
}

#[actix_web::test]
async fn a_client_that_says_so_hears_attachments_as_base64() {
    let server = TestServer::with(open()).await;
    let mut ann = joined(server.connect_raw(WEBSOCKET).await).await;
    let at_once = joined(server.connect_raw(&format!("{WEBSOCKET}&b64=1")).await).await;
    let poller = Poller::connected(&server).await;
    let mut raw = server.connect_raw(&format!("{WEBSOCKET}&b64=1&sid={}", poller.sid)).await;
    raw.send(&text("5")).await;
    let upgraded = joined(raw).await;
    ann.send(&text(r#"451-/relay,["m",{"_placeholder":true,"num":0}]"#)).await;
    ann.send(&frame(0x82, &[1, 2, 3])).await;
    ann.send(&text(r#"42/relay,["n"]"#)).await;
    for mut raw in [at_once, upgraded] {
        assert_eq!(next_text(&mut raw).await, r#"451-/relay,["m",{"_placeholder":true,"num":0},"1"]"#);
        assert_eq!(next_text(&mut raw).await, "bAQID");
        assert_eq!(next_text(&mut raw).await, r#"42/relay,["n","2"]"#);
    }
}
