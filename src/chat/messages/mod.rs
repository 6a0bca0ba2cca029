//! Messages to the chat server, and what it tells sessions.

mod news;
mod requests;

pub use self::{
    news::{Behind, ChatNews, LoggedIn, Rejected, Reply, Tail, UsersPage},
    requests::{
        AskedRoom, CaughtUp, CloseJournal, ForgetRoom, ListRooms, ListUsers, ListedRoom, Login, Logout,
        MayEnter, Payload, Post, Publish, Register, RoomList, SendPrivate, ShowTyping, Summarize, Summary,
        Unregister,
    },
};
