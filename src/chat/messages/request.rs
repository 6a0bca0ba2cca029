//! Any request of a session to its shard.

use actix::Message;

use super::{
    CaughtUp, ListUsers, Login, Logout, Post, Publish, Register, SendPrivate, ShowTyping, Unregister,
    UntilKept,
};
use crate::domain::MemberId;

/// A request of a session.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum Request {
    /// See [`Register`].
    Register(Register),
    /// See [`Unregister`].
    Unregister(Unregister),
    /// See [`Publish`].
    Publish(Publish),
    /// See [`Login`].
    Login(Login),
    /// See [`CaughtUp`].
    CaughtUp(CaughtUp),
    /// See [`Post`].
    Post(Post),
    /// See [`SendPrivate`].
    SendPrivate(SendPrivate),
    /// See [`ListUsers`].
    ListUsers(ListUsers),
    /// See [`UntilKept`].
    UntilKept(UntilKept),
    /// See [`ShowTyping`].
    ShowTyping(ShowTyping),
    /// See [`Logout`].
    Logout(Logout),
}

macro_rules! requests {
    ($($name:ident),*) => {
        $(impl From<$name> for Request {
            fn from(request: $name) -> Self {
                Self::$name(request)
            }
        })*
    };
}

requests!(
    Register,
    Unregister,
    Publish,
    Login,
    CaughtUp,
    Post,
    SendPrivate,
    ListUsers,
    UntilKept,
    ShowTyping,
    Logout
);

impl Request {
    /// The session that asks.
    pub fn member(&self) -> MemberId {
        match self {
            Self::Register(Register { member, .. })
            | Self::Unregister(Unregister { member, .. })
            | Self::Publish(Publish { member, .. })
            | Self::Login(Login { member, .. })
            | Self::CaughtUp(CaughtUp { member, .. })
            | Self::Post(Post { member, .. })
            | Self::SendPrivate(SendPrivate { member, .. })
            | Self::ListUsers(ListUsers { member, .. })
            | Self::UntilKept(UntilKept { member, .. })
            | Self::ShowTyping(ShowTyping { member, .. })
            | Self::Logout(Logout { member, .. }) => *member,
        }
    }
}
