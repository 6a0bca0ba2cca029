//! What a server does with each TCP connection of an `HttpServer`.

use std::any::Any;

use actix_web::dev::Extensions;

use super::Server;
use crate::connection::socket;

impl Server {
    /// Prepares each new TCP connection, for [`HttpServer::on_connect`](actix_web::HttpServer::on_connect): the library can
    /// then close that of a client that takes nothing for the [stall timeout](super::Builder::stall_timeout), and on Linux
    /// the kernel does so, too (RFC 5482). Without it such a client loses its session, and its connection is left to the
    /// timeouts of the `HttpServer`. Connections over TLS are left alone.
    pub fn on_connect(&self) -> impl Fn(&dyn Any, &mut Extensions) + Clone + Send + Sync + 'static {
        let stall_timeout = self.0.core.engine.settings.stall_timeout;
        move |io, data| socket::on_connect(io, data, stall_timeout)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::rt::net::{TcpListener, TcpStream};

    use super::*;
    use crate::connection::socket::Guard;

    #[actix_web::test]
    async fn a_new_connection_can_be_closed_by_the_library() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let client =
            TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a connection");
        let prepare = Server::builder().build().on_connect();
        let mut data = Extensions::new();
        prepare(&"something else", &mut data);
        assert!(!data.contains::<Guard>());
        prepare(&client, &mut data);
        assert!(data.contains::<Guard>());
    }
}
