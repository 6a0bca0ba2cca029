//! Direct delivery from the fan-outs of a session's thread to its sockets.

use std::{cell::Cell, fmt, rc::Rc};

use bytes::Bytes;

use super::downlink::Downlink;
use crate::connection::{Direct, DirectOutlet};

/// The outlet of one socket of a session.
pub(super) struct SocketOutlet {
    down: Downlink,
    state: Rc<OutletState>,
}

/// Shared by an outlet and its session's outgoing queue.
#[derive(Debug, Default)]
pub(super) struct OutletState {
    /// Messages for the socket in its session's mailbox. Direct delivery must not overtake them.
    mail: Cell<usize>,
    /// The socket has left its namespace.
    is_closed: Cell<bool>,
}

impl OutletState {
    pub(super) fn close(&self) {
        self.is_closed.set(true);
    }

    /// The session took one message for the socket from its mailbox.
    pub(super) fn take_mail(&self) {
        self.mail.set(self.mail.get().saturating_sub(1));
    }
}

impl SocketOutlet {
    pub(super) fn new(down: Downlink, state: Rc<OutletState>) -> Self {
        Self { down, state }
    }
}

impl DirectOutlet for SocketOutlet {
    fn deliver(&self, frames: &[Bytes], bytes: usize, is_volatile: bool) -> Direct {
        if self.state.is_closed.get() {
            return Direct::Gone;
        }
        if self.state.mail.get() > 0 {
            return Direct::BehindMail;
        }
        self.down.take_delivery(frames, bytes, is_volatile)
    }

    fn note_mail(&self) {
        self.state.mail.set(self.state.mail.get() + 1);
    }
}

impl fmt::Debug for SocketOutlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketOutlet").field("state", &self.state).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        connection::{Budget, Intake, Lease},
        domain::SessionId,
        socketio::{
            carrier::{
                Carrier,
                testing::{Client, carrier},
            },
            downlink::Transport,
        },
    };

    const MOST: usize = 1000;

    fn session() -> (Downlink, Carrier, Client) {
        let budget = Budget::new(1 << 20);
        let (carrier, client) = carrier(false);
        let transport = Transport::WebSocket(carrier.clone());
        let intake = Intake::new(1, Arc::clone(&budget));
        (Downlink::new(transport, intake, None, MOST, Lease::of_waiting(budget)), carrier, client)
    }

    fn deliver(outlet: &Rc<dyn DirectOutlet>, bytes: usize, is_volatile: bool) -> Direct {
        outlet.deliver(&[vec![b'x'; bytes].into()], bytes, is_volatile)
    }

    #[test]
    fn what_is_delivered_stays_behind_the_mail_of_its_own_socket() {
        let (down, carrier, _client) = session();
        let (one, two) = (SessionId::next(), SessionId::next());
        let outlets = [one, two].map(|socket| down.open_outlet(socket));
        for _ in 0..3 {
            outlets[0].note_mail();
            outlets[0].note_mail();
            assert!(down.take_mail(one));
            assert_eq!(deliver(&outlets[0], 1, false), Direct::BehindMail);
            assert_eq!(deliver(&outlets[1], 1, false), Direct::Taken);
            assert!(down.take_mail(one));
            assert_eq!(deliver(&outlets[0], 1, false), Direct::Taken);
        }
        assert_eq!(carrier.waiting_bytes(), 6);
    }

    #[test]
    fn a_socket_that_has_left_and_a_session_that_has_ended_are_delivered_nothing() {
        let (down, carrier, _client) = session();
        let sockets = [SessionId::next(), SessionId::next()];
        let outlets = sockets.map(|socket| down.open_outlet(socket));
        down.close_outlet(sockets[0]);
        assert_eq!(outlets.each_ref().map(|outlet| deliver(outlet, 1, false)), [Direct::Gone, Direct::Taken]);
        assert!(!down.take_mail(sockets[0]) && down.take_mail(sockets[1]));
        down.close();
        assert_eq!(deliver(&outlets[1], 1, false), Direct::Gone);
        assert_eq!(carrier.waiting_bytes(), 1);
    }

    #[test]
    fn volatile_frames_are_skipped_while_the_transport_is_not_writable() {
        let (down, carrier, _client) = session();
        let outlet = down.open_outlet(SessionId::next());
        for _ in 0..3 {
            assert_eq!(deliver(&outlet, 1, true), Direct::Taken);
            assert_eq!(deliver(&outlet, MOST, false), Direct::Taken);
            assert_eq!(deliver(&outlet, 1, true), Direct::Skipped);
            carrier.clear();
        }
    }

    #[test]
    fn a_session_with_too_much_waiting_is_full() {
        let (down, _carrier, _client) = session();
        let outlet = down.open_outlet(SessionId::next());
        // The connection has not run yet, so the higher limit applies.
        while deliver(&outlet, 64 * 1024, false) == Direct::Taken {}
        assert_eq!(deliver(&outlet, 1, false), Direct::Full);
    }
}
