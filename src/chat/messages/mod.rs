//! What actors say to each other about rooms. Sessions, which live a floor above, take [`Delivery`] through a
//! `Recipient`, so nothing here knows them.

mod deliveries;
mod hub;
mod orders;
mod requests;

pub use self::{
    deliveries::{
        Behind, Cutter, Delivery, Dismissal, Entered, Refusal, Reply, Seat, Tail, UsersPage, Waiting,
    },
    hub::{
        Answer, Answers, Connect, Disconnect, Emission, Emit, EmitWithAck, EnterRoom, Guarantee, HubReply,
        Keep, QuitRoom, Recover, Recovered, Target,
    },
    orders::{Attach, Detach, FanOutRound, Hear, Ignore, Tell},
    requests::{
        AddWorker, AskedRoom, CloseJournal, Depart, DismissAll, Enter, ForgetRoom, Join, Leave, ListRooms,
        ListUsers, ListedRoom, Listen, MayEnter, Payload, Post, Publish, RoomHead, RoomList, ShowTyping,
        Summarize, Summary, Whisper,
    },
};
