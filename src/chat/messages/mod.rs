//! Messages to the chat server, and what it tells sessions.

mod news;
mod requests;

pub(crate) use self::{
    news::{Behind, ChatNews, Entered, Refusal, Reply, Tail, UsersPage},
    requests::{
        AskedRoom, CloseJournal, Depart, Enter, ForgetRoom, ListRooms, ListUsers, ListedRoom, Listen,
        MayEnter, Payload, Post, Publish, Register, RoomList, ShowTyping, Summarize, Summary, Unregister,
        Whisper,
    },
};
