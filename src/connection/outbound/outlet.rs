//! Direct delivery from the fan-outs of a session's thread.

use std::{cell::Cell, rc::Rc};

use bytes::Bytes;

use super::Outbound;
use crate::connection::{Direct, DirectOutlet};

/// One member of rooms on a connection: a session, or one of its sockets. Fan-outs deliver to it.
#[derive(Debug)]
pub struct Outlet {
    outbound: Outbound,
    /// Messages for the member in its session's mailbox. Direct delivery must not overtake them.
    mail: Cell<usize>,
    /// The member has left.
    is_closed: Cell<bool>,
}

impl Outbound {
    /// Opens an outlet for a new member.
    pub fn open_outlet(&self) -> Rc<Outlet> {
        Rc::new(Outlet { outbound: self.clone(), mail: Cell::new(0), is_closed: Cell::new(false) })
    }
}

impl Outlet {
    /// Refuses deliveries from now on: the member has left.
    pub fn close(&self) {
        self.is_closed.set(true);
    }

    /// Notes that the session took a message for the member from its mailbox.
    pub fn take_mail(&self) {
        self.mail.set(self.mail.get().saturating_sub(1));
    }
}

impl DirectOutlet for Outlet {
    fn deliver(&self, frames: &[Bytes], bytes: usize, is_volatile: bool) -> Direct {
        if self.is_closed.get() {
            return Direct::Gone;
        }
        if self.mail.get() > 0 {
            return Direct::BehindMail;
        }
        self.outbound.take_delivery(frames, bytes, is_volatile)
    }

    fn note_mail(&self) {
        self.mail.set(self.mail.get() + 1);
    }
}
