//! Arguments of events and answers: any value of serde, with bytes anywhere.

use echoroom::socketio::{Ack, Bytes, EventError, Server, Socket, Value};
use serde::{Deserialize, Serialize};

use super::{EACH, Peer, Told};
use crate::sockets::serve;

#[derive(Debug, Deserialize, Serialize)]
struct Picture {
    name: String,
    bytes: Bytes,
}

/// Sends the arguments of each event back, as a handler of some type has them.
fn start() -> (Server, Told) {
    let (tell, told) = Told::new();
    let io = Server::builder().build();
    let (of_none, of_bare) = (tell.clone(), tell.clone());
    let main = io.namespace("/").on("bare", async move |_: Socket| of_bare.tell("bare"));
    main.on("none", async move |_: Socket, (): ()| of_none.tell("none"))
        .on("ack", async |_: Socket, ack: Ack| ack.send(&()))
        .on("one", async |_: Socket, number: i64, ack: Ack| ack.send(&number))
        .on("two", async |_: Socket, (number, word): (i64, String), ack: Ack| ack.send(&(word, number)))
        .on("list", async |_: Socket, list: Vec<u8>, ack: Ack| ack.send(&list))
        .on("option", async |_: Socket, (word, more): (String, Option<u8>), ack: Ack| ack.send(&(word, more)))
        .on("picture", async |socket: Socket, picture: Picture, ack: Ack| {
            socket.emit("seen", &(&picture.name, [&picture.bytes, &picture.bytes]));
            ack.send(&(1, picture));
        })
        .on("pair", async |_: Socket, (first, second): (Bytes, Vec<Bytes>), ack: Ack| {
            ack.send(&(second, first))
        })
        .on("any", async |_: Socket, value: Value, ack: Ack| ack.send(&value))
        .on("reserved", async |socket: Socket, ack: Ack| {
            socket.emit("connect", &1);
            ack.send(&());
        })
        .on_error(move |_, problem| match problem {
            EventError::Arguments { event, .. } => tell.tell(format!("bad {event}")),
            other => tell.tell(other.to_string()),
        });
    (io, told)
}

#[actix_web::test]
async fn a_handler_gets_none_one_or_several_arguments_and_answers_with_as_many() {
    for by in EACH {
        let (io, told) = start();
        let server = serve(&io, 2);
        let mut peer = Peer::connected(&server, by).await;
        for (event, answer) in [
            (r#"["ack"]"#, "[]"),
            (r#"["ack",1,2]"#, "[]"),
            (r#"["one",-5]"#, "[-5]"),
            (r#"["one",7,"more",null]"#, "[7]"),
            (r#"["two",1,"é"]"#, r#"["é",1]"#),
            (r#"["two",1,"a",[{}]]"#, r#"["a",1]"#),
            (r#"["list",[1,2,3]]"#, "[[1,2,3]]"),
            (r#"["option","a"]"#, r#"["a",null]"#),
            (r#"["option","a",null]"#, r#"["a",null]"#),
            (r#"["option","a",3]"#, r#"["a",3]"#),
            (r#"["any",{"a":[1,null,"b"]}]"#, r#"[{"a":[1,null,"b"]}]"#),
            (r#"["any"]"#, "[null]"),
            (r#"["any",null]"#, "[null]"),
            (r#"["reserved"]"#, "[]"),
        ] {
            peer.expect(&format!("27{event}"), &format!("37{answer}")).await;
        }
        for event in [r#"2["bare",1]"#, r#"2["none",1,2]"#, r#"2["none"]"#] {
            peer.send(event).await;
            told.expect([if event.contains("bare") { "bare" } else { "none" }]).await;
        }
    }
}

#[actix_web::test]
async fn bytes_anywhere_in_the_arguments_are_binary_both_ways() {
    let (one, two) = (&[1, 2, 0, 255][..], &b"two"[..]);
    for by in EACH {
        let (io, _) = start();
        let server = serve(&io, 2);
        let mut peer = Peer::connected(&server, by).await;
        for _ in 0..3 {
            let placeholder = r#"{"_placeholder":true,"num":0}"#;
            let picture = format!(r#"{{"name":"a","bytes":{placeholder}}}"#);
            peer.send(&format!(r#"51-7["picture",{picture}]"#)).await;
            peer.send_binary(one).await;
            let more = placeholder.replace('0', "1");
            assert_eq!(peer.next().await, format!(r#"52-["seen","a",[{placeholder},{more}]]"#));
            assert_eq!((&*peer.next_binary().await, &*peer.next_binary().await), (one, one));
            assert_eq!(peer.next().await, format!("61-7[1,{picture}]"));
            assert_eq!(peer.next_binary().await, one);

            peer.send(&format!(r#"52-8["pair",{more},[{placeholder}]]"#)).await;
            peer.send_binary(one).await;
            peer.send_binary(two).await;
            assert_eq!(peer.next().await, format!("62-8[[{placeholder}],{more}]"));
            assert_eq!((&*peer.next_binary().await, &*peer.next_binary().await), (one, two));
        }
    }
}

#[actix_web::test]
async fn wrong_arguments_are_told_to_the_hook_and_answered_and_the_socket_lives() {
    for by in EACH {
        let (io, told) = start();
        let server = serve(&io, 2);
        let mut peer = Peer::connected(&server, by).await;
        for event in [
            r#"["one","word"]"#,
            r#"["one"]"#,
            r#"["two",1]"#,
            r#"["two",1,2]"#,
            r#"["list",{}]"#,
            r#"["picture",{"name":"a"}]"#,
            r#"["picture",{"name":"a","bytes":"text"}]"#,
            r#"["pair",[1,2],[]]"#,
        ] {
            let name = event.split('"').nth(1).expect("a name");
            peer.send(&format!("27{event}")).await;
            let answer = peer.next().await;
            let json = answer.strip_prefix("37").unwrap_or_else(|| panic!("{answer}"));
            let answer: serde_json::Value = serde_json::from_str(json).expect("JSON");
            assert_eq!(answer[0]["error"]["code"], "bad_arguments", "{event}");
            assert!(answer[0]["error"]["msg"].as_str().is_some_and(|msg| msg.contains(name)), "{answer}");
            told.expect([&*format!("bad {name}")]).await;
            // Without an ack there is no answer.
            peer.send(&format!("2{event}")).await;
            told.expect([&*format!("bad {name}")]).await;
            peer.expect(r#"28["one",1]"#, "38[1]").await;
        }
    }
}

#[actix_web::test]
async fn bytes_are_taken_for_no_text() {
    let (io, told) = start();
    let server = serve(&io, 1);
    let mut peer = Peer::connected(&server, super::By::WebSocket).await;
    peer.send(r#"51-7["two",1,{"_placeholder":true,"num":0}]"#).await;
    peer.send_binary(b"text").await;
    assert!(peer.next().await.starts_with(r#"37[{"error":{"code":"bad_arguments""#));
    told.expect(["bad two"]).await;
}
