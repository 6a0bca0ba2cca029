//! What the chat asks of a link.

use std::time::Instant;

use super::{
    Link,
    room::Room,
    turn::{About, Output, RoomCall},
};
use crate::nodes::{
    commands::Command,
    contract::{Away, Heard, Order},
};

impl Link {
    pub(super) fn order(&mut self, order: Order, now: Instant, out: &mut Vec<Output>) {
        let away = self.why_away();
        match order {
            Order::Open(name) => {
                self.rooms.entry(name.clone()).or_insert_with(|| Room::new(name.clone()));
                self.with_room(&name, now, out, Room::open);
            }
            Order::Close(name) => self.with_room(&name, now, out, |room, _| room.close()),
            Order::Say(name, messages) => {
                self.with_room(&name, now, out, |room, turn| room.say(messages, turn));
            }
            Order::Show(name, payload) => {
                if away.is_none() {
                    self.with_room(&name, now, out, |room, _| room.saying.show(payload));
                }
            }
            Order::Enter(name, ask, claim) => match away {
                Some(why) => out.push(Output::Tell(Heard::Entered(name, ask, Err(why.into())))),
                None => self.with_room(&name, now, out, |room, _| room.people.enter(ask, claim)),
            },
            Order::Leave(name, leave) => {
                self.with_room(&name, now, out, |room, _| room.people.leave(leave));
            }
            Order::Whisper(name, to, payload) => self.with_room(&name, now, out, |room, turn| {
                if turn.open.contains(room.partition()) {
                    let (room, node) = (name.clone(), turn.node);
                    turn.call(About::Nothing, Command::Whisper { room, node, to, payload });
                }
            }),
            Order::Forget(name, ask) => match away {
                Some(why) => out.push(Output::Tell(Heard::Forgetting(ask, Err(why)))),
                None => {
                    let (mut turn, _) = self.turn(now, out);
                    turn.call_of(&name, RoomCall::Forget(ask), Command::Forget { room: name.clone() });
                }
            },
            Order::KeepPicture(picture) => {
                let (mut turn, parts) = self.turn(now, out);
                parts.pictures.keep(picture, &mut turn);
            }
            Order::Sizes(sizes) => {
                let (mut turn, parts) = self.turn(now, out);
                parts.sizes.tell(sizes, &mut turn);
            }
        }
    }

    /// Why nothing can be asked of Redis; `None` if it can, now or in a moment.
    fn why_away(&self) -> Option<Away> {
        self.refusal.clone().or_else(|| self.joining.why_away())
    }
}
