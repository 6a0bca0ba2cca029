//! A session of Socket.IO that has ended holds nothing of what it was about to read.

use crate::{
    helpers::{TestServer, settings, soon},
    sockets::Poller,
};

/// Bytes that all clients together make the server hold.
async fn held(server: &TestServer) -> u64 {
    server.health().await["usage"]["memory"]["used"].as_u64().expect("a number")
}

#[actix_web::test]
async fn a_session_that_ends_behind_a_request_for_history_holds_no_memory() {
    // What ends the session in the payload of the request: the client, or a packet that only a server may send.
    for end in ["1", "2"] {
        let server = TestServer::with(settings()).await;
        for round in 0..3 {
            let poller = Poller::connected(&server).await;
            poller.post(&format!(r#"42["login",{{"username":"Ann {round}"}}]"#)).await;
            while !poller.poll().await.body.contains("userList") {}
            // Answers that no poll takes.
            for _ in 0..20 {
                let pings: Vec<_> = (0..16).map(|number| format!(r#"42{number}["ping",{{}}]"#)).collect();
                assert_eq!(poller.post(&pings.join("\u{1E}")).await.status, 200);
            }
            assert!(held(&server).await > 0, "what waits for a poll is counted");
            poller.post(&format!("427[\"history\",{{}}]\u{1E}{end}")).await;
            if end == "2" {
                // What was queued before a breach of the protocol is the client's: it is held until it has been taken.
                while poller.poll().await.status == 200 {}
            }
            soon("an end that leaves nothing", async { while held(&server).await > 0 {} }).await;
        }
    }
}
