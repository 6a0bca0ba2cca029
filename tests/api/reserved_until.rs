//! No name is reserved for longer than the setting says, whatever clock or setting there was when it was kept.

use std::path::Path;

use serde_json::json;

use crate::{
    helpers::{TestServer, soon},
    journal::folder,
    people::Person,
    program::{Running, echoroom, start},
};

/// The program on a journal in a folder, with names reserved for so long.
fn start_with(folder: &Path, reservation: &str) -> (Running, TestServer) {
    let mut command = echoroom();
    command.env_remove("ECHOROOM_JOURNAL").args(["--port", "0", "--bind", "127.0.0.1", "--rate", "0"]);
    command.args(["--name-hold", "1ms", "--name-reservation", reservation, "--data-dir"]).arg(folder);
    let (running, link) = start(&mut command);
    (running, TestServer::elsewhere(&link))
}

#[actix_web::test]
async fn a_name_whose_reservation_ends_far_off_is_free_when_the_setting_says() {
    let folder = folder();
    let (running, server) = start_with(folder.path(), "300d");
    let token = Person::named(&server, "Ann").await.token();
    drop(Person::login(&server, json!({"username": "Ann", "room": "tea", "token": token})).await);
    running.signal("-TERM");
    assert_eq!(running.exit_code(), Some(0));

    let (_running, server) = start_with(folder.path(), "1s");
    soon("a name that is free", async {
        let mut stranger = Person::stranger(&server).await;
        while stranger.ask("login", json!({"username": "Ann", "room": "tea"})).await["data"].is_null() {}
    })
    .await;
}
