//! Answers of the chat server find their requests, in whatever order they come.

use super::*;
use crate::domain::RoomNameError;

#[actix_web::test]
async fn acks_are_matched_to_their_requests_in_any_order() {
    let mut stage = Stage::subscribed().await;
    let mut asked = Vec::new();
    for number in 1..=3 {
        let data = json!({"msg": format!("m{number}"), "id": format!("i{number}")});
        stage.send("sendMessage", data, Some(number));
        asked.push((stage.ticket(), number));
    }
    for (ticket, number) in asked.into_iter().rev() {
        assert!(is_nothing(&stage.reply(ticket, posted(number + 10))));
        let data = json!({"id": format!("i{number}"), "offset": number + 10, "at": 9, "echo": format!("M{number}!!!")});
        assert_eq!(stage.heard(), [json!({"ack": number, "data": data})]);
    }
    assert!(stage.talk.pending.is_empty());
}

#[actix_web::test]
async fn answers_to_requests_of_several_kinds_may_cross() {
    let mut stage = Stage::subscribed().await;
    stage.send("sendMessage", json!({"msg": "a"}), Some(1));
    let post = stage.ticket();
    stage.send("sendPrivate", json!({"to": "bob", "msg": "b", "id": "p"}), Some(2));
    let private = stage.ticket();
    stage.send("userList", json!({}), Some(3));
    let users = stage.ticket();
    let page = UsersPage { users: vec![profile("bob")], count: 2, more: true };
    stage.reply(users, Reply::Users(Box::new(page)));
    stage.reply(private, Reply::Rejected(Rejected::NoSuchUser));
    stage.reply(post, posted(1));
    let heard = stage.heard();
    assert_eq!(
        heard[0]["data"],
        json!({"users": [{"username": "bob", "avatar": "cat"}], "count": 2, "more": true})
    );
    assert_eq!((&heard[1]["ack"], &heard[1]["error"]["code"]), (&json!(2), &json!("no_such_user")));
    assert_eq!(heard[2], json!({"ack": 1, "data": {"offset": 1, "at": 9, "echo": "A!!!"}}));
}

#[actix_web::test]
async fn who_asks_for_no_ack_gets_none_and_a_list_of_users_as_an_event() {
    let mut stage = Stage::subscribed().await;
    stage.send("sendMessage", json!({"msg": "a"}), None);
    stage.reply(stage.ticket(), posted(1));
    stage.send("sendPrivate", json!({"to": "bob", "msg": "b"}), None);
    stage.reply(stage.ticket(), Reply::PrivateSent { at: 9, delivered: true });
    stage.send("typing", json!({"typing": true}), None);
    assert!(stage.heard().is_empty());
    stage.send("userList", json!({}), None);
    let page = UsersPage { users: Vec::new(), count: 0, more: false };
    stage.reply(stage.ticket(), Reply::Users(Box::new(page)));
    assert_eq!(stage.heard(), [json!({"event": "userList", "data": []})]);
}

#[actix_web::test]
async fn an_answer_that_fits_no_request_is_dropped_and_the_others_stand() {
    let mut stage = Stage::subscribed().await;
    stage.send("sendMessage", json!({"msg": "a"}), Some(1));
    let first = stage.ticket();
    stage.send("sendMessage", json!({"msg": "b"}), Some(2));
    let second = stage.ticket();
    assert!(is_nothing(&stage.reply(second + 1, posted(7))), "none is under way");
    assert!(is_nothing(&stage.reply(first, Reply::LoggedOut)), "of another kind");
    assert!(is_nothing(&stage.reply(first, posted(7))), "its ticket is used up");
    assert!(stage.heard().is_empty());
    stage.reply(second, posted(8));
    assert_eq!(stage.heard()[0]["ack"], 2);
}

#[actix_web::test]
async fn conversations_of_one_thread_have_no_ticket_in_common() {
    let worker = worker(settings());
    let mut stages = [Stage::of(worker.clone(), None), Stage::of(worker, None)];
    let mut tickets = Vec::new();
    for _ in 0..3 {
        for stage in &mut stages {
            stage.send("logout", json!({}), None);
            tickets.push(stage.ticket());
        }
    }
    tickets.sort_unstable();
    tickets.dedup();
    assert_eq!(tickets.len(), 6);
}

#[actix_web::test]
async fn each_rejection_has_its_own_code() {
    let mut stage = Stage::subscribed().await;
    for (rejected, code) in [
        (Rejected::NotLoggedIn, "not_logged_in"),
        (Rejected::NameTaken, "name_taken"),
        (Rejected::TooManyRooms, "too_many_rooms"),
        (Rejected::TooManyNewRooms, "too_many_rooms"),
        (Rejected::NoNewRoom(RoomNameError::Empty), "bad_room"),
        (Rejected::NoSuchUser, "no_such_user"),
        (Rejected::JournalUnavailable, "journal_unavailable"),
        (Rejected::NotKeptYet, "not_kept_yet"),
        (Rejected::JournalDamaged, "damaged"),
    ] {
        stage.send("sendMessage", json!({"msg": "a"}), Some(1));
        stage.reply(stage.ticket(), Reply::Rejected(rejected));
        assert_eq!(stage.code(), code);
    }
}
