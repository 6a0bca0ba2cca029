//! Whoever is told is there is there, and nobody else.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    helpers::{TestServer, settings, soon, text},
    people::Person,
};

/// Those whom the events say to be there, until the list says the same.
struct Observer {
    person: Person,
    present: BTreeSet<String>,
}

impl Observer {
    async fn start(server: &TestServer) -> Self {
        let mut person = Person::named(server, "Observer").await;
        let list = person.next_named("userList").await;
        Self { person, present: names(&list) }
    }

    /// Follows the events until they and the list name the same people, who must be `expected`.
    async fn until_present(&mut self, expected: &BTreeSet<String>) {
        soon(&format!("{expected:?}"), self.follow_until(expected)).await;
    }

    async fn follow_until(&mut self, expected: &BTreeSet<String>) {
        loop {
            let event = self.person.next().await;
            let name = event["data"]["username"].as_str().unwrap_or_default().to_owned();
            match event["event"].as_str() {
                Some("addUser") => assert!(self.present.insert(name.clone()), "{name} came twice"),
                Some("delUser") => assert!(self.present.remove(&name), "{name} left without having come"),
                Some("userList") => {
                    assert_eq!(names(&event["data"]), self.present, "the list is what the events say");
                    if self.present == *expected {
                        return;
                    }
                }
                _ => continue,
            }
            if let Some(count) = event["data"]["count"].as_u64() {
                assert_eq!(count, self.present.len() as u64);
            }
        }
    }
}

fn names(list: &Value) -> BTreeSet<String> {
    let users = list.as_array().expect("a list");
    users.iter().map(|user| user["username"].as_str().expect("a name").to_owned()).collect()
}

fn set<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[actix_web::test]
async fn presence_is_right_after_many_have_come_gone_dropped_and_changed_names() {
    let server = TestServer::start().await;
    let mut observer = Observer::start(&server).await;
    let stayed = join_all((0..40).map(|number| {
        let server = &server;
        async move {
            let name = format!("p{number}");
            let mut person = Person::named(server, &name).await;
            for round in 0..3 {
                let token = person.token();
                match (number + round) % 5 {
                    // A drop and a return.
                    0 => {
                        drop(person);
                        let data = json!({"username": name, "room": "tea", "token": token});
                        person = Person::login(server, data).await;
                    }
                    // Away and back.
                    1 => {
                        person.ask("joinRoom", json!({"room": "milk"})).await;
                        person.ask("joinRoom", json!({"room": "tea"})).await;
                    }
                    // Another name, and the first again.
                    2 => {
                        for other in [format!("{name}x"), name.clone()] {
                            person.ask("login", json!({"username": other, "room": "tea"})).await;
                        }
                    }
                    // A second tab that goes again.
                    3 => {
                        let data = json!({"username": name, "room": "tea", "token": token});
                        drop(Person::login(server, data).await);
                    }
                    _ => {
                        person.ask("logout", json!({})).await;
                        let data = json!({"username": name, "room": "tea", "token": token});
                        person.ask("login", data).await;
                    }
                }
            }
            // Every third one leaves for good, one way or another.
            match number % 6 {
                0 => None,
                3 => {
                    person.ask("logout", json!({})).await;
                    Some((None, person))
                }
                _ => Some((Some(name), person)),
            }
        }
    }))
    .await;
    let mut expected = set(["Observer"]);
    expected.extend(stayed.iter().flatten().filter_map(|(name, _)| name.clone()));
    observer.until_present(&expected).await;
    drop(stayed);
    observer.until_present(&set(["Observer"])).await;
}

#[actix_web::test]
async fn a_user_who_does_not_read_is_evicted_and_gone() {
    let small = settings().with(|s| {
        s.limits.max_queue_bytes = "64k".parse().expect("a size");
        s.connections.stall_timeout = "1s".parse().expect("a time");
    });
    let server = TestServer::with(small).await;
    let mut observer = Observer::start(&server).await;
    let mut deaf = server.connect_raw("/chat").await;
    deaf.send(&text(r#"{"event":"login","data":{"username":"Deaf","room":"tea"}}"#)).await;
    observer.until_present(&set(["Observer", "Deaf"])).await;
    let mut ann = Person::settled(&server, "Ann").await;
    observer.until_present(&set(["Observer", "Deaf", "Ann"])).await;
    let large = "x".repeat(60_000);
    let talk = async {
        // Never ends by itself.
        loop {
            ann.say(&large).await;
            ann.next_named("receiveMessage").await;
        }
    };
    let expected = set(["Observer", "Ann"]);
    let gone = observer.until_present(&expected);
    futures_util::pin_mut!(talk, gone);
    futures_util::future::select(talk, gone).await;
}

#[actix_web::test]
async fn a_user_who_falls_silent_is_gone_after_the_ping_timeout() {
    let hasty = settings().with(|s| {
        s.heartbeat.ping_interval = "300ms".parse().expect("a time");
        s.heartbeat.ping_timeout = "2s".parse().expect("a time");
    });
    let server = TestServer::with(hasty).await;
    let mut observer = Observer::start(&server).await;
    let mut silent = server.connect_raw("/chat").await;
    silent.send(&text(r#"{"event":"login","data":{"username":"Silent","room":"tea"}}"#)).await;
    // The list may be sent when it is gone already.
    assert_eq!(observer.person.next_named("addUser").await["username"], "Silent");
    assert_eq!(observer.person.next_named("delUser").await["username"], "Silent");
}

#[actix_web::test]
async fn rooms_are_gone_when_the_last_name_is_no_longer_held() {
    let hasty = settings().with(|s| {
        s.login.name_hold = "200ms".parse().expect("a time");
        s.rooms.max_rooms = 1.try_into().expect("not zero");
    });
    let server = TestServer::with(hasty).await;
    drop(Person::named(&server, "Ann").await);
    let mut ben = Person::stranger(&server).await;
    while ben.ask("login", json!({"username": "Ben", "room": "milk"})).await["error"]["code"]
        == "too_many_rooms"
    {
        actix_web::rt::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    server.until_health_shows(1, 1).await;
}
