//! Messages to the chat server, and what it tells sessions.

mod news;
mod requests;

pub(crate) use self::{
    news::{Behind, ChatNews, Entered, Refusal, Reply, Tail, UsersPage},
    requests::{
        AskedRoom, CloseJournal, Depart, Enter, ForgetRoom, Join, Leave, ListRooms, ListUsers, ListedRoom,
        Listen, MayEnter, Payload, Post, Publish, RoomList, ShowTyping, Summarize, Summary, Whisper,
    },
};
