//! Sockets as servers show them to each other.

use self::handshake::handshake_json;
pub(crate) use self::handshake::handshake_of;
use super::{cluster::SocketShown, rooms::messages::SocketFound, socket::SocketInfo};

mod date;
mod handshake;

/// A socket of this server as others see it. The headers of its handshake may have secrets, such as cookies, and are left
/// out unless `with_headers` is set. May be called on any thread; it runs the program's code that encodes its data.
pub(crate) fn shown(found: &SocketFound, with_headers: bool) -> SocketShown {
    let SocketFound { sid, rooms, info } = found;
    let info = info.downcast_ref::<SocketInfo>();
    SocketShown {
        id: sid.clone(),
        rooms: rooms.clone(),
        handshake: info.map_or("{}".into(), |info| handshake_json(&info.handshake, with_headers).into()),
        data: info.map_or("{}".into(), SocketInfo::data_json),
    }
}
