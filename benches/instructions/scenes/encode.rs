//! What is said to the frames of a round, and to a record of the journal.

use std::{error::Error, hint::black_box};

use echoroom::{
    app::embed::Budget,
    testing::{Audience, ChatRound, Dialect, Encoding, Hearers, Kind, Line, NewEntry, Reach, WorkerId, line},
};

use super::Repetition;

/// Lines of a round.
pub const LINES: usize = 16;

/// When everything is said: a time of as many digits as any of these centuries.
pub const AT: u64 = 1_795_442_795_415;

/// Offsets of as many digits, whichever round it is.
const FIRST_OFFSET: u64 = 1000;

pub fn plain(_: usize) -> Result<Repetition, Box<dyn Error>> {
    Ok(encode(&[line::PLAIN]))
}

pub fn all_dialects(_: usize) -> Result<Repetition, Box<dyn Error>> {
    Ok(encode(&[line::PLAIN, line::CHAT, line::SOCKET_IO]))
}

/// Rounds from the first line to the last, for an audience that speaks these.
fn encode(dialects: &[Dialect]) -> Repetition {
    let (audience, budget) = (audience(dialects), Budget::new(1 << 20));
    Box::new(move || {
        let mut open = ChatRound::new(black_box(&audience));
        for offset in (FIRST_OFFSET..).take(LINES) {
            open.push(&black_box(said(offset)), Reach::All, None);
        }
        let (round, kept) = open.finish(Hearers::Room, &budget);
        black_box((round, kept.into_record()));
        Ok(())
    })
}

/// One hearer for each of these.
pub fn audience(dialects: &[Dialect]) -> Audience {
    let mut audience = Audience::default();
    for &dialect in dialects {
        audience.add(WorkerId(0), Encoding { dialect, deflated: false });
    }
    audience
}

/// A line of the chat.
pub fn said(offset: u64) -> Line<'static> {
    let (kind, username, avatar) = (Kind::Message, "ann17", "fox");
    let body = "Good morning, is anybody here for some tea?";
    Line::Said(offset, NewEntry { kind, at: AT, username, avatar, uid: None, id: "m1", body })
}
