//! Sends a page the log of its own session: a plain session in a room of its own.
//!
//! The server tells the page a random name, which only this page knows; the client that connects with this
//! name becomes the session. So a page reads the log of the session that it opens itself, and of no other.

use std::{future::poll_fn, io};

use serde::Serialize;

use super::{Appointment, ClientKind, Expected, Lessons, Line, tell};
use crate::{
    config::NodeName,
    domain::{LESSON_ROOM_START, RoomName},
    session::watch::{LogLine, LogReader, Watch},
};

/// Messages to the page.
#[derive(Debug, Serialize)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
enum Told<'a> {
    /// The session may connect with this name, to this node.
    Expected {
        session: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        node: Option<&'a str>,
    },
    /// A line that the session has written to the log.
    Line(LogLine),
    /// The number of lines that are left out here, because the page was slow.
    LeftOut { lines: u64 },
}

/// Tells the page the name for its session, with that of the `node` if this is one of several, and then each line of the
/// session's log, until the session or the page has ended.
pub(crate) async fn follow(lessons: &Lessons, node: Option<NodeName>, mut line: Line) {
    let Ok((appointment, log)) = expect(lessons) else { return };
    let outbound = line.outbound.clone();
    let node = node.as_ref().map(NodeName::as_str);
    tell(&outbound, &Told::Expected { session: &appointment.name, node });
    let most_waiting = line.outbound.bounds().waiting / 2;
    let lesson = async {
        let mut log = log;
        while let Some(line) = log.next().await {
            // Meanwhile further lines wait in the bounded queue of the watch.
            poll_fn(|cx| outbound.poll_drained(most_waiting, cx)).await;
            tell(&outbound, &Told::Line(line));
            let lines = log.take_left_out();
            if lines > 0 {
                tell(&outbound, &Told::LeftOut { lines });
            }
        }
    };
    // Messages of the page mean nothing here; they are read to notice when the page leaves.
    let leave = async { while line.next().await.is_some() {} };
    tokio::select! {
        () = lesson => {}
        () = leave => {}
    }
}

fn expect(lessons: &Lessons) -> io::Result<(Appointment<'_>, LogReader)> {
    let (watch, log) = Watch::with_log();
    let appointment = Appointment::make(lessons, ClientKind::Followed, |name| {
        let room =
            RoomName::parse(&format!("{LESSON_ROOM_START}{}", &name[..8])).map_err(io::Error::other)?;
        Ok(Expected { room, watch })
    })?;
    Ok((appointment, log))
}
