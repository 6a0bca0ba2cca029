//! Messages to the chat server, and what it tells sessions.

mod news;
mod request;
mod requests;

pub(crate) use self::{
    news::{Behind, ChatNews, LoggedIn, Rejected, Reply, Tail, UsersPage},
    request::Request,
    requests::{
        AskedRoom, CaughtUp, CloseJournal, ForgetRoom, ListRooms, ListUsers, ListedRoom, Login, Logout,
        MOST_LISTED, MayEnter, Payload, Post, Publish, Register, RoomList, SendPrivate, ShowTyping, Stop,
        Summarize, Summary, Unregister,
    },
};
