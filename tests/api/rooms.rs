//! Rooms are apart, named by `?room=`, and gone with their last member.

use crate::helpers::TestServer;

#[actix_web::test]
async fn rooms_do_not_hear_each_other() {
    let server = TestServer::start().await;
    let (mut red, mut red_too) =
        (server.connect("/ws?room=red").await, server.connect("/?room=red&x=1").await);
    let (mut blue, mut lobby) = (server.connect("/ws?room=blue").await, server.connect("/ws").await);
    red.send("only red").await;
    assert_eq!(red_too.next_text().await, "only red");
    blue.expect_quiet().await;
    lobby.expect_quiet().await;
}

#[actix_web::test]
async fn the_lobby_is_the_room_of_who_names_none() {
    let server = TestServer::start().await;
    let (mut ann, mut ben) = (server.connect("/ws?room=lobby").await, server.connect("/").await);
    ann.send("hi").await;
    assert_eq!(ben.next_text().await, "hi");
}

#[actix_web::test]
async fn names_that_normalize_to_the_same_are_the_same_room() {
    let server = TestServer::start().await;
    // Fullwidth letters and a percent-encoded space around them.
    let mut ann = server.connect("/ws?room=%20%EF%BC%A1%EF%BC%A2%20").await;
    let mut ben = server.connect("/ws?room=AB").await;
    ann.send("hi").await;
    assert_eq!(ben.next_text().await, "hi");
}

#[actix_web::test]
async fn an_empty_room_is_gone() {
    let server = TestServer::start().await;
    let mut ann = server.connect("/ws?room=red").await;
    let mut ben = server.connect("/ws?room=blue").await;
    server.until_health_shows(2, 2).await;
    ann.close().await;
    server.until_health_shows(1, 1).await;
    ben.close().await;
    server.until_health_shows(0, 0).await;
}
