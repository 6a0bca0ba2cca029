//! Clients that come back (connection state recovery).

use bytestring::ByteString;

use super::{Client, Held, Joined, admission::ComesBack};
use crate::{
    domain::SocketId,
    socketio::{
        Ending,
        handle::SessionHandle,
        rooms::messages::{Info, Recover, Recovered},
        socket::{Place, Socket},
    },
};

/// A socket that waits for the room server's reply to a recovery.
pub(super) struct Returning {
    pub(super) place: Place,
    pid: ByteString,
    /// The socket that was admitted before; `None` if a recovered client need not be admitted again.
    admitted: Option<Socket>,
    pub(super) held: Held,
}

impl Returning {
    /// The client has gone before the reply.
    pub(super) fn give_up(&self) {
        if let Some(admitted) = &self.admitted {
            admitted.abandon();
        }
    }
}

impl Client {
    /// Asks the room server to recover a socket.
    pub(super) fn come_back(
        &mut self,
        place: Place,
        comes_back: ComesBack,
        admitted: Option<Socket>,
        held: Held,
    ) {
        let Some(seat) = self.seat_of(&place) else {
            return;
        };
        self.open_outlet(&place);
        let ComesBack { pid, offset } = comes_back;
        let (desk, namespace) = (&self.setup.desk, place.namespace.clone());
        desk.room_server.do_send(Recover {
            socket: place.id,
            worker: desk.worker,
            seat,
            namespace: namespace.clone(),
            pid: pid.clone(),
            offset,
            info: admitted.as_ref().map(|socket| -> Info { socket.info() }),
            revive: self.setup.keeps_sessions.then(|| place.revive()),
        });
        let returning = Returning { place, pid, admitted, held };
        self.joined.insert(namespace, Joined::Returning(Box::new(returning)));
    }

    /// Takes the room server's reply to a recovery.
    pub(super) fn returned(&mut self, id: SocketId, state: Option<&Recovered>, handle: &SessionHandle) {
        let is_it = |joined: &Joined| matches!(joined, Joined::Returning(_)) && joined.id() == id;
        let found = self.joined.iter().find(|(_, joined)| is_it(joined)).map(|(name, _)| name.clone());
        let Some(Joined::Returning(returning)) = found.and_then(|name| self.joined.remove(&name)) else {
            return;
        };
        let Returning { place, pid, admitted, held } = *returning;
        let Some(state) = state else {
            let begun = match admitted {
                Some(socket) => {
                    self.begin(&socket, &place, held);
                    Ok(())
                }
                None => self.admit(place, None, held),
            };
            return begun.unwrap_or_else(|_| handle.end(Ending::ParseError));
        };
        // First the missed events, then the CONNECT reply.
        for missed in &state.missed {
            handle.missed(missed.packet.clone(), &missed.attachments);
        }
        let socket = Socket::again(place, pid, state);
        socket.take_info(state);
        match admitted {
            // Admitted anew: its data and rooms count.
            Some(admitted) => socket.take_over(&admitted),
            None => socket.take_data_again(),
        }
        // The session may have upgraded meanwhile.
        socket.note_compression();
        self.welcome(&socket, held, handle);
    }
}
