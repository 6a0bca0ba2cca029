//! Rejected requests at the doors of WebSocket sessions.

use actix_web::{
    HttpResponse, ResponseError,
    error::QueryPayloadError,
    http::{StatusCode, header},
};

use crate::{
    connection::admission::Full,
    domain::RoomNameError,
    logging::Shown,
    session::lesson::TooManyLessons,
    web::{
        handshake::{self, RETRY_AFTER},
        in_words,
    },
};

/// A rejected request. Its message is the body of the response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Rejected {
    /// The handshake is not valid, its page is foreign, or the server is full.
    #[error(transparent)]
    Handshake(#[from] handshake::Rejected),
    /// The query cannot be parsed.
    #[error("the query cannot be read: {}", Shown(&.0.to_string()))]
    BadQuery(QueryPayloadError),
    /// `?room=` is not a valid room name.
    #[error("?room=: {0}")]
    BadRoom(RoomNameError),
    /// A new room would exceed the bound on rooms.
    #[error("there are as many rooms as the server takes (--max-rooms)")]
    TooManyRooms,
    /// A new room would exceed the rate of new rooms of the client's address.
    #[error("your address has made as many rooms in the last minute as it may (--max-new-rooms-per-minute)")]
    TooManyNewRooms,
    /// The chat server does not answer.
    #[error("the chat server does not answer")]
    NoChat,
    /// The lesson would exceed a bound.
    #[error(transparent)]
    TooManyLessons(#[from] TooManyLessons),
}

impl From<Full> for Rejected {
    fn from(full: Full) -> Self {
        Self::Handshake(handshake::Rejected::Full(full))
    }
}

impl Rejected {
    /// The label of the reason in the metrics.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Handshake(error) => error.word(),
            Self::BadQuery(_) | Self::BadRoom(_) => "room",
            Self::TooManyRooms => "rooms",
            Self::TooManyNewRooms => "new rooms",
            Self::NoChat => "chat server",
            Self::TooManyLessons(_) => "lessons",
        }
    }
}

impl ResponseError for Rejected {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Handshake(error) => error.status_code(),
            Self::TooManyRooms | Self::TooManyNewRooms | Self::NoChat | Self::TooManyLessons(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::BadQuery(_) | Self::BadRoom(_) => StatusCode::BAD_REQUEST,
        }
    }

    fn error_response(&self) -> HttpResponse {
        if let Self::Handshake(error) = self {
            return error.error_response();
        }
        let status = self.status_code();
        let mut response = HttpResponse::build(status);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((header::RETRY_AFTER, RETRY_AFTER));
        }
        in_words(response, self)
    }
}
