//! `/chat`: the vocabulary, request by request.

use serde_json::json;

use crate::{
    helpers::{TestServer, settings},
    people::{PIXEL, Person, texts},
};

#[actix_web::test]
async fn chat_v1_is_chosen_if_it_is_offered() {
    let server = TestServer::start().await;
    for (offer, chosen) in [("chat.v1", true), ("other, chat.v1", true), ("", false)] {
        let headers =
            if offer.is_empty() { String::new() } else { format!("Sec-WebSocket-Protocol: {offer}\r\n") };
        let head = server.connect_tcp().await.handshake_with("/chat", &headers).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert_eq!(head.contains("sec-websocket-protocol: chat.v1\r\n"), chosen, "{head}");
    }
    let head =
        server.connect_tcp().await.handshake_with("/chat", "Sec-WebSocket-Protocol: chat.v9\r\n").await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
}

#[actix_web::test]
async fn a_page_from_disk_may_not_chat() {
    let server = TestServer::start().await;
    for origin in ["null", "file://", "https://elsewhere.example"] {
        let head = server.connect_tcp().await.handshake_with("/chat", &format!("Origin: {origin}\r\n")).await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    }
    let same = format!("Origin: http://{}\r\n", server.address);
    assert!(server.connect_tcp().await.handshake_with("/chat", &same).await.starts_with("HTTP/1.1 101 "));
}

#[actix_web::test]
async fn a_login_is_answered_with_who_and_where_one_is() {
    let server = TestServer::start().await;
    let ann = Person::login(&server, json!({"username": " Ann ", "avatar": "owl"})).await;
    let welcome = &ann.welcome;
    assert_eq!(welcome["username"], "Ann");
    assert_eq!(welcome["avatar"], "owl");
    assert_eq!(welcome["room"], "lobby");
    assert_eq!(welcome["token"].as_str().map(str::len), Some(32));
    assert!(welcome["epoch"].is_string());
    assert_eq!(
        (&welcome["offset"], &welcome["recovered"], &welcome["missed"]),
        (&json!(0), &json!(false), &json!(0))
    );
}

#[actix_web::test]
async fn a_login_with_an_ack_is_answered_there_and_only_there() {
    let server = TestServer::start().await;
    let mut ann = Person::stranger(&server).await;
    let answer = ann.ask("login", json!({"username": "Ann"})).await;
    assert_eq!(answer["data"]["username"], "Ann");
    ann.expect_none("loginSuccess").await;
    let mut other = Person::stranger(&server).await;
    assert_eq!(other.ask("login", json!({"username": "ann"})).await["error"]["code"], "name_taken");
    other.expect_none("loginError").await;
}

#[actix_web::test]
async fn a_message_comes_back_to_its_sender_and_reaches_the_room() {
    let server = TestServer::start().await;
    let mut ann = Person::login(&server, json!({"username": "Ann", "room": "tea", "avatar": "cat"})).await;
    let mut ben = Person::settled(&server, "Ben").await;
    let data = json!({"msg": "straße", "id": "m1", "username": "eve", "avatar": "dog"});
    let answer = ann.ask("sendMessage", data).await;
    let receipt = &answer["data"];
    assert_eq!(
        (&receipt["id"], &receipt["offset"], &receipt["echo"]),
        (&json!("m1"), &json!(1), &json!("STRASSE!!!"))
    );
    let (at_ann, at_ben) = (ann.next_named("receiveMessage").await, ben.next_named("receiveMessage").await);
    assert_eq!(at_ann, at_ben);
    assert_eq!(
        at_ben,
        json!({
            "username": "Ann", "avatar": "cat", "uid": ann.welcome["uid"],
            "msg": "straße", "offset": 1, "at": receipt["at"], "id": "m1",
        })
    );
}

#[actix_web::test]
async fn nobody_can_speak_as_another() {
    let server = TestServer::start().await;
    let mut ann = Person::settled(&server, "Ann").await;
    let mut eve = Person::settled(&server, "Eve").await;
    eve.send("sendMessage", json!({"msg": "hi", "username": "Ann", "avatar": "x", "token": ann.token()}))
        .await;
    assert_eq!(ann.next_named("receiveMessage").await["username"], "Eve");
    let mut nobody = Person::stranger(&server).await;
    nobody.send("sendMessage", json!({"msg": "hi", "username": "Ann"})).await;
    assert_eq!(nobody.next_named("error").await["code"], "not_logged_in");
    ann.expect_none("receiveMessage").await;
}

#[actix_web::test]
async fn plain_sessions_and_people_hear_each_other() {
    let server = TestServer::start().await;
    let mut plain = server.connect("/ws?room=tea").await;
    plain.expect_quiet().await;
    let mut ann = Person::settled(&server, "Ann").await;
    plain.send("hello").await;
    assert_eq!(plain.next_text().await, "HELLO!!!");
    let heard = ann.next_messages(2).await;
    assert_eq!(texts(&heard), ["still here?", "hello"]);
    let guest = heard[1]["username"].as_str().expect("a name");
    assert!(guest.strip_prefix("guest-").is_some_and(|number| number.parse::<u64>().is_ok()), "{guest}");
    assert_eq!((&heard[0]["replay"], &heard[1]["replay"]), (&json!(true), &json!(null)));
    plain.send_binary(b"bytes").await;
    assert_eq!(plain.next_binary().await, b"bytes");
    ann.send("typing", json!({"typing": true})).await;
    ann.ask("sendImage", json!({"img": PIXEL})).await;
    ann.say("good evening").await;
    assert_eq!(plain.next_text().await, "good evening", "and nothing of typing and pictures");
    plain.expect_quiet().await;
    ann.expect_none("addUser").await;
}

#[actix_web::test]
async fn who_comes_and_goes_is_told() {
    let server = TestServer::start().await;
    let mut ann = Person::settled(&server, "Ann").await;
    let mut ben = Person::login(&server, json!({"username": "Ben", "room": "tea", "avatar": "owl"})).await;
    assert_eq!(
        ann.next_named("addUser").await,
        json!({"username": "Ben", "avatar": "owl", "uid": ben.welcome["uid"], "count": 2})
    );
    ann.until_listed("Ben").await;
    ben.until_listed("Ann").await;
    assert_eq!(ben.ask("logout", json!({})).await["data"], json!({}));
    assert_eq!(
        ann.next_named("delUser").await,
        json!({"username": "Ben", "avatar": "owl", "uid": ben.welcome["uid"], "count": 1})
    );
    assert_eq!(
        ann.next_named("userList").await,
        json!([{"username": "Ann", "avatar": "fox", "uid": ann.welcome["uid"]}])
    );
    ben.send("sendMessage", json!({"msg": "x"})).await;
    assert_eq!(ben.next_named("error").await["code"], "not_logged_in");
    ann.say("alone").await;
    ben.expect_none("receiveMessage").await;
}

#[actix_web::test]
async fn a_private_message_reaches_its_reader_and_its_sender_and_nobody_else() {
    let server = TestServer::start().await;
    let mut ann = Person::settled(&server, "Ann").await;
    let mut ben = Person::settled(&server, "Ben").await;
    let mut eve = Person::settled(&server, "Eve").await;
    let token = ben.token();
    let mut second_tab =
        Person::login(&server, json!({"username": "Ben", "room": "tea", "token": token})).await;
    second_tab.until_listed("Eve").await;
    let answer = ann.ask("sendPrivate", json!({"to": "BEN", "msg": "psst", "id": "p"})).await;
    assert_eq!((&answer["data"]["id"], &answer["data"]["delivered"]), (&json!("p"), &json!(true)));
    for person in [&mut ann, &mut ben, &mut second_tab] {
        let private = person.next_named("receivePrivate").await;
        assert_eq!(
            (&private["username"], &private["msg"], &private["id"]),
            (&json!("Ann"), &json!("psst"), &json!("p"))
        );
    }
    eve.expect_none("receivePrivate").await;
    for nobody in ["Zoe", "guest-1", ""] {
        assert_eq!(
            ann.ask("sendPrivate", json!({"to": nobody, "msg": "x"})).await["error"]["code"],
            "no_such_user"
        );
    }
    drop((ben, second_tab));
    ann.next_named("delUser").await;
    let answer = ann.ask("sendPrivate", json!({"to": "Ben", "msg": "are you there?"})).await;
    assert_eq!(answer["data"]["delivered"], false, "away, and expected back");
}

#[actix_web::test]
async fn typing_is_shown_to_the_others() {
    let server = TestServer::start().await;
    let mut ann = Person::settled(&server, "Ann").await;
    let mut ben = Person::settled(&server, "Ben").await;
    ann.send("typing", json!({"typing": true})).await;
    assert_eq!(ben.next_named("typing").await, json!({"username": "Ann", "typing": true}));
    assert_eq!(ann.ask("typing", json!({"typing": false})).await["data"], json!({}));
    assert_eq!(ben.next_named("typing").await["typing"], false);
    ann.expect_none("typing").await;
}

#[actix_web::test]
async fn joining_another_room_leaves_the_first() {
    let server = TestServer::start().await;
    let mut ann = Person::settled(&server, "Ann").await;
    let mut ben = Person::settled(&server, "Ben").await;
    let mut zoe = Person::login(&server, json!({"username": "Zoe", "room": "milk"})).await;
    zoe.say("first").await;
    ben.send("joinRoom", json!({"room": "milk"})).await;
    let joined = ben.next_named("roomJoined").await;
    assert_eq!((&joined["room"], &joined["offset"]), (&json!("milk"), &json!(1)));
    assert!(joined["epoch"].is_string());
    assert_eq!(ben.next_messages(1).await[0]["replay"], true);
    assert_eq!(ann.next_named("delUser").await["username"], "Ben");
    assert_eq!(zoe.next_named("addUser").await["username"], "Ben");
    ann.say("in tea").await;
    ben.until_listed("Ben").await;
    zoe.say("in milk").await;
    assert_eq!(texts(&ben.next_messages(1).await), ["in milk"]);
    assert_eq!(ben.say("me too").await["offset"], 3);
}

#[actix_web::test]
async fn a_room_where_the_name_is_taken_cannot_be_joined_and_nothing_changes() {
    let server = TestServer::start().await;
    let mut ann = Person::settled(&server, "Ann").await;
    let _other = Person::login(&server, json!({"username": "ann", "room": "milk"})).await;
    assert_eq!(ann.ask("joinRoom", json!({"room": "milk"})).await["error"]["code"], "name_taken");
    assert_eq!(ann.ask("joinRoom", json!({"room": " "})).await["error"]["code"], "bad_room");
    let mut ben = Person::settled(&server, "Ben").await;
    ben.say("still here?").await;
    assert_eq!(texts(&ann.next_messages(1).await), ["still here?"]);
    assert_eq!(ann.say("yes").await["offset"], 2);
}

#[actix_web::test]
async fn ping_is_answered_with_the_time() {
    let server = TestServer::start().await;
    let mut stranger = Person::stranger(&server).await;
    assert!(
        stranger.ask("ping", json!({})).await["data"]["at"].as_u64().is_some_and(|at| at > 1_600_000_000_000)
    );
}

#[actix_web::test]
async fn what_cannot_be_read_is_named_and_the_session_stays() {
    let server = TestServer::start().await;
    let mut ann = Person::settled(&server, "Ann").await;
    for (text, code, word) in [
        ("hello", "bad_json", "JSON"),
        ("[1,2]", "bad_field", "object"),
        (r#"{"event":"jump"}"#, "unknown_event", "jump"),
        (r#"{"event":"sendMessage","data":{}}"#, "bad_field", "msg"),
        (r#"{"event":"sendMessage","data":{"msg":[]}}"#, "bad_field", "data.msg"),
        (r#"{"event":"sendMessage","data":{"msg":"x","id":7}}"#, "bad_field", "data.id"),
        (r#"{"event":"sendMessage","data":{"msg":"x","id":""}}"#, "bad_field", "data.id"),
        (r#"{"event":"typing","data":{"typing":"yes"}}"#, "bad_field", "data.typing"),
        (r#"{"event":"joinRoom","data":{"room":false}}"#, "bad_field", "data.room"),
        (r#"{"event":"history"}"#, "bad_field", "ack"),
        (r#"{"event":"ping","ack":-1}"#, "bad_field", "ack"),
    ] {
        ann.send_text(text).await;
        let error = ann.next_named("error").await;
        assert_eq!(error["code"], code, "{text}: {error}");
        assert!(error["msg"].as_str().is_some_and(|msg| msg.contains(word)), "{text}: {error}");
    }
    ann.send_binary(b"{}").await;
    assert_eq!(ann.next_named("error").await["code"], "bad_json");
    ann.say("I am still here").await;
}

#[actix_web::test]
async fn bad_logins_say_what_is_wrong() {
    let server = TestServer::start().await;
    let mut stranger = Person::stranger(&server).await;
    for (data, code) in [
        (json!({"username": " "}), "bad_name"),
        (json!({"username": "a\u{200B}b"}), "bad_name"),
        (json!({"username": "guest-1"}), "bad_name"),
        (json!({"username": "x".repeat(25)}), "bad_name"),
        (json!({"username": "Ann", "room": "a\u{0}"}), "bad_room"),
        (json!({"username": "Ann", "token": "secret"}), "bad_token"),
        (json!({"username": "Ann", "epoch": "x", "offset": 1}), "bad_field"),
        (json!({"username": "Ann", "offset": 1}), "bad_field"),
    ] {
        stranger.send("login", data.clone()).await;
        assert_eq!(stranger.next_named("loginError").await["code"], code, "{data}");
    }
    stranger.send("login", json!({"username": 5})).await;
    assert_eq!(stranger.next_named("error").await["code"], "bad_field");
    stranger.send("login", json!({"username": "Ann"})).await;
    assert_eq!(stranger.next_named("loginSuccess").await["username"], "Ann");
}

#[actix_web::test]
async fn what_follows_a_login_at_once_is_said_by_who_logged_in() {
    let server = TestServer::start().await;
    let mut ann = Person::stranger(&server).await;
    ann.send("login", json!({"username": "Ann", "room": "tea"})).await;
    let said = ann.request("sendMessage", json!({"msg": "one"})).await;
    ann.send("joinRoom", json!({"room": "milk"})).await;
    let elsewhere = ann.request("sendMessage", json!({"msg": "two"})).await;
    assert_eq!(ann.answer_to(said).await["data"]["offset"], 1);
    assert_eq!(ann.answer_to(elsewhere).await["data"]["offset"], 1);
    assert_eq!(ann.next_named("roomJoined").await["room"], "milk");
}

#[actix_web::test]
async fn a_text_or_a_picture_over_its_limit_is_refused_and_the_session_stays() {
    let small = settings().with(|s| {
        s.limits.max_message_size = "10".parse().expect("a size");
        s.events.max_image_size = Some("200".parse().expect("a size"));
    });
    let server = TestServer::with(small).await;
    let mut ann = Person::settled(&server, "Ann").await;
    let large = json!({"msg": "x".repeat(11)});
    assert_eq!(ann.ask("sendMessage", large).await["error"]["code"], "too_large");
    assert_eq!(
        ann.ask("sendPrivate", json!({"to": "Ann", "msg": "x".repeat(11)})).await["error"]["code"],
        "too_large"
    );
    let large = json!({"img": format!("data:image/png;base64,{}", "A".repeat(200))});
    assert_eq!(ann.ask("sendImage", large).await["error"]["code"], "too_large");
    assert_eq!(ann.say("0123456789").await["offset"], 1);
}

#[actix_web::test]
async fn a_message_over_the_payload_limit_ends_the_session_after_an_error() {
    let server =
        TestServer::with(settings().with(|s| s.events.max_payload = "1k".parse().expect("a size"))).await;
    let mut ann = Person::settled(&server, "Ann").await;
    ann.send("sendMessage", json!({"msg": "x".repeat(1024)})).await;
    assert_eq!(ann.next_named("error").await["code"], "too_large");
    assert_eq!(ann.close_code().await, 1009);
}

#[actix_web::test]
async fn who_does_not_log_in_is_sent_away() {
    let server =
        TestServer::with(settings().with(|s| s.login.connect_timeout = "1s".parse().expect("a time"))).await;
    let mut ann = Person::named(&server, "Ann").await;
    let mut stranger = Person::stranger(&server).await;
    assert_eq!(stranger.close_code().await, 1008);
    ann.say("I may stay").await;
}

#[actix_web::test]
async fn too_fast_is_refused_with_the_time_to_come_back() {
    let slow = settings().with(|s| {
        s.rates.rate = 2;
        s.rates.rate_burst = 3;
    });
    let server = TestServer::with(slow).await;
    let mut ann = Person::named(&server, "Ann").await;
    let mut said = 0;
    let refusal = loop {
        let answer = ann.ask("sendMessage", json!({"msg": "x"})).await;
        if answer["error"].is_object() {
            break answer["error"].clone();
        }
        said += 1;
        assert!(said < 100, "never refused");
    };
    assert_eq!(refusal["code"], "rate_limited");
    let wait = refusal["retry_after_ms"].as_u64().expect("a time");
    assert!((1..=500).contains(&wait), "{wait}");
    actix_web::rt::time::sleep(std::time::Duration::from_millis(wait)).await;
    assert_eq!(ann.say("now").await["offset"], said + 1, "what was refused was not said");
}

#[actix_web::test]
async fn a_flood_ends_with_1008() {
    let slow = settings().with(|s| {
        s.rates.rate = 20;
        s.rates.rate_burst = 3;
        s.rates.rate_patience = "300ms".parse().expect("a time");
    });
    let server = TestServer::with(slow).await;
    let mut raw = server.connect_raw("/chat").await;
    // Each is answered once, the last one by the close.
    loop {
        raw.send(&crate::helpers::text(r#"{"event":"ping","ack":1}"#)).await;
        let frame = raw.read_frame().await;
        if frame.first == 0x88 {
            assert_eq!(frame.payload[..2], 1008_u16.to_be_bytes());
            return;
        }
    }
}

#[actix_web::test]
async fn only_pictures_pass_as_pictures() {
    let server = TestServer::start().await;
    let mut ann = Person::settled(&server, "Ann").await;
    let mut ben = Person::settled(&server, "Ben").await;
    for (img, word) in [
        ("data:image/svg+xml;base64,PHN2Zy8+", "svg"),
        ("data:image/png;base64,AAAA", "image/png"),
        ("data:image/png;base64,***", "base64"),
        ("https://example.org/a.png", "data URL"),
        (&PIXEL.replace("image/png", "image/gif"), "image/gif"),
    ] {
        let error = &ann.ask("sendImage", json!({"img": img})).await["error"];
        assert_eq!(error["code"], "bad_image", "{img}");
        assert!(error["msg"].as_str().is_some_and(|msg| msg.contains(word)), "{error}");
    }
    let receipt = &ann.ask("sendImage", json!({"img": PIXEL, "id": "i"})).await["data"];
    assert_eq!(
        (&receipt["offset"], &receipt["id"], &receipt["echo"]),
        (&json!(1), &json!("i"), &json!(null))
    );
    let image = ben.next_named("receiveImage").await;
    assert_eq!((&image["img"], &image["offset"], &image["msg"]), (&json!(PIXEL), &json!(1), &json!(null)));
}

#[actix_web::test]
async fn a_large_event_is_compressed_for_who_reads_that() {
    let server = TestServer::start().await;
    let mut raw = server.connect_raw_offering("/chat", "permessage-deflate").await;
    raw.send(&crate::helpers::text(r#"{"event":"login","data":{"username":"Raw","room":"tea"}}"#)).await;
    assert_eq!(raw.read_frame().await.first, 0x81, "small ones are not");
    let mut ann = Person::settled(&server, "Ann").await;
    ann.say(&"again and again ".repeat(200)).await;
    while raw.read_frame().await.first != 0xC1 {}
}
