//! Messages between actors about rooms. Sessions take [`Delivery`] through a `Recipient`, so this module does
//! not depend on them.

mod deliveries;
mod hub;
mod orders;
mod requests;

pub use self::{
    deliveries::{
        Behind, ChatNews, Cutter, Delivery, Dismissal, Entered, News, Refusal, Reply, Seat, Tail, UsersPage,
        Waiting,
    },
    hub::{
        Answer, Answers, Connect, Disconnect, Emission, Emit, EmitWithAck, EnterRoom, Guarantee, Keep,
        QuitRoom, Recover, Recovered, SocketNews, Target,
    },
    orders::{Attach, Detach, FanOutRound, Hear, Ignore, Tell},
    requests::{
        AddWorker, AskedRoom, CloseJournal, Depart, DismissAll, Enter, ForgetRoom, Join, Leave, ListRooms,
        ListUsers, ListedRoom, Listen, MayEnter, Payload, Post, Publish, RoomHead, RoomList, ShowTyping,
        Summarize, Summary, Whisper,
    },
};
