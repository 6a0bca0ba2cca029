//! Encodes lines to the frames of a broadcast and to a record of the journal.

use std::{error::Error, hint::black_box};

use echoroom::testing::{
    Budget, Dialect, Encoding, Kept, Kind, Line, NewEntry, OpenBroadcast, Reach, Recipients, Subscribers,
    WorkerId, line,
};

use super::Repetition;

/// Lines of a broadcast.
pub const LINES: usize = 16;

/// Time of all lines, in milliseconds since 1970. Any time of this century has this number of digits.
pub const AT: u64 = 1_795_442_795_415;

/// All offsets have this number of digits.
const FIRST_OFFSET: u64 = 1000;

pub fn plain(_: usize) -> Result<Repetition, Box<dyn Error>> {
    Ok(encode(&[line::PLAIN]))
}

pub fn all_dialects(_: usize) -> Result<Repetition, Box<dyn Error>> {
    Ok(encode(&[line::PLAIN, line::CHAT, line::SOCKET_IO]))
}

/// Builds complete broadcasts for subscribers with these dialects.
fn encode(dialects: &[Dialect]) -> Repetition {
    let (subscribers, budget) = (subscribers(dialects), Budget::new(1 << 20));
    Box::new(move || {
        let mut open = OpenBroadcast::new(black_box(&subscribers));
        let mut kept = Kept::default();
        for offset in (FIRST_OFFSET..).take(LINES) {
            let line = black_box(said(offset));
            kept.push(&line);
            open.push(&line, Reach::All, None);
        }
        black_box((open.finish(Recipients::Room, &budget), kept.into_record()));
        Ok(())
    })
}

/// One subscriber for each dialect.
pub fn subscribers(dialects: &[Dialect]) -> Subscribers {
    let mut subscribers = Subscribers::default();
    for &dialect in dialects {
        subscribers.add(WorkerId(0), Encoding { dialect, deflated: false });
    }
    subscribers
}

/// A message of a chat user.
pub fn said(offset: u64) -> Line<'static> {
    let (kind, username, avatar) = (Kind::Message, "ann17", "fox");
    let body = "Good morning, is anybody here for some tea?";
    Line::Said(offset, NewEntry { kind, at: AT, username, avatar, uid: None, id: "m1", body })
}
