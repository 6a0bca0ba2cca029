//! Who a client is: the user of its last login, until it logs out.

use super::*;

async fn answer(stage: &mut Stage, event: &str, data: Value, ack: u64) -> Value {
    stage.send(event, data, Some(ack));
    let mut heard = stage.until_ack(ack).await;
    heard.retain(|text| text["ack"] == ack);
    heard.swap_remove(0)["data"].take()
}

#[actix_web::test]
async fn who_logs_in_again_stays_who_it_was_until_it_logs_out() {
    let mut stage = Stage::registered(&worker(settings()), None);
    let first = answer(&mut stage, "login", json!({"username": "ann"}), 1).await;
    let second = answer(&mut stage, "login", json!({"username": "anna"}), 2).await;
    assert_eq!(second["username"], "anna");
    assert_eq!((&second["uid"], &second["token"]), (&first["uid"], &first["token"]));
    answer(&mut stage, "logout", json!({}), 3).await;
    let third = answer(&mut stage, "login", json!({"username": "ann"}), 4).await;
    assert_ne!((&third["uid"], &third["token"]), (&first["uid"], &first["token"]));
    answer(&mut stage, "logout", json!({}), 5).await;
    let back = answer(&mut stage, "login", json!({"username": "ann", "token": first["token"]}), 6).await;
    assert_eq!((&back["uid"], &back["token"]), (&first["uid"], &first["token"]));
}

#[actix_web::test]
async fn who_enters_another_room_is_the_same_user_there() {
    let worker = worker(settings());
    let mut stage = Stage::registered(&worker, None);
    let login = answer(&mut stage, "login", json!({"username": "ann", "avatar": "owl"}), 1).await;
    let joined = answer(&mut stage, "joinRoom", json!({"room": "garden"}), 2).await;
    assert_eq!((&joined["room"], &joined["token"]), (&json!("garden"), &Value::Null));
    let users = answer(&mut stage, "userList", json!({}), 3).await;
    assert_eq!(users["users"], json!([{"username": "ann", "avatar": "owl", "uid": login["uid"]}]));
    let mut other = Stage::registered(&worker, None);
    let login = answer(&mut other, "login", json!({"username": "ann"}), 1).await;
    assert_eq!(login["count"], 1, "its name is free in the room that it left");
}
