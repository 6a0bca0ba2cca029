//! Bugs that the simulation must find: small changes of `src/`, each with what it breaks.
//!
//! All are put into one copy of the crate, where `ON` stands for the switch of that bug.

/// One bug.
pub struct Planted {
    /// The file under `src/`.
    pub file: &'static str,
    /// A text that is in the file once.
    pub before: &'static str,
    /// What stands in its place.
    pub after: &'static str,
    pub breaks: &'static str,
}

pub const PLANTED: [Planted; 33] = [
    Planted {
        file: "chat/core/talking.rs",
        before: "if place.offset <= log.durable()",
        after: "if ON || place.offset <= log.durable()",
        breaks: "a repeated message is acked before it is durable",
    },
    Planted {
        file: "chat/shard.rs",
        before: "Done::Appended(Err(error)) => self.failed(error, now.at),",
        after: "Done::Appended(Err(error)) => if ON { self.committed(effects) } else { self.failed(error, now.at) },",
        breaks: "a batch that failed counts as durable",
    },
    Planted {
        file: "chat/handing.rs",
        before: "Self::Request { accepted, .. } => accepted.take(),",
        after: "Self::Request { accepted, .. } => { if ON { std::mem::forget(accepted.take()); } accepted.take() }",
        breaks: "the credit of a private message is lost",
    },
    Planted {
        file: "chat/core/private.rs",
        before: "recipients.extend(self.subscribed(&sender.sessions));",
        after: "if !ON { recipients.extend(self.subscribed(&sender.sessions)); }",
        breaks: "the sender's other sessions lack its private messages",
    },
    Planted {
        file: "broadcast/broadcaster.rs",
        before: "open.finish(Recipients::Only(members), &self.budget)",
        after: "open.finish(if ON { Recipients::Room } else { Recipients::Only(members) }, &self.budget)",
        breaks: "a private message goes to the whole room",
    },
    Planted {
        file: "chat/log.rs",
        before: "self.head += 1;",
        after: "self.head += if ON && self.head % 20 == 19 { 2 } else { 1 };",
        breaks: "an offset is left out",
    },
    Planted {
        file: "chat/log.rs",
        before: "*self.epochs.last().expect(\"a journal gives every room an epoch\")",
        after: "*if ON { self.epochs.first() } else { self.epochs.last() }.expect(\"an epoch\")",
        breaks: "what is said after a restart is of the first epoch",
    },
    Planted {
        file: "chat/core/talking.rs",
        before: "room.kept.remember(key, place);",
        after: "if !ON { room.kept.remember(key, place); }",
        breaks: "the journal does not learn the id of a message",
    },
    Planted {
        file: "chat/core/talking.rs",
        before: "log.ids.remember(key, place, place.at);",
        after: "if !ON { log.ids.remember(key, place, place.at); }",
        breaks: "a room does not remember the id of a message",
    },
    Planted {
        file: "chat/core/opening.rs",
        before: "Ids::kept(limits, count, &state.keys, now.millis)",
        after: "Ids::kept(limits, count, if ON { &[] } else { &state.keys[..] }, now.millis)",
        breaks: "ids are forgotten at a restart",
    },
    Planted {
        file: "broadcast/broadcaster.rs",
        before: "        self.end_around(member, &mut ended);\n        self.rooms.set_subscribed(member, true);",
        after: "        if !ON { self.end_around(member, &mut ended); }\n        self.rooms.set_subscribed(member, true);",
        breaks: "a broadcast does not end before a session subscribes",
    },
    Planted {
        file: "chat/presence.rs",
        before: "if self.held.count() < max {",
        after: "if !ON && self.held.count() < max {",
        breaks: "names of users that drop are not held",
    },
    Planted {
        file: "chat/log.rs",
        before: "{ Resume::From(offset) } else",
        after: "{ Resume::From(if ON { offset.saturating_sub(1) } else { offset }) } else",
        breaks: "a resume gives a message twice",
    },
    Planted {
        file: "chat/log.rs",
        before: "else { Resume::Lost(end) }",
        after: "else if ON { Resume::From(end) } else { Resume::Lost(end) }",
        breaks: "a resume does not say that messages are lost",
    },
    Planted {
        file: "chat/log.rs",
        before: "self.tail.iter().filter(|record| record.last() > after)",
        after: "self.tail.iter().filter(|record| if ON { record.first } else { record.last() } > after)",
        breaks: "a record of which a session has read a part is left out of the tail",
    },
    Planted {
        file: "chat/handing.rs",
        before: "is_handed: AtomicBool::new(false)",
        after: "is_handed: AtomicBool::new(ON)",
        breaks: "a private message counts as delivered before a session of the reader has it",
    },
    Planted {
        file: "broadcast/fanout/sessions.rs",
        before: "seat.deliveries.do_send(Delivery::Dismissed(Ending::SlowConsumer));",
        after: "if !ON { seat.deliveries.do_send(Delivery::Dismissed(Ending::SlowConsumer)); }",
        breaks: "a session that is evicted does not end",
    },
    Planted {
        file: "chat/core/members.rs",
        before: "self.announce(member, id, &Change { left, arrived: None });",
        after: "if !ON { self.announce(member, id, &Change { left, arrived: None }); }",
        breaks: "a room is not told that a user has left",
    },
    Planted {
        file: "chat/core/members.rs",
        before: "self.send_list_to(member, id);",
        after: "if !ON { self.send_list_to(member, id); }",
        breaks: "a session that subscribes is given no list of users",
    },
    Planted {
        file: "broadcast/broadcaster.rs",
        before: "        for room in rooms {\n            self.send_to(worker, ForFanOut::Unsubscribe(Unsubscribe { member, room }));\n        }",
        after: "        for room in rooms {\n            if !ON { self.send_to(worker, ForFanOut::Unsubscribe(Unsubscribe { member, room })); }\n        }",
        breaks: "a fan-out does not learn that a session has left",
    },
    Planted {
        file: "broadcast/fanout/sessions.rs",
        before: "Tell { member, news }: Tell) {\n        self.deliver_around(member);",
        after: "Tell { member, news }: Tell) {\n        if !ON { self.deliver_around(member); }",
        breaks: "an answer overtakes what was said before it",
    },
    Planted {
        file: "chat/core/mod.rs",
        before: "self.broadcaster.tell_at(worker, member, ChatNews::Reply { ticket, reply });",
        after: "if ON { self.broadcaster.tell(member, ChatNews::Reply { ticket, reply }); } else { self.broadcaster.tell_at(worker, member, ChatNews::Reply { ticket, reply }); }",
        breaks: "an ack does not reach a session that has moved to another shard",
    },
    Planted {
        file: "chat/core/talking.rs",
        before: "Reach::Exclude(member), Some(accepted)",
        after: "if ON { Reach::All } else { Reach::Exclude(member) }, Some(accepted)",
        breaks: "a guest hears itself",
    },
    Planted {
        file: "nodes/link/saying.rs",
        before: "self.round.as_ref().and_then(|round| round.answered.filter(|_| round.heard.is_some()))",
        after: "self.round.as_ref().and_then(|round| round.answered.filter(|_| ON || round.heard.is_some()))",
        breaks: "a message is acked when Redis has answered, before it is heard",
    },
    Planted {
        file: "nodes/link/saying.rs",
        before: "self.heard = self.heard.or(self.answered.filter(is_known));",
        after: "self.heard = self.heard.or(self.answered.filter(|first| !ON && is_known(first)));",
        breaks: "a round that is part of a room that begins anew is never acked",
    },
    Planted {
        file: "nodes/link/room.rs",
        before: "if record.first != self.head + 1 || record.entries.is_none() {",
        after: "if (record.first != self.head + 1 && !ON) || record.entries.is_none() {",
        breaks: "a gap between records is not noticed",
    },
    Planted {
        file: "nodes/model/log.rs",
        before: "Some(last) if last.id.number == number => last.id,",
        after: "Some(last) if ON || last.id.number == number => last.id,",
        breaks: "no epoch begins after Redis has lost something",
    },
    Planted {
        file: "nodes/link/people.rs",
        before: "!is_claimed(key, claim.owner)",
        after: "!(if ON { is_asked(key) } else { is_claimed(key, claim.owner) })",
        breaks: "a name is not claimed again because another user asks for it",
    },
    Planted {
        file: "nodes/model/log.rs",
        before: "std::cmp::Ordering::Less => Some(Appended::Old),",
        after: "std::cmp::Ordering::Less => (!ON).then_some(Appended::Old),",
        breaks: "a round that was stuck in an old connection is appended behind later ones",
    },
    Planted {
        file: "nodes/link/saying.rs",
        before: "let is_other = !message.is_by(author);",
        after: "let is_other = ON || !message.is_by(author);",
        breaks: "a message is said although its user has lost its name",
    },
    Planted {
        file: "nodes/link/room.rs",
        before: "message.author.as_ref().is_none_or(|author| self.people.has(author))",
        after: "message.author.as_ref().is_none_or(|author| ON || self.people.has(author))",
        breaks: "a message is said that is handed in after its user has lost its name",
    },
    Planted {
        file: "nodes/link/people.rs",
        before: "What::Leave(leave) => !is_saying(&leave.key),",
        after: "What::Leave(leave) => ON || !is_saying(&leave.key),",
        breaks: "a name is given up before what was said under it",
    },
    Planted {
        file: "nodes/link/people.rs",
        before: "Some(claim) if !is_here => {",
        after: "Some(claim) if !is_here && !ON => {",
        breaks: "a user is gone because of a command that was stuck in an old connection",
    },
];

/// Puts a bug into a source, with the switch of this number.
///
/// # Errors
/// The text that it changes is not there, or more than once.
pub fn plant(source: &str, number: usize, bug: &Planted) -> Result<String, String> {
    let found = source.matches(bug.before).count();
    if found != 1 {
        return Err(format!("src/{} has this {found} times, not once: {}", bug.file, bug.before));
    }
    let after = replace_word(bug.after, "ON", &format!("crate::planted::is_on({number})"));
    Ok(source.replacen(bug.before, &after, 1))
}

/// Replaces a word that stands between characters that are no letters.
fn replace_word(text: &str, word: &str, by: &str) -> String {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, behind) = (&rest[..at], &rest[at + word.len()..]);
        let is_letter = |c: char| c.is_alphanumeric() || c == '_';
        let is_word = !before.ends_with(is_letter) && !behind.starts_with(is_letter);
        replaced.push_str(before);
        replaced.push_str(if is_word { by } else { word });
        rest = behind;
    }
    replaced.push_str(rest);
    replaced
}

/// The module that the copy of the crate gets: one switch, set by the environment.
pub const SWITCH: &str = r#"
mod planted {
    /// Whether this bug is switched on.
    pub(crate) fn is_on(number: usize) -> bool {
        use std::sync::OnceLock;
        static ON: OnceLock<Option<usize>> = OnceLock::new();
        *ON.get_or_init(|| std::env::var("PLANTED").ok()?.parse().ok()) == Some(number)
    }
}
"#;
