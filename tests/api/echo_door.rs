//! `/echo` gives back what it gets, to nobody else.

use crate::helpers::TestServer;

#[actix_web::test]
async fn text_and_bytes_come_back_verbatim() {
    let server = TestServer::start().await;
    let mut client = server.connect("/echo").await;
    for text in ["hello", "", "straße 你好"] {
        client.send(text).await;
        assert_eq!(client.next_text().await, text);
    }
    client.send_binary(&[1, 2, 3]).await;
    assert_eq!(client.next_binary().await, [1, 2, 3]);
}

#[actix_web::test]
async fn nobody_else_hears_an_echo_session_and_it_hears_nobody() {
    let server = TestServer::start().await;
    let (mut echo, mut other) = (server.connect("/echo").await, server.connect("/echo").await);
    let mut plain = server.connect("/ws").await;
    echo.send("to myself").await;
    assert_eq!(echo.next_text().await, "to myself");
    plain.expect_quiet().await;
    other.send("quiet?").await;
    assert_eq!(other.next_text().await, "quiet?");
    echo.send("quiet?").await;
    assert_eq!(echo.next_text().await, "quiet?");
}

#[actix_web::test]
async fn sixteen_mebibytes_are_echoed_to_a_client_that_reads() {
    let server = TestServer::start().await;
    let mut raw = server.connect_raw("/echo").await;
    let message = vec![b'x'; 64 * 1024];
    let frame = crate::helpers::frame(0x82, &message);
    // All sent before the first byte is read: the server must stop reading in between and lose nothing.
    let count = 256;
    let (mut read, mut write) = tokio::io::split(raw.stream);
    let writer = actix_web::rt::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        for _ in 0..count {
            write.write_all(&frame).await.expect("sent");
        }
        write
    });
    actix_web::rt::time::sleep(std::time::Duration::from_millis(200)).await;
    let expected = count * (message.len() + 10);
    let mut bytes = vec![0; expected];
    crate::helpers::soon("the echo of 16 MiB", tokio::io::AsyncReadExt::read_exact(&mut read, &mut bytes))
        .await
        .expect("all of it");
    raw = crate::helpers::RawClient::rejoin(read, writer.await.expect("the writer ends"));
    raw.send(&crate::helpers::text("bye")).await;
    assert_eq!(raw.read_frame().await.payload, b"bye");
}
