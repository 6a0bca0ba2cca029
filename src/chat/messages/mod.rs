//! Messages to the chat server, and what it tells sessions.

mod news;
mod request;
mod requests;

pub(crate) use self::requests::{
    AskedRoom, ListRooms, ListedRoom, MOST_LISTED, MayEnter, RoomList, SizeUp, Stop, Summarize, Summary,
};
pub use self::{
    news::{Behind, ChatNews, LoggedIn, Rejected, Reply, Tail, UsersPage},
    request::Request,
    requests::{
        CaughtUp, ListUsers, Login, Logout, Payload, Post, Publish, Register, SendPrivate, ShowTyping,
        Unregister, UntilKept,
    },
};
