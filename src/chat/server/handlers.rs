//! What comes by the mailbox of a shard.

use actix::{Context, Handler, Message, MessageResult, ResponseFuture};

use super::ChatServer;
use crate::{
    broadcast::{AddWorker, DismissAll, Turns as _},
    chat::{
        calls::{Answer, Call},
        effects::Input,
        handing::Decided,
        messages::{ListRooms, MayEnter, Rejected, Request, RoomList, SizeUp, Stop, Summarize, Summary},
        transfer::ToShard,
    },
    nodes::contract::Heard,
    parts::AreYouThere,
};

impl ChatServer {
    /// Has the shard handle one of the inputs of this turn.
    fn feed_in_turn(&mut self, input: Input, ctx: &mut Context<Self>) {
        self.waiting.taken();
        self.feed(input, ctx);
        self.count_turn(ctx);
    }
}

impl Handler<Request> for ChatServer {
    type Result = ();

    fn handle(&mut self, request: Request, ctx: &mut Self::Context) {
        self.feed_in_turn(Input::Request(request), ctx);
    }
}

impl Handler<ToShard> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: ToShard, ctx: &mut Self::Context) {
        self.feed_in_turn(Input::FromShard(message), ctx);
    }
}

impl Message for Decided {
    type Result = ();
}

impl Handler<Decided> for ChatServer {
    type Result = ();

    fn handle(&mut self, decided: Decided, ctx: &mut Self::Context) {
        self.feed_in_turn(Input::Decided(decided), ctx);
    }
}

impl Message for Heard {
    type Result = ();
}

impl Handler<Heard> for ChatServer {
    type Result = ();

    fn handle(&mut self, heard: Heard, ctx: &mut Self::Context) {
        self.feed_in_turn(Input::Heard(heard), ctx);
    }
}

impl Handler<AddWorker> for ChatServer {
    type Result = ();

    fn handle(&mut self, AddWorker { worker, fanout }: AddWorker, _: &mut Self::Context) {
        self.waiting.taken();
        self.fanouts.add(worker, fanout);
    }
}

impl Handler<DismissAll> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: DismissAll, _: &mut Self::Context) {
        self.waiting.taken();
        self.fanouts.dismiss_all(&message);
    }
}

impl Handler<Stop> for ChatServer {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        self.feed(Input::Stop, ctx);
        self.send();
    }
}

impl Message for Call {
    type Result = Answer;
}

impl Handler<Call> for ChatServer {
    type Result = ResponseFuture<Answer>;

    fn handle(&mut self, call: Call, ctx: &mut Self::Context) -> Self::Result {
        let (id, answer) = self.answers.expect();
        self.feed(Input::Call(id, call), ctx);
        self.send();
        answer
    }
}

impl Handler<MayEnter> for ChatServer {
    type Result = Result<(), Rejected>;

    fn handle(&mut self, MayEnter { room, address }: MayEnter, _: &mut Self::Context) -> Self::Result {
        let now = self.now();
        self.shard.may_enter(now, &room, address)
    }
}

impl Handler<ListRooms> for ChatServer {
    type Result = RoomList;

    fn handle(&mut self, ListRooms { asked }: ListRooms, _: &mut Self::Context) -> RoomList {
        let now = self.now();
        self.shard.list_rooms(now, asked)
    }
}

impl Handler<SizeUp> for ChatServer {
    type Result = MessageResult<SizeUp>;

    fn handle(&mut self, _: SizeUp, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.shard.room_sizes())
    }
}

impl Handler<Summarize> for ChatServer {
    type Result = Summary;

    fn handle(&mut self, _: Summarize, _: &mut Self::Context) -> Summary {
        self.shard.summary(self.asking.journal().damage())
    }
}

impl Handler<AreYouThere> for ChatServer {
    type Result = ();

    fn handle(&mut self, _: AreYouThere, _: &mut Self::Context) {}
}
