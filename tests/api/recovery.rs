//! Nothing is lost: coming late, coming back, saying it again, reading back.

use actix_web::rt;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    helpers::{TestServer, settings},
    people::{PIXEL, Person, offsets, texts},
};

#[actix_web::test]
async fn late_joiners_get_the_latest_page_and_then_what_is_said() {
    let server = TestServer::start().await;
    let mut ann = Person::settled(&server, "Ann").await;
    for number in 1..=70 {
        ann.say(&number.to_string()).await;
    }
    let mut ben = Person::named(&server, "Ben").await;
    assert_eq!(ben.welcome["offset"], 70);
    let page = ben.next_messages(50).await;
    assert_eq!(offsets(&page), (21..=70).collect::<Vec<_>>());
    assert!(page.iter().all(|message| message["replay"] == true));
    ben.until_listed("Ben").await;
    ann.say("live").await;
    let live = ben.next_messages(1).await;
    assert_eq!((texts(&live), &live[0]["replay"]), (vec!["live"], &Value::Null));
}

#[actix_web::test]
async fn who_comes_back_gets_exactly_what_was_missed() {
    let server = TestServer::start().await;
    let mut ann = Person::settled(&server, "Ann").await;
    let ben = Person::settled(&server, "Ben").await;
    ann.say("one").await;
    ann.say("two").await;
    let data = ben.return_data(1);
    drop(ben);
    ann.next_named("delUser").await;
    ann.ask("sendImage", json!({"img": PIXEL})).await;
    for number in 4..=120 {
        ann.say(&number.to_string()).await;
    }
    let mut ben = Person::login(&server, data).await;
    let welcome = ben.welcome.clone();
    assert_eq!(
        (&welcome["recovered"], &welcome["missed"], &welcome["offset"]),
        (&json!(true), &json!(0), &json!(120))
    );
    let first = ben.next().await;
    assert_eq!((&first["data"]["msg"], &first["data"]["replay"]), (&json!("two"), &json!(true)));
    assert_eq!(ben.next().await["event"], "receiveImage");
    assert_eq!(offsets(&ben.next_messages(117).await), (4..=120).collect::<Vec<_>>());
    ben.expect_none("receiveMessage").await;
}

#[actix_web::test]
async fn who_missed_nothing_gets_nothing() {
    let server = TestServer::start().await;
    let mut ann = Person::settled(&server, "Ann").await;
    ann.say("one").await;
    let data = ann.return_data(1);
    drop(ann);
    let mut ann = Person::login(&server, data).await;
    assert_eq!(ann.welcome["recovered"], true);
    ann.expect_none("receiveMessage").await;
}

#[actix_web::test]
async fn what_is_gone_is_counted_and_never_passed_over() {
    let server =
        TestServer::with(settings().with(|s| s.journal.history = 10.try_into().expect("not zero"))).await;
    let mut ann = Person::settled(&server, "Ann").await;
    for number in 1..=40 {
        ann.say(&number.to_string()).await;
    }
    let mut ben = Person::login(
        &server,
        json!({"username": "Ben", "room": "tea",
        "epoch": ann.welcome["epoch"], "offset": 5}),
    )
    .await;
    assert_eq!(ben.welcome["recovered"], false);
    let first = ben.next_named("receiveMessage").await["offset"].as_u64().expect("an offset");
    assert!((30..=31).contains(&first), "{first}");
    assert_eq!(ben.welcome["missed"], first - 1 - 5, "with the page, nothing is missing");
}

#[actix_web::test]
async fn an_offset_of_another_epoch_or_from_the_future_is_not_recovered() {
    let server = TestServer::start().await;
    let mut ann = Person::settled(&server, "Ann").await;
    for number in 1..=3 {
        ann.say(&number.to_string()).await;
    }
    let own = ann.welcome["epoch"].clone();
    let epoch = own.as_str().expect("a text");
    let other = json!(format!("{}-77", epoch.split('-').next().expect("a part")));
    for (epoch, offset) in [(&other, 2), (&own, 4), (&json!("00ff-1"), 1)] {
        let mut ben = Person::login(
            &server,
            json!({"username": "Ben", "room": "tea", "epoch": epoch, "offset": offset}),
        )
        .await;
        assert_eq!(ben.welcome["recovered"], false, "{epoch} {offset}");
        assert_eq!(offsets(&ben.next_messages(3).await), [1, 2, 3]);
        ben.ask("logout", json!({})).await;
    }
    let anew =
        Person::login(&server, json!({"username": "Zoe", "room": "tea", "epoch": other, "offset": 0})).await;
    assert_eq!(anew.welcome["recovered"], true, "who has seen nothing has missed all, and gets all");
}

#[actix_web::test]
async fn the_same_id_is_the_same_message() {
    let server = TestServer::start().await;
    let mut ann = Person::settled(&server, "Ann").await;
    let mut ben = Person::settled(&server, "Ben").await;
    let data = json!({"msg": "once", "id": "m1"});
    let first = ann.ask("sendMessage", data.clone()).await["data"].clone();
    let again = ann.ask("sendMessage", data.clone()).await["data"].clone();
    assert_eq!(first, again);
    // Many at once, before any is durable.
    let data = json!({"msg": "twice", "id": "m2"});
    let mut acks = Vec::new();
    for _ in 0..5 {
        acks.push(ann.request("sendMessage", data.clone()).await);
    }
    for ack in acks {
        assert_eq!(ann.answer_to(ack).await["data"]["offset"], 2);
    }
    // Another's id is another id.
    assert_eq!(ben.ask("sendMessage", json!({"msg": "mine", "id": "m1"})).await["data"]["offset"], 3);
    // After a drop, by the bearer of the token.
    let back = json!({"username": "Ann", "room": "tea", "token": ann.token()});
    drop(ann);
    ben.next_named("delUser").await;
    let mut ann = Person::login(&server, back).await;
    assert_eq!(ann.ask("sendMessage", json!({"msg": "once", "id": "m1"})).await["data"], first);
    ann.say("end").await;
    assert_eq!(texts(&ben.next_messages(4).await), ["once", "twice", "mine", "end"]);
}

#[actix_web::test]
async fn one_reads_what_one_has_said() {
    let server = TestServer::start().await;
    let mut ann = Person::named(&server, "Ann").await;
    for number in 1..=20 {
        ann.send("sendMessage", json!({"msg": number.to_string()})).await;
        let page = ann.ask("history", json!({"limit": 1})).await["data"].clone();
        assert_eq!(page["messages"][0]["offset"], number);
    }
}

#[actix_web::test]
async fn history_pages_backwards() {
    let server = TestServer::start().await;
    let mut ann = Person::settled(&server, "Ann").await;
    for number in 1..=250 {
        ann.send("sendMessage", json!({"msg": number.to_string()})).await;
    }
    ann.ask("sendImage", json!({"img": PIXEL})).await;
    let page = ann.ask("history", json!({})).await["data"].clone();
    let messages = page["messages"].as_array().expect("a list").clone();
    assert_eq!(offsets(&messages), (202..=251).collect::<Vec<_>>());
    assert_eq!(page["more"], true);
    let (last, first) = (&messages[49], &messages[0]);
    assert_eq!((&last["kind"], &last["img"]), (&json!("image"), &json!(PIXEL)));
    assert_eq!(
        (&first["kind"], &first["msg"], &first["username"]),
        (&json!("message"), &json!("202"), &json!("Ann"))
    );
    let page = ann.ask("history", json!({"before": 202, "limit": 1000})).await["data"].clone();
    assert_eq!(offsets(page["messages"].as_array().expect("a list")), (2..=201).collect::<Vec<_>>());
    let page = ann.ask("history", json!({"before": 2, "limit": 5})).await["data"].clone();
    assert_eq!(
        (offsets(page["messages"].as_array().expect("a list")), &page["more"]),
        (vec![1], &json!(false))
    );
    assert_eq!(
        ann.ask("history", json!({"before": 1})).await["data"],
        json!({"messages": [], "more": false})
    );
    let mut stranger = Person::stranger(&server).await;
    assert_eq!(stranger.ask("history", json!({})).await["error"]["code"], "not_logged_in");
}

/// Twenty people talk; one drops in the middle of it a hundred times, and comes back each time with the last offset it
/// has processed.
#[actix_web::test]
async fn who_drops_in_mid_storm_a_hundred_times_hears_every_message_once_and_in_order() {
    const TALKERS: usize = 20;
    const EACH: usize = 150;
    let server =
        TestServer::with(settings().with(|s| s.journal.history = 10_000.try_into().expect("not zero"))).await;
    let mut listener = Person::login(&server, json!({"username": "Listener", "room": "tea"})).await;
    let mut seen = Vec::new();
    let mut drops = 0;
    let talk = join_all((0..TALKERS).map(|talker| {
        let server = &server;
        async move {
            let mut person = Person::named(server, &format!("t{talker}")).await;
            for number in 0..EACH {
                person.say(&format!("{talker} {number}")).await;
                rt::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        }
    }));
    let listen = async {
        while seen.len() < TALKERS * EACH {
            let message = listener.next_named("receiveMessage").await;
            seen.push(message["offset"].as_u64().expect("an offset"));
            if drops < 100 && seen.len() % 20 == 7 {
                drops += 1;
                let data = listener.return_data(*seen.last().expect("one"));
                listener = Person::login(&server, data).await;
                assert_eq!(listener.welcome["recovered"], true, "{}", listener.welcome);
            }
        }
    };
    futures_util::future::join(talk, listen).await;
    assert_eq!(drops, 100);
    assert_eq!(seen, (1..=(TALKERS * EACH) as u64).collect::<Vec<_>>());
}

/// A client that reads slowly is given a long past page by page, while the room goes on.
#[actix_web::test]
async fn a_long_past_is_replayed_without_evicting_its_reader() {
    let roomy = settings().with(|s| {
        s.limits.max_queue_bytes = "64k".parse().expect("a size");
        s.journal.tail_bytes = "4k".parse().expect("a size");
    });
    let server = TestServer::with(roomy).await;
    let mut ann = Person::settled(&server, "Ann").await;
    let long = "x".repeat(10_000);
    for number in 1..=300 {
        ann.send("sendMessage", json!({"msg": format!("{number} {long}")})).await;
    }
    ann.say("301").await;
    let back = json!({"username": "Ben", "room": "tea", "epoch": ann.welcome["epoch"], "offset": 0});
    let mut ben = Person::login(&server, back).await;
    assert_eq!(ben.welcome["recovered"], true);
    for number in 302..=330 {
        ann.say(&number.to_string()).await;
    }
    assert_eq!(offsets(&ben.next_messages(330).await), (1..=330).collect::<Vec<_>>());
}
