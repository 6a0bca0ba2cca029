//! A session on a WebSocket, in memory.

use super::*;
use crate::protocol::websocket::deflate::Agreement;

#[actix_web::test]
async fn what_is_queued_outside_of_its_turn_is_written_and_the_end_comes_behind_it() {
    let (mut stage, _, mut client) = Stage::websocket(settings());
    let handle = stage.handle().await;
    handle.packet("4a");
    handle.binary(Bytes::from_static(b"b"));
    handle.end(Ending::Behind);
    handle.packet("4c");
    assert_eq!(stage.ended.recv().await, Some(Ending::Behind));
    handle.packet("4behind the end");
    let expected = [&b"\x81\x024a\x82\x01b\x81\x024c"[..], &Ending::Behind.close_frame()].concat();
    let mut came = Vec::new();
    while came.len() < expected.len() {
        tokio::task::yield_now().await;
        came.extend(client.taken());
    }
    assert_eq!(came, expected);
    stage.until_forgotten().await;
}

#[actix_web::test]
async fn a_backlog_that_ends_the_session_is_dropped_and_the_close_frame_is_not() {
    let small = EngineSettings { max_waiting: 1000, max_payload: 1000, ..settings() };
    let (mut stage, _, mut client) = Stage::websocket(small);
    let handle = stage.handle().await;
    // More than the pair takes, and more answers than may wait.
    handle.packet("4".repeat(100_000));
    assert_eq!(stage.ended.recv().await, Some(Ending::SlowConsumer));
    let end = Ending::SlowConsumer.close_frame();
    let mut came = Vec::new();
    while !came.ends_with(&end) {
        tokio::task::yield_now().await;
        came.extend(client.taken());
        assert!(came.len() < 200_000);
    }
    stage.until_forgotten().await;
}

#[actix_web::test]
async fn large_messages_are_compressed_unless_their_sender_wants_them_as_they_are() {
    let (stage, _, mut client) = Stage::websocket(settings());
    let (handle, large) = (stage.handle().await, format!("4{}", "tea ".repeat(500)));
    let first_byte = async |client: &mut HostEnd| {
        loop {
            if let Some(first) = client.taken().first() {
                return *first;
            }
            tokio::task::yield_now().await;
        }
    };
    handle.packet(large.clone());
    assert_eq!(first_byte(&mut client).await, 0x81, "nothing is agreed on");
    handle.set_compression(Agreement::negotiate("permessage-deflate"));
    handle.packet(large.clone());
    assert_eq!(first_byte(&mut client).await, 0xC1);
    handle.packet_uncompressed(large.clone());
    assert_eq!(first_byte(&mut client).await, 0x81);
    handle.binary(large.clone().into());
    assert_eq!(first_byte(&mut client).await, 0xC2);
    handle.binary_uncompressed(large.into());
    assert_eq!(first_byte(&mut client).await, 0x82);
}
