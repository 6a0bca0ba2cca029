//! Sessions of Socket.IO name their node, and the log says so if their requests arrive at another one.

use crate::{
    helpers::TestServer,
    program::{Running, echoroom, start},
};

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

fn server(flags: &[&str]) -> (Running, TestServer) {
    let (running, link) = start(echoroom().args(["--bind", "127.0.0.1", "--port", "0"]).args(flags));
    (running, TestServer::elsewhere(&link))
}

/// Asks for a session that is not there, three times, and makes the server write a line behind that.
async fn ask_for(server: &TestServer, sid: &str) {
    for _ in 0..3 {
        let answer = server.get_raw(&format!("{POLLING}&sid={sid}"), "").await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.ends_with(r#"{"code":1,"message":"Session ID unknown"}"#), "{answer}");
    }
    server.connect("/echo").await.close().await;
}

#[actix_web::test]
async fn requests_of_another_nodes_sessions_are_logged_once_with_both_names() {
    let (running, server) = server(&["--node", "tea1"]);
    let open = server.get_raw(POLLING, "").await;
    assert!(open.contains(r#"0{"sid":"tea1"#), "{open}");
    ask_for(&server, "tea2ABCDEFGHIJKLMNOP").await;
    running.wait_for_log("opened: echo").await;
    let lines: Vec<_> = running.log().into_iter().filter(|line| line.contains("--node")).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("node tea2") && lines[0].contains("node tea1"), "{lines:?}");
}

#[actix_web::test]
async fn unknown_sessions_of_the_node_itself_and_what_is_no_id_are_not_logged() {
    let (running, server) = server(&["--node", "tea1"]);
    ask_for(&server, "tea1ABCDEFGHIJKLMNOP").await;
    ask_for(&server, "tea2").await;
    running.wait_for_log("opened: echo").await;
    assert!(!running.log().iter().any(|line| line.contains("--node")), "{:?}", running.log());
}

#[actix_web::test]
async fn a_server_without_a_name_knows_no_others() {
    let (running, server) = server(&[]);
    ask_for(&server, "tea2ABCDEFGHIJKLMNOP").await;
    running.wait_for_log("opened: echo").await;
    assert!(!running.log().iter().any(|line| line.contains("--node")), "{:?}", running.log());
}
