//! Who is in a room: whole to who comes in, page by page to who asks, and by changes alone to who wants that.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    helpers::{RawClient, TestServer, text},
    people::Person,
    sockets::{connected, next_text},
};

/// So many users who are in the room `tea`, in the order of their names.
async fn crowd(server: &TestServer, count: usize) -> Vec<Person> {
    let names: Vec<_> = (0..count).map(|number| format!("p{number:03}")).collect();
    join_all(names.iter().map(|name| Person::named(server, name))).await
}

fn names(users: &Value) -> Vec<&str> {
    let users = users.as_array().expect("a list");
    users.iter().map(|user| user["username"].as_str().expect("a name")).collect()
}

/// A socket in the room `tea`, which has been sent the list.
async fn socket(server: &TestServer, login: &str) -> RawClient {
    let mut socket = connected(server).await;
    socket.send(&text(&format!(r#"42["login",{login}]"#))).await;
    while !next_text(&mut socket).await.starts_with(r#"42["userList""#) {}
    socket
}

#[actix_web::test]
async fn who_comes_in_is_given_the_list_and_asks_for_the_rest_page_by_page() {
    let server = TestServer::start().await;
    let _crowd = crowd(&server, 230).await;
    let mut last = Person::named(&server, "z").await;
    assert_eq!(last.welcome["count"], 231);
    let list = last.next_named("userList").await;
    let mut all: Vec<_> = names(&list).into_iter().map(str::to_owned).collect();
    assert_eq!(all.len(), 100);
    loop {
        let answer = last.ask("userList", json!({"after": all.last()})).await;
        let page = &answer["data"];
        assert_eq!(page["count"], 231);
        all.extend(names(&page["users"]).into_iter().map(str::to_owned));
        if page["more"] == false {
            break;
        }
    }
    let expected: Vec<_> = (0..230).map(|number| format!("p{number:03}")).chain(["z".to_owned()]).collect();
    assert_eq!(all, expected);
    let three = last.ask("userList", json!({"after": "P007", "limit": 3})).await;
    assert_eq!(names(&three["data"]["users"]), ["p008", "p009", "p010"]);
    let much = last.ask("userList", json!({"limit": 1_000_000})).await;
    assert_eq!(names(&much["data"]["users"]).len(), 100);
    assert_eq!(last.ask("userList", json!({"after": "\u{200B}"})).await["error"]["code"], "bad_field");
}

#[actix_web::test]
async fn the_list_is_an_event_for_who_asks_without_an_ack() {
    let server = TestServer::start().await;
    let mut ann = Person::settled(&server, "Ann").await;
    ann.send("userList", json!({})).await;
    assert_eq!(names(&ann.next_named("userList").await), ["Ann"]);
    let mut ben = socket(&server, r#"{"username":"Ben","room":"tea"}"#).await;
    ben.send(&text(r#"42["userList"]"#)).await;
    ben.send(&text(r#"421["userList",{"limit":1}]"#)).await;
    let (mut events, mut answers) = (0, 0);
    while events == 0 || answers == 0 {
        let packet = next_text(&mut ben).await;
        events += usize::from(packet.starts_with(r#"42["userList""#));
        if let Some(answer) = packet.strip_prefix("431") {
            let uid = &ann.welcome["uid"];
            let users = json!([{"username": "Ann", "avatar": "fox", "uid": uid}]);
            let answer: Value = serde_json::from_str(answer).expect("JSON");
            assert_eq!(answer, json!([{"users": users, "count": 2, "more": true}]));
            answers += 1;
        }
    }
    let mut eve = Person::stranger(&server).await;
    assert_eq!(eve.ask("userList", json!({})).await["error"]["code"], "not_logged_in");
}

#[actix_web::test]
async fn who_wants_changes_is_told_every_one_and_sent_no_list_but_the_first() {
    let server = TestServer::start().await;
    let crowd = crowd(&server, 80).await;
    let login = json!({"username": "Ann", "room": "tea", "presence": "changes"});
    let mut ann = Person::login(&server, login.clone()).await;
    assert_eq!(names(&ann.next_named("userList").await).len(), 81);
    let mut ben = socket(&server, r#"{"username":"Ben","room":"tea","presence":"changes"}"#).await;
    drop(crowd);
    let (mut gone, mut went) = (0, 0);
    while gone < 80 {
        let event = ann.next().await;
        assert_ne!(event["event"], "userList", "{event}");
        if event["event"] == "delUser" {
            gone += 1;
            assert_eq!(event["data"]["more"], Value::Null);
        }
    }
    while went < 80 {
        let packet = next_text(&mut ben).await;
        assert!(!packet.starts_with(r#"42["userList""#), "{packet}");
        went += usize::from(packet.starts_with(r#"42["delUser""#));
    }
    // Another room is not another wish; another login may be.
    ann.ask("joinRoom", json!({"room": "milk"})).await;
    ann.next_named("userList").await;
    let mut cleo = Person::login(&server, json!({"username": "Cleo", "room": "milk"})).await;
    cleo.ask("logout", json!({})).await;
    assert_eq!(ann.next_named("addUser").await["username"], "Cleo");
    assert_eq!(ann.next_named("delUser").await["username"], "Cleo");
    ann.expect_none("userList").await;
    ann.ask("login", json!({"username": "Ann", "room": "milk"})).await;
    ann.next_named("userList").await;
    cleo.ask("login", json!({"username": "Cleo", "room": "milk"})).await;
    while names(&ann.next_named("userList").await) != ["Ann", "Cleo"] {}
}

#[actix_web::test]
async fn a_wish_for_what_there_is_not_is_refused_with_its_field() {
    let server = TestServer::start().await;
    let mut ann = Person::stranger(&server).await;
    for presence in [json!("all"), json!(1), json!({})] {
        let answer = ann.ask("login", json!({"username": "Ann", "presence": presence})).await;
        assert_eq!(answer["error"]["code"], "bad_field", "{answer}");
        assert!(answer["error"]["msg"].as_str().is_some_and(|msg| msg.contains("data.presence")), "{answer}");
    }
    let answer = ann.ask("login", json!({"username": "Ann", "presence": "list"})).await;
    assert_eq!(answer["data"]["username"], "Ann");
}
