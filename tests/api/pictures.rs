//! A picture that is passed on is what its first bytes say, in all its frames: no reader pays more for it than that.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    helpers::{RawClient, TestServer, settings, text},
    people::Person,
    sockets::{connected, next_text},
};

fn url(kind: &str, bytes: &[u8]) -> String {
    format!("data:image/{kind};base64,{}", BASE64_STANDARD.encode(bytes))
}

/// A GIF whose screen has `screen` pixels a side, with frames of `side` in its corner.
pub fn gif(screen: u16, side: u16, frames: usize) -> String {
    let ([low, high], [left, right]) = (screen.to_le_bytes(), side.to_le_bytes());
    let mut gif = b"GIF89a".to_vec();
    gif.extend([low, high, low, high, 0x80, 0, 0, 0, 0, 0, 255, 255, 255]);
    for _ in 0..frames {
        gif.extend([0x2C, 0, 0, 0, 0, left, right, left, right, 0, 2, 2, 0x4C, 0x01, 0]);
    }
    gif.push(0x3B);
    url("gif", &gif)
}

/// An animated PNG of 16 pixels a side with a second frame of `side`.
fn apng(side: u16) -> String {
    let chunk =
        |kind: &[u8; 4], body: &[u8]| [&(body.len() as u32).to_be_bytes()[..], kind, body, &[0; 4]].concat();
    let [high, low] = side.to_be_bytes();
    let control = [0, 0, 0, 0, 0, 0, high, low, 0, 0, high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 10, 0, 0];
    let png = [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &[0, 0, 0, 16, 0, 0, 0, 16, 8, 6, 0, 0, 0]),
        chunk(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]),
        chunk(b"IDAT", &[1]),
        chunk(b"fcTL", &control),
        chunk(b"IEND", &[]),
    ];
    url("png", &png.concat())
}

/// An animated WebP file of 16 pixels a side with a frame of `side`.
fn webp(side: u16) -> String {
    let [low, high] = (side - 1).to_le_bytes();
    let mut webp = b"RIFF\x2E\0\0\0WEBPVP8X\x0A\0\0\0\x02\0\0\0\x0F\0\0\x0F\0\0".to_vec();
    webp.extend(b"ANMF\x10\0\0\0\0\0\0\0\0\0");
    webp.extend([low, high, 0, low, high, 0, 100, 0, 0, 0]);
    url("webp", &webp)
}

/// A user at `/chat` and one at Socket.IO.
async fn users(server: &TestServer) -> (Person, RawClient) {
    let ann = Person::named(server, "Ann").await;
    let mut ben = connected(server).await;
    ben.send(&text(r#"42["login",{"username":"Ben","room":"tea"}]"#)).await;
    while !next_text(&mut ben).await.contains("loginSuccess") {}
    (ann, ben)
}

/// The code with which both doors refuse a picture, or null.
async fn verdict(ann: &mut Person, ben: &mut RawClient, img: &str) -> Value {
    let at_chat = ann.ask("sendImage", json!({"img": img})).await["error"]["code"].take();
    ben.send(&text(&format!("427{}", json!(["sendImage", {"img": img}])))).await;
    let at_socketio = loop {
        if let Some(answer) = next_text(ben).await.strip_prefix("437") {
            let mut answer: Value = serde_json::from_str(answer).expect("JSON");
            break answer[0]["error"]["code"].take();
        }
    };
    assert_eq!(at_chat, at_socketio);
    at_chat
}

#[actix_web::test]
async fn each_frame_of_a_picture_is_on_its_screen() {
    let server = TestServer::start().await;
    let (mut ann, mut ben) = users(&server).await;
    for (lie, truth) in [
        (gif(16, 16_000, 1), gif(16, 16, 1)),
        (gif(4096, 4097, 1), gif(4096, 4096, 1)),
        (apng(16_000), apng(16)),
        (webp(16_000), webp(16)),
    ] {
        assert_eq!(verdict(&mut ann, &mut ben, &lie).await, "bad_image", "{lie:.80}");
        assert_eq!(verdict(&mut ann, &mut ben, &truth).await, Value::Null, "{truth:.80}");
    }
}

#[actix_web::test]
async fn the_frames_of_a_picture_have_a_bounded_number_of_pixels() {
    let server = TestServer::start().await;
    let (mut ann, mut ben) = users(&server).await;
    assert_eq!(verdict(&mut ann, &mut ben, &gif(4096, 4096, 2)).await, Value::Null);
    assert_eq!(verdict(&mut ann, &mut ben, &gif(4096, 4096, 3)).await, "bad_image");
    assert_eq!(verdict(&mut ann, &mut ben, &gif(16, 16, 1001)).await, "bad_image", "1,000 frames");

    let max_image_pixels = 1000.try_into().expect("not zero");
    let server = TestServer::with(settings().with(|s| s.events.max_image_pixels = max_image_pixels)).await;
    let (mut ann, mut ben) = users(&server).await;
    assert_eq!(verdict(&mut ann, &mut ben, &gif(16, 16, 3)).await, Value::Null);
    assert_eq!(verdict(&mut ann, &mut ben, &gif(16, 16, 4)).await, "bad_image");
    assert_eq!(verdict(&mut ann, &mut ben, &gif(32, 1, 1)).await, "bad_image", "the screen is drawn, too");
}

#[actix_web::test]
async fn a_picture_ends_where_its_bytes_do() {
    let server = TestServer::start().await;
    let (mut ann, mut ben) = users(&server).await;
    let one = BASE64_STANDARD.decode(gif(16, 16, 1).split_once(',').expect("a URL").1).expect("base64");
    for behind in [&b"<script>"[..], &one] {
        let more = url("gif", &[&one, behind].concat());
        assert_eq!(verdict(&mut ann, &mut ben, &more).await, "bad_image");
    }
}

/// The face that the server gives to who asks for `avatar`.
async fn face(server: &TestServer, avatar: &str) -> String {
    let login = json!({"username": "Ann", "room": "milk", "avatar": avatar});
    let mut ann = Person::login(server, login).await;
    ann.ask("logout", json!({})).await;
    ann.welcome["avatar"].as_str().expect("a face").to_owned()
}

#[actix_web::test]
async fn an_avatar_has_at_most_256_pixels_a_side() {
    let server = TestServer::start().await;
    for avatar in
        [gif(257, 1, 1), gif(2496, 2496, 1), gif(16, 257, 1), apng(300), webp(300), gif(256, 256, 5)]
    {
        assert_eq!(face(&server, &avatar).await, "fox", "{avatar:.80}");
    }
    for avatar in [gif(256, 256, 1), gif(64, 64, 20), apng(16), webp(16)] {
        assert_ne!(face(&server, &avatar).await, "fox", "{avatar:.80}");
    }
    let max_avatar_side = 16.try_into().expect("not zero");
    let server = TestServer::with(settings().with(|s| s.events.max_avatar_side = max_avatar_side)).await;
    assert_eq!(face(&server, &gif(17, 17, 1)).await, "fox");
    assert_ne!(face(&server, &gif(16, 16, 1)).await, "fox");
}
