//! A plain session of Echoroom and its echo, on axum with tokio-tungstenite: a task for each session, and one
//! broadcast channel for the room, whose messages share their payload. The socket is not split, because a
//! split socket has a lock and keeps the last message until it is flushed.

use std::{
    error::Error,
    net::Ipv4Addr,
    sync::atomic::{AtomicU64, Ordering},
};

use axum::{
    Router,
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, Utf8Bytes, WebSocket},
    },
    response::Response,
    routing::any,
    serve::ListenerExt as _,
};
use echoroom_bench_peers::start;
use futures_util::{FutureExt as _, SinkExt as _};
use tokio::{
    net::TcpSocket,
    select,
    sync::broadcast::{self, error::TryRecvError},
};

/// One eighth of the default: the library clears its buffer before each read, and each session has one.
const READ_BUFFER: usize = 16 * 1024;
/// Number of lines that a session may lag behind its room before it is closed.
const ROOM_CAPACITY: usize = 65_536;

/// A text and the session that sent it. The sender does not get its own text.
type Line = (u64, Utf8Bytes);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = start()?;
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    let listener = socket.listen(4096)?.tap_io(|stream| {
        // The next read reports a client that is gone.
        let _ = stream.set_nodelay(true);
    });
    println!("listening on http://localhost:{port}");

    let (room, _) = broadcast::channel(ROOM_CAPACITY);
    let app = Router::new().route("/echo", any(echo_door)).fallback(any(room_door)).with_state(room);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn echo_door(upgrade: WebSocketUpgrade) -> Response {
    // An error here only ends the session, usually because its client left.
    upgrade.read_buffer_size(READ_BUFFER).on_upgrade(async |socket| drop(echo(socket).await))
}

async fn room_door(upgrade: WebSocketUpgrade, State(room): State<broadcast::Sender<Line>>) -> Response {
    upgrade.read_buffer_size(READ_BUFFER).on_upgrade(async |socket| drop(session(socket, room).await))
}

async fn echo(mut socket: WebSocket) -> Result<(), Box<dyn Error + Send + Sync>> {
    while let Some(message) = socket.recv().await {
        // Reply to all available messages together; tokio's task budget limits their number.
        let mut arrived = Some(message);
        while let Some(message) = arrived {
            let message = message?;
            if matches!(message, Message::Text(_) | Message::Binary(_)) {
                socket.feed(message).await?;
            }
            arrived = socket.recv().now_or_never().flatten();
        }
        socket.flush().await?;
    }
    Ok(())
}

async fn session(
    mut socket: WebSocket,
    room: broadcast::Sender<Line>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    static NEXT_ID: AtomicU64 = AtomicU64::new(0);
    let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
    let mut lines = room.subscribe();
    loop {
        select! {
            message = socket.recv() => {
                if message.is_none() {
                    return Ok(());
                }
                let mut arrived = message;
                while let Some(message) = arrived {
                    if let Message::Text(text) = message? {
                        let answer = text.to_uppercase() + "!!!";
                        // The room always has a receiver, because this session is one.
                        room.send((id, text))?;
                        socket.feed(Message::Text(answer.into())).await?;
                    }
                    arrived = socket.recv().now_or_never().flatten();
                }
            }
            line = lines.recv() => {
                let mut line = Some(line?);
                while let Some((sender, text)) = line {
                    if sender != id {
                        socket.feed(Message::Text(text)).await?;
                    }
                    line = match lines.try_recv() {
                        Ok(line) => Some(line),
                        Err(TryRecvError::Empty) => None,
                        Err(error) => return Err(error.into()),
                    };
                }
            }
        }
        socket.flush().await?;
    }
}
