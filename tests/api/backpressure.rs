//! A slow client slows itself down, loses nothing of its own, and nobody waits for it.

use crate::helpers::{TestServer, settings, text};

#[actix_web::test]
async fn a_sender_at_its_intake_bound_loses_nothing() {
    // Room for one message only: the gate shuts and opens again all the time.
    let tight = settings().with(|s| {
        s.limits.max_intake_bytes = "1".parse().expect("a size");
        s.limits.max_intake_total = "300".parse().expect("a size");
    });
    let server = TestServer::with(tight).await;
    let mut ben = server.connect("/ws").await;
    let mut senders = Vec::new();
    for name in ["a", "b", "c"] {
        let mut raw = server.connect_raw("/ws").await;
        let burst: Vec<u8> = (0..200).flat_map(|number| text(&format!("{name}{number}"))).collect();
        raw.send(&burst).await;
        raw.send(&crate::helpers::frame(0x88, b"")).await;
        senders.push((name, raw));
    }
    let mut heard = Vec::new();
    while heard.len() < 600 {
        heard.push(ben.next_text().await);
    }
    for (name, _) in &senders {
        let theirs: Vec<_> = heard.iter().filter(|line| line.starts_with(name)).collect();
        let expected: Vec<_> = (0..200).map(|number| format!("{name}{number}")).collect();
        assert_eq!(theirs, expected.iter().collect::<Vec<_>>());
    }
}

#[actix_web::test]
async fn a_member_that_does_not_read_is_evicted_and_the_others_hear_everything() {
    let small = settings().with(|s| s.limits.max_queue_bytes = "64k".parse().expect("a size"));
    let server = TestServer::with(small).await;
    let jammed = server.connect_raw("/ws").await;
    let (mut ann, mut ben) = (server.connect("/ws").await, server.connect("/ws").await);
    server.until_health_shows(3, 1).await;
    let line = "x".repeat(32 * 1024);
    // Kernel buffers take some megabytes before the jam shows.
    for number in 0..1000 {
        ann.send(&line).await;
        assert_eq!(ann.next_text().await.len(), line.len() + 3);
        assert_eq!(ben.next_text().await, line, "message {number}");
    }
    // It reads at last: what the kernel held, then the end, with the code if the jam did not swallow it.
    let mut rest = Vec::new();
    let mut stream = jammed.stream;
    crate::helpers::soon(
        "the end of the jammed session",
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest),
    )
    .await
    .expect("a clean end");
    assert!(rest.ends_with(b"\x88\x0f\x03\xf5slow consumer"), "{} bytes", rest.len());
    assert!(rest.len() < 1000 * line.len(), "nothing was dropped for it");
    server.until_health_shows(2, 1).await;
}

#[actix_web::test]
async fn a_healthy_member_sent_more_than_the_bound_in_one_go_is_not_evicted() {
    let small = settings().with(|s| s.limits.max_queue_bytes = "1k".parse().expect("a size"));
    let server = TestServer::with(small).await;
    let (mut ann, mut ben) = (server.connect("/ws").await, server.connect("/ws").await);
    let line = "y".repeat(60 * 1024);
    for _ in 0..5 {
        ann.send(&line).await;
        assert_eq!(ben.next_text().await, line);
        assert_eq!(ann.next_text().await.len(), line.len() + 3);
    }
}

#[actix_web::test]
async fn a_member_that_sends_16_mebibytes_before_it_reads_its_answers_is_not_evicted() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    const COUNT: usize = 256;
    // Half of what is sent: room enough for the listener, who shares a busy machine, and none for the answers.
    let roomy = settings().with(|s| s.limits.max_queue_bytes = "8m".parse().expect("a size"));
    let server = TestServer::with(roomy).await;
    let mut ben = server.connect("/ws").await;
    let sender = server.connect_raw("/ws").await;
    let message = vec![9; 64 * 1024];
    let frame = crate::helpers::frame(0x82, &message);
    let (mut read, mut write) = tokio::io::split(sender.stream);
    let writer = actix_web::rt::spawn(async move {
        for _ in 0..COUNT {
            write.write_all(&frame).await.expect("sent");
        }
        write
    });
    let listener = actix_web::rt::spawn(async move {
        for _ in 0..COUNT {
            assert_eq!(ben.next_binary().await.len(), 64 * 1024);
        }
        ben
    });
    // Long enough for its answers to fill every buffer: only then does it begin to read.
    actix_web::rt::time::sleep(std::time::Duration::from_millis(300)).await;
    let mut answers = vec![0; COUNT * (message.len() + 10)];
    crate::helpers::soon("its answers", read.read_exact(&mut answers)).await.expect("all of them");
    let mut ben = listener.await.expect("all of it is relayed");
    let mut sender = crate::helpers::RawClient::rejoin(read, writer.await.expect("all is sent"));
    ben.send("still with us?").await;
    assert_eq!(sender.read_frame().await.payload, b"still with us?");
}
