//! The table of close reasons of a WebSocket: code, reason, and whether to reconnect (RFC 6455, section 7.4).

use super::retry::Retry;

/// One row of the table: the content of the close frame, and what the client should do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseReason {
    /// The status code, RFC 6455 section 7.4.1.
    pub code: u16,
    /// The reason in the close frame.
    pub reason: &'static str,
    /// When a well-behaved client may reconnect.
    pub retry: Retry,
    /// Whether it may reconnect.
    pub reconnect: bool,
}

const fn row(code: u16, reason: &'static str, retry: Retry) -> CloseReason {
    CloseReason { code, reason, retry, reconnect: !matches!(retry, Retry::Never) }
}

/// The client did not answer pings in time.
pub const AWAY: CloseReason = row(1001, "no answer to our ping", Retry::AtOnce);
/// The bytes break RFC 6455.
pub const PROTOCOL_ERROR: CloseReason = row(1002, "protocol error", Retry::Never);
/// A text or a close reason is not UTF-8, or a compressed message cannot be inflated.
pub const INVALID_TEXT: CloseReason = row(1007, "invalid payload data", Retry::Never);
/// The client exceeded its message rate for too long.
pub const FLOOD: CloseReason = row(1008, "too many messages", Retry::Never);
/// The client did not complete a message in time.
pub const TOO_SLOW: CloseReason = row(1008, "a message came too slowly", Retry::Never);
/// The client did not log in in time.
pub const NOT_LOGGED_IN: CloseReason = row(1008, "no login", Retry::Never);
/// A message exceeds the size or fragment limit.
pub const TOO_BIG: CloseReason = row(1009, "message too big", Retry::Never);
/// The server stops, and probably restarts.
pub const RESTART: CloseReason = row(1012, "server restarts", Retry::Later);
/// A new room would exceed the bound on rooms.
pub const TOO_MANY_ROOMS: CloseReason = row(1013, "too many rooms", Retry::Later);
/// The backlog of the session exceeded its bound.
pub const SLOW_CONSUMER: CloseReason = row(1013, "slow consumer", Retry::Later);
/// The messages that the client is catching up on are gone or unreadable, so a gap would follow.
pub const BEHIND: CloseReason = row(1013, "what follows is missing", Retry::Later);

/// The budget of the process is used up, and this session needed more.
pub const OUT_OF_MEMORY: CloseReason = row(1013, "the server is out of memory for messages", Retry::Later);

/// All rows of the table.
pub const ALL: [CloseReason; 12] = [
    AWAY,
    PROTOCOL_ERROR,
    INVALID_TEXT,
    FLOOD,
    TOO_SLOW,
    NOT_LOGGED_IN,
    TOO_BIG,
    RESTART,
    TOO_MANY_ROOMS,
    SLOW_CONSUMER,
    BEHIND,
    OUT_OF_MEMORY,
];

/// Every code with which a client's connection can end, once each, and when the client may reconnect.
/// Includes the client's own close, answered with its code, and the codes that a client reports for a
/// connection without a code or without a close frame.
pub fn retries() -> impl Iterator<Item = (u16, Retry)> {
    let others = [(NORMAL, Retry::Never), (NO_CODE, Retry::AtOnce), (LOST, Retry::Later)];
    let rows = ALL.iter().map(|row| (row.code, row.retry));
    let all: std::collections::BTreeMap<_, _> = rows.chain(others).collect();
    all.into_iter()
}

/// The client closed the connection.
pub const NORMAL: u16 = 1000;

/// A connection that ended without a close frame; never sent (RFC 6455, section 7.4.1).
pub const LOST: u16 = 1006;

/// A close frame without a code; never sent.
pub const NO_CODE: u16 = 1005;

/// Whether a peer may send `code` in a close frame: the registered codes without those that must not be sent
/// (1004-1006, 1015), and the ranges for libraries and applications.
pub fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_may_be_sent_and_fits_a_control_frame() {
        for row in ALL {
            assert!(may_be_sent(row.code), "{row:?}");
            assert!(row.reason.len() + 2 <= 125, "{row:?}");
        }
    }

    #[test]
    fn rows_of_one_code_agree_on_when_to_come_back() {
        for row in ALL {
            assert!(retries().any(|known| known == (row.code, row.retry)), "{row:?}");
        }
        assert_eq!(retries().count(), 10);
    }

    #[test]
    fn codes_that_never_travel_are_refused() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
            assert!(!may_be_sent(code), "{code}");
        }
        for code in [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999] {
            assert!(may_be_sent(code), "{code}");
        }
    }
}
