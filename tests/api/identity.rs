//! Who is who: names, tokens, tabs.

use serde_json::{Value, json};

use crate::{
    helpers::{TestServer, settings},
    people::Person,
};

async fn refused(server: &TestServer, data: Value) -> Value {
    let mut stranger = Person::stranger(server).await;
    stranger.send("login", data).await;
    stranger.next_named("loginError").await["code"].take()
}

#[actix_web::test]
async fn two_nicknames_that_look_alike_are_refused() {
    let server = TestServer::start().await;
    let _ann = Person::named(&server, "Straße").await;
    for alike in ["straße", "STRASSE", "ＳＴＲＡＳＳＥ", "  strasse\u{3000}"] {
        assert_eq!(
            refused(&server, json!({"username": alike, "room": "tea"})).await,
            "name_taken",
            "{alike}"
        );
    }
    Person::login(&server, json!({"username": "strasse", "room": "milk"})).await;
}

#[actix_web::test]
async fn a_dropped_users_name_is_held_for_the_bearer_of_the_token() {
    let server = TestServer::start().await;
    let mut ben = Person::settled(&server, "Ben").await;
    let ann = Person::named(&server, "Ann").await;
    let token = ann.token();
    drop(ann);
    assert_eq!(ben.next_named("delUser").await["username"], "Ann");
    assert_eq!(refused(&server, json!({"username": "Ann", "room": "tea"})).await, "name_taken");
    let wrong = "0".repeat(32);
    assert_eq!(
        refused(&server, json!({"username": "Ann", "room": "tea", "token": wrong})).await,
        "name_taken"
    );
    let back = Person::login(&server, json!({"username": "Ann", "room": "tea", "token": token})).await;
    assert_eq!(back.token(), token);
}

#[actix_web::test]
async fn a_held_name_is_free_after_a_while() {
    let server =
        TestServer::with(settings().with(|s| s.login.name_hold = "300ms".parse().expect("a time"))).await;
    let mut ben = Person::settled(&server, "Ben").await;
    drop(Person::named(&server, "Ann").await);
    ben.next_named("delUser").await;
    let mut stranger = Person::stranger(&server).await;
    loop {
        let answer = stranger.ask("login", json!({"username": "Ann", "room": "tea"})).await;
        if answer["data"]["username"] == "Ann" {
            break;
        }
        assert_eq!(answer["error"]["code"], "name_taken");
        actix_web::rt::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[actix_web::test]
async fn a_name_is_free_at_once_after_logout() {
    let server = TestServer::start().await;
    let mut ann = Person::named(&server, "Ann").await;
    ann.ask("logout", json!({})).await;
    Person::named(&server, "Ann").await;
}

#[actix_web::test]
async fn a_token_the_server_does_not_know_is_adopted_with_a_free_name() {
    let server = TestServer::start().await;
    let token = "0123456789abcdef0123456789abcdef";
    let ann = Person::login(&server, json!({"username": "Ann", "token": token})).await;
    assert_eq!(ann.token(), token);
}

#[actix_web::test]
async fn two_tabs_are_one_user_who_comes_and_leaves_once() {
    let server = TestServer::start().await;
    let mut ben = Person::settled(&server, "Ben").await;
    let mut first = Person::settled(&server, "Ann").await;
    assert_eq!(ben.next_named("addUser").await["username"], "Ann");
    let data = json!({"username": "Ann", "room": "tea", "token": first.token()});
    let mut second = Person::login(&server, data).await;
    assert_eq!(second.token(), first.token());
    second.until_listed("Ann").await;
    first.say("from one tab").await;
    for tab in [&mut first, &mut second] {
        assert_eq!(tab.next_named("receiveMessage").await["msg"], "from one tab");
    }
    drop(first);
    second.say("still here").await;
    ben.expect_none("delUser").await;
    ben.expect_none("addUser").await;
    let uid = second.welcome["uid"].clone();
    drop(second);
    assert_eq!(
        ben.next_named("delUser").await,
        json!({"username": "Ann", "avatar": "fox", "uid": uid, "count": 1})
    );
}

#[actix_web::test]
async fn who_logs_in_again_under_another_name_is_another() {
    let server = TestServer::start().await;
    let mut ben = Person::settled(&server, "Ben").await;
    let mut ann = Person::settled(&server, "Ann").await;
    ben.next_named("addUser").await;
    assert_eq!(
        ann.ask("login", json!({"username": "ben", "room": "tea"})).await["error"]["code"],
        "name_taken"
    );
    assert_eq!(ann.say("I am still Ann").await["offset"], 1);
    assert_eq!(ben.next_named("receiveMessage").await["username"], "Ann");
    let answer = ann.ask("login", json!({"username": "Cleo", "room": "tea"})).await;
    assert_eq!((&answer["data"]["username"], &answer["data"]["token"]), (&json!("Cleo"), &ann.token()));
    assert_eq!(ben.next_named("delUser").await["username"], "Ann");
    assert_eq!(
        ben.next_named("addUser").await,
        json!({"username": "Cleo", "avatar": "fox", "uid": ann.welcome["uid"], "count": 2})
    );
    ann.say("now Cleo").await;
    assert_eq!(ben.next_named("receiveMessage").await["username"], "Cleo");
}

#[actix_web::test]
async fn an_unknown_avatar_becomes_the_default() {
    let server = TestServer::start().await;
    for avatar in [json!("img/3.jpg"), json!(""), json!("data:image/png;base64,AAAA"), json!(null)] {
        let person = Person::login(&server, json!({"username": "Ann", "avatar": avatar})).await;
        assert_eq!(person.welcome["avatar"], "fox");
        let mut person = person;
        person.ask("logout", json!({})).await;
    }
}

#[actix_web::test]
async fn the_list_names_100_and_the_count_goes_on() {
    let server = TestServer::start().await;
    let mut crowd = Vec::new();
    for number in 0..110 {
        crowd.push(Person::named(&server, &format!("p{number:03}")).await);
    }
    let mut last = Person::named(&server, "last").await;
    let list = last.next_named("userList").await;
    assert_eq!(list.as_array().map(Vec::len), Some(100));
    while crowd[0].next_named("addUser").await["count"] != 111 {}
}
