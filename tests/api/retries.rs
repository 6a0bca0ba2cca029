//! `/limits` says of each code when a client may try again, from the server's own tables.

use echoroom::testing::{CODES, close};
use serde_json::{Value, json};

use crate::{
    chatters::{CHAT_DOORS, Chatter},
    helpers::{TestServer, settings},
};

async fn retries(server: &TestServer) -> Value {
    let url = format!("http://{}/limits", server.address);
    let mut limits: Value =
        awc::Client::new().get(url).send().await.expect("an answer").json().await.expect("JSON");
    limits["retry"].take()
}

#[actix_web::test]
async fn each_code_of_an_error_and_of_a_close_frame_is_in_the_table_of_what_may_be_tried_again() {
    let server = TestServer::start().await;
    let retries = retries(&server).await;
    let words = ["never", "at_once", "later", "after_login"];
    for row in CODES {
        let word = retries["errors"][row.word].as_str();
        assert!(word.is_some_and(|word| words.contains(&word)), "{}: {word:?}", row.word);
    }
    assert_eq!(retries["errors"].as_object().expect("an object").len(), CODES.len());
    for row in close::ALL {
        let word = retries["closes"][row.code.to_string()].as_str();
        assert_eq!(word.map(|word| word != "never"), Some(row.reconnect), "{row:?}: {word:?}");
    }
    // What a client sees that the server never sends.
    for (code, word) in [("1000", "never"), ("1005", "at_once"), ("1006", "later")] {
        assert_eq!(retries["closes"][code], word);
    }
}

#[actix_web::test]
async fn a_request_that_may_be_made_after_the_login_is_taken_then_and_one_that_may_never_be_is_not() {
    let server = TestServer::start().await;
    let retries = retries(&server).await;
    for (number, door) in CHAT_DOORS.into_iter().enumerate() {
        let mut ann = Chatter::stranger(&server, door).await;
        let (message, empty) = (json!({"msg": "m"}), json!({}));
        let early = ann.ask("sendMessage", &message).await["error"]["code"].take();
        assert_eq!(retries["errors"][early.as_str().expect("a code")], "after_login");
        ann.ask("login", &json!({"username": format!("Ann {number}")})).await;
        assert!(ann.ask("sendMessage", &message).await["error"].is_null());
        for _ in 0..2 {
            let code = ann.ask("sendMessage", &empty).await["error"]["code"].take();
            assert_eq!(retries["errors"][code.as_str().expect("a code")], "never");
        }
    }
}

#[test]
fn the_readme_says_of_each_code_what_the_table_says() {
    let readme =
        std::fs::read_to_string(settings().listen.static_dir.join("../README.md")).expect("the README");
    for row in CODES {
        let name = format!("`{}`", row.word);
        let mut table = readme.lines().skip_while(|line| !line.starts_with("| code | meaning | again"));
        let line = table.find(|line| line.starts_with("| `") && line.contains(&name));
        let line = line.unwrap_or_else(|| panic!("{name} is not in the table"));
        let cell = line.rsplit('|').nth(1).expect("a cell").trim();
        let word = serde_json::to_value(row.retry).expect("a word");
        let expected = match word.as_str().expect("a word") {
            "never" => "no",
            "after_login" => "once logged in",
            _ => "yes",
        };
        assert!(cell.starts_with(expected) || row.word == "not_kept_yet", "{line}");
    }
}
