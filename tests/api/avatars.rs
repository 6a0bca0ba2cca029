//! An avatar that is a picture travels once, from its user to the server; everybody else is told its address.

use serde_json::{Value, json};

use crate::{
    helpers::{TestServer, settings, text},
    journal::{folder, start_in},
    people::{PIXEL, Person},
    pictures::gif,
    sockets::{connected, next_text},
};

/// Whether somewhere in a value an avatar is a picture itself. Pictures that are said are another thing.
fn has_picture_as_avatar(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(name, value)| match name.as_str() {
            "avatar" => value.as_str().is_some_and(|avatar| avatar.starts_with("data:")),
            _ => has_picture_as_avatar(value),
        }),
        Value::Array(values) => values.iter().any(has_picture_as_avatar),
        _ => false,
    }
}

/// Does everything that tells others of an avatar: comes, speaks, shows a picture, whispers, changes its name, goes.
async fn do_everything(person: &mut Person, other: &str) {
    person.ask("sendMessage", json!({"msg": "hello"})).await;
    person.ask("sendImage", json!({"img": PIXEL})).await;
    person.ask("sendPrivate", json!({"to": other, "msg": "psst"})).await;
    person.ask("login", json!({"username": "Anna", "room": "tea", "avatar": PIXEL})).await;
    person.ask("joinRoom", json!({"room": "milk"})).await;
    person.ask("joinRoom", json!({"room": "tea"})).await;
    person.ask("logout", json!({})).await;
}

fn login() -> Value {
    json!({"username": "Ann", "room": "tea", "avatar": PIXEL})
}

#[actix_web::test]
async fn at_chat_every_event_names_the_address_of_an_avatar_and_none_its_bytes() {
    let server = TestServer::start().await;
    let mut ben = Person::settled(&server, "Ben").await;
    let mut ann = Person::login(&server, login()).await;
    let address = ann.welcome["avatar"].clone();
    assert!(address.as_str().is_some_and(|address| address.starts_with("/avatars/")), "{address}");
    ann.until_listed("Ann").await;
    do_everything(&mut ann, "Ben").await;
    let mut seen = Vec::new();
    for event in [
        "addUser",
        "receiveMessage",
        "receiveImage",
        "receivePrivate",
        "delUser",
        "addUser",
        "delUser",
        "addUser",
        "delUser",
        "userList",
    ] {
        let data = ben.next_named(event).await;
        assert!(!has_picture_as_avatar(&data), "{event}: {data}");
        seen.push(data);
    }
    assert!(seen[..9].iter().all(|data| data["avatar"] == address), "{seen:#?}");
    let page = ben.ask("history", json!({"limit": 50})).await;
    assert!(!has_picture_as_avatar(&page), "{page}");
    assert_eq!(page["data"]["messages"][0]["avatar"], address);
    let mut cleo = Person::named(&server, "Cleo").await;
    for event in ["receiveMessage", "receiveImage"] {
        let replayed = cleo.next_named(event).await;
        assert_eq!((&replayed["avatar"], &replayed["replay"]), (&address, &json!(true)));
    }
}

#[actix_web::test]
async fn over_socket_io_every_event_names_the_address_of_an_avatar_and_none_its_bytes() {
    let server = TestServer::start().await;
    let mut ben = connected(&server).await;
    ben.send(&text(r#"42["login",{"username":"Ben","room":"tea"}]"#)).await;
    while !next_text(&mut ben).await.contains(r#"["userList""#) {}
    let mut ann = Person::login(&server, login()).await;
    do_everything(&mut ann, "Ben").await;
    let mut lefts = 0;
    while lefts < 3 {
        let event = next_text(&mut ben).await;
        if !event.contains(r#"["receiveImage""#) {
            assert!(!event.contains("data:image"), "{event}");
        }
        assert!(!event.contains(r#""avatar":"data:"#), "{event}");
        lefts += usize::from(event.contains(r#"["delUser""#));
    }
    ben.send(&text(&format!(r#"421["login",{{"username":"Ben","room":"tea","avatar":"{PIXEL}"}}]"#))).await;
    loop {
        let answer = next_text(&mut ben).await;
        if answer.starts_with("431") {
            assert!(answer.contains(r#""avatar":"/avatars/"#), "{answer}");
            break;
        }
    }
}

fn url_of(server: &TestServer, path: &str) -> String {
    format!("http://{}{path}", server.address)
}

#[actix_web::test]
async fn the_address_of_an_avatar_gives_the_picture_to_keep_for_ever() {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let server = TestServer::start().await;
    let ann = Person::login(&server, login()).await;
    let address = ann.welcome["avatar"].as_str().expect("an address");
    let (media_type, bytes) =
        PIXEL.strip_prefix("data:").and_then(|url| url.split_once(";base64,")).expect("a URL");
    let bytes = BASE64_STANDARD.decode(bytes).expect("base64");
    let url = url_of(&server, address);
    let mut answer = awc::Client::new().get(&url).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let header =
        |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    assert_eq!(header("content-type").as_deref(), Some(media_type));
    assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"));
    assert_eq!(header("cache-control").as_deref(), Some("public, max-age=31536000, immutable"));
    assert_eq!(header("content-security-policy").as_deref(), Some("default-src 'none'; sandbox"));
    let etag = header("etag").expect("a tag");
    assert_eq!(answer.body().await.expect("a body"), bytes);
    let again =
        awc::Client::new().get(&url).insert_header(("If-None-Match", etag)).send().await.expect("an answer");
    assert_eq!(again.status(), 304);
    let head = awc::Client::new().head(&url).send().await.expect("an answer");
    assert_eq!(head.status(), 200);
    for other in ["/avatars/", "/avatars/fox", "/avatars/AAAAAAAAAAAAAAAAAAAAAA", "/avatars/../limits"] {
        let answer = awc::Client::new().get(url_of(&server, other)).send().await.expect("an answer");
        assert!(answer.status() == 404 || other.contains(".."), "{other}: {}", answer.status());
    }
}

#[actix_web::test]
async fn who_logs_in_with_the_address_of_a_picture_wears_it() {
    let server = TestServer::start().await;
    let ann = Person::login(&server, login()).await;
    let address = ann.welcome["avatar"].clone();
    let ben = Person::login(&server, json!({"username": "Ben", "room": "tea", "avatar": address})).await;
    assert_eq!(ben.welcome["avatar"], address);
    let other =
        Person::login(&server, json!({"username": "Eve", "room": "tea", "avatar": "/avatars/../rooms"}))
            .await;
    assert_eq!(other.welcome["avatar"], "fox");
}

#[actix_web::test]
async fn who_finds_no_room_for_a_picture_wears_the_default_until_another_is_no_longer_worn() {
    let size = "1k".parse().expect("a size");
    let small = settings().with(|s| {
        s.events.max_avatar_size = Some(size);
        s.events.avatar_bytes = size;
    });
    let server = TestServer::with(small).await;
    let picture = |number| gif(1, 1, number);
    let login =
        |number| json!({"username": format!("user {number}"), "room": "tea", "avatar": picture(number)});
    let mut wearing = Vec::new();
    for number in 1..=3 {
        let person = Person::login(&server, login(number)).await;
        assert_ne!(person.welcome["avatar"], "fox");
        wearing.push(person);
    }
    let mut last = Person::login(&server, login(4)).await;
    assert_eq!(last.welcome["avatar"], "fox");
    wearing[0].ask("logout", json!({})).await;
    let answer = last.ask("login", login(4)).await;
    assert_ne!(answer["data"]["avatar"], "fox");
}

async fn get(server: &TestServer, address: &Value) -> (u16, Vec<u8>) {
    let url = url_of(server, address.as_str().expect("an address"));
    let mut answer = awc::Client::new().get(url).send().await.expect("an answer");
    (answer.status().as_u16(), answer.body().await.expect("a body").to_vec())
}

#[actix_web::test]
async fn the_picture_of_a_message_is_there_after_a_restart() {
    let folder = folder();
    let (running, server) = start_in(folder.path());
    let mut ann = Person::login(&server, login()).await;
    let address = ann.welcome["avatar"].clone();
    ann.say("hello").await;
    let before = get(&server, &address).await;
    assert_eq!(before.0, 200);
    running.signal("-TERM");
    assert_eq!(running.exit_code(), Some(0));
    let (_running, server) = start_in(folder.path());
    let mut ben = Person::named(&server, "Ben").await;
    assert_eq!(ben.next_named("receiveMessage").await["avatar"], address);
    assert_eq!(ben.ask("history", json!({})).await["data"]["messages"][0]["avatar"], address);
    assert_eq!(get(&server, &address).await, before);
    let login = json!({"username": "Ann", "room": "tea", "avatar": address, "token": ann.token()});
    assert_eq!(Person::login(&server, login).await.welcome["avatar"], address);
}

#[actix_web::test]
async fn a_picture_in_the_journal_of_a_former_version_is_sent_as_an_address_too() {
    let folder = folder();
    fill(folder.path()).await;
    let (_running, server) = start_in(folder.path());
    let mut ben = Person::named(&server, "Ben").await;
    let replayed = ben.next_named("receiveMessage").await;
    let address = &replayed["avatar"];
    assert!(address.as_str().is_some_and(|address| address.starts_with("/avatars/")), "{replayed}");
    let page = ben.ask("history", json!({})).await;
    assert_eq!(page["data"]["messages"][0]["avatar"], *address);
    assert_eq!(get(&server, address).await.0, 200);
}

/// Fills a journal as a former version did: with the picture itself.
async fn fill(folder: &std::path::Path) {
    use echoroom::testing::{
        Append, Journal as _, Kind, NewEntry, Record, Retention, RoomName, SqliteJournal, now_millis,
    };
    let retention = Retention {
        messages: 1000,
        bytes: 1 << 20,
        age: std::time::Duration::from_secs(3600),
        total_bytes: 1 << 30,
        avatar_bytes: 1 << 20,
        names: 1000,
    };
    let journal = SqliteJournal::open(folder, retention, &std::sync::Arc::default()).expect("opens");
    let room = RoomName::parse("tea").expect("a name");
    let epoch = *journal.open(room.clone()).await.expect("the room's state").epochs.last().expect("an epoch");
    let (kind, at) = (Kind::Message, now_millis());
    let mut entries = bytes::BytesMut::new();
    NewEntry { kind, at, username: "Ann", uid: None, avatar: PIXEL, id: "", body: "hello" }
        .pack(&mut entries);
    let record = Record { first: 1, count: 1, at, keys: Vec::new(), entries: entries.freeze() };
    journal.append(vec![Append { room, epoch, record, pictures: Vec::new() }]).await.expect("durable");
    journal.close().await.expect("closed");
    drop(journal);
    // Its threads have let go of the folder.
    std::fs::File::open(folder).and_then(|folder| folder.lock()).expect("a lock");
}
