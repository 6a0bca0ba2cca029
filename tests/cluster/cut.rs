//! A TCP proxy between a client and its server that can freeze, cut, refuse and re-target the connections.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// A direction in which bytes pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Requests,
    /// From the server to the client.
    Answers,
}

/// The proxy. Ended when dropped, with its connections.
pub struct Cut {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    target: SocketAddr,
    frozen: Vec<Way>,
    refuses: bool,
    is_over: bool,
    /// Both sockets of each connection.
    connections: Vec<[TcpStream; 2]>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while bytes of this direction are held back.
    fn wait(&self, way: Way) {
        let wait =
            self.changed.wait_while(self.state(), |state| !state.is_over && state.frozen.contains(&way));
        drop(wait);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }
}

impl Cut {
    /// Begins to pass connections on to a server.
    pub fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let state =
            State { target, frozen: Vec::new(), refuses: false, is_over: false, connections: Vec::new() };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &accepting));
        Self { address, shared }
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Holds back all bytes of both directions. Connections stay, new ones are taken and get no answer.
    pub fn freeze(&self) {
        self.shared.change(|state| state.frozen = vec![Way::Requests, Way::Answers]);
    }

    /// Holds back the bytes of one direction.
    pub fn freeze_only(&self, way: Way) {
        self.shared.change(|state| state.frozen = vec![way]);
    }

    /// Passes on what was held back, and what comes.
    pub fn go_on(&self) {
        self.shared.change(|state| (state.frozen, state.refuses) = (Vec::new(), false));
    }

    /// Ends all connections with a reset. What was held back is lost. New connections are passed on.
    pub fn cut(&self) {
        self.shared.change(|state| state.connections.drain(..).for_each(reset));
    }

    /// Ends all connections with a reset, and new ones as soon as they are there, until [`Cut::go_on`].
    pub fn refuse(&self) {
        self.shared.change(|state| {
            state.refuses = true;
            state.connections.drain(..).for_each(reset);
        });
    }

    /// Passes new connections on to another server, and cuts those that there are.
    pub fn re_target(&self, target: SocketAddr) {
        self.shared.change(|state| {
            state.target = target;
            state.connections.drain(..).for_each(reset);
        });
    }

    /// The number of connections that pass.
    pub fn connections(&self) -> usize {
        self.shared.state().connections.len()
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.shared.change(|state| {
            state.is_over = true;
            state.connections.drain(..).for_each(reset);
        });
        // The thread that accepts sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

fn reset(pair: [TcpStream; 2]) {
    for stream in pair {
        // It may have ended meanwhile.
        let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        let (target, refuses) = {
            let state = shared.state();
            if state.is_over {
                return;
            }
            (state.target, state.refuses)
        };
        let Ok(client) = client else { continue };
        // A client whose server is away is hung up on.
        if refuses {
            continue;
        }
        let Ok(server) = TcpStream::connect(target) else { continue };
        if pass_on(shared, client, server).is_err() {
            eprintln!("a connection ended before it was passed on");
        }
    }
}

/// Begins to pass on the bytes of a connection.
fn pass_on(shared: &Arc<Shared>, client: TcpStream, server: TcpStream) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let pair = [client.try_clone()?, server.try_clone()?];
    let port = client.peer_addr()?;
    let mut state = shared.state();
    if state.refuses || state.is_over {
        return Ok(());
    }
    state.connections.push(pair);
    drop(state);
    let (client_too, server_too) = (client.try_clone()?, server.try_clone()?);
    for (from, to, way) in [(client, server, Way::Requests), (server_too, client_too, Way::Answers)] {
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            pump(&shared, &from, &to, way);
            // One end is the end of both: neither Redis nor a WebSocket goes on with half a connection.
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            shared.state().connections.retain(|[client, _]| client.peer_addr().is_ok_and(|own| own != port));
        });
    }
    Ok(())
}

fn pump(shared: &Shared, mut from: &TcpStream, mut to: &TcpStream, way: Way) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        shared.wait(way);
        if to.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};

    use super::*;

    /// A server that answers each line with itself, behind a proxy.
    fn echo() -> (Cut, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
            }
        });
        (Cut::to(address), address)
    }

    fn connect(cut: &Cut) -> BufReader<TcpStream> {
        BufReader::new(TcpStream::connect(cut.address()).expect("connected"))
    }

    /// Sends a line, and waits for an answer, for so long.
    fn ask(stream: &mut BufReader<TcpStream>, line: &str, wait: Duration) -> Option<String> {
        stream.get_ref().set_read_timeout(Some(wait)).expect("a timeout");
        stream.get_mut().write_all(line.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_line(&mut answer).ok().filter(|read| *read > 0).map(|_| answer)
    }

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(50);

    #[test]
    fn what_a_frozen_proxy_holds_back_comes_when_it_goes_on() {
        let (cut, _) = echo();
        let mut stream = connect(&cut);
        assert_eq!(ask(&mut stream, "one\n", LONG).as_deref(), Some("one\n"));
        for freeze in [|cut: &Cut| cut.freeze(), |cut: &Cut| cut.freeze_only(Way::Answers)] {
            freeze(&cut);
            assert_eq!(ask(&mut stream, "two\n", SHORT), None);
            cut.go_on();
            assert_eq!(ask(&mut stream, "", LONG).as_deref(), Some("two\n"));
        }
    }

    #[test]
    fn a_cut_ends_connections_and_takes_new_ones_unless_it_refuses() {
        let (cut, target) = echo();
        let mut stream = connect(&cut);
        assert!(ask(&mut stream, "one\n", LONG).is_some());
        cut.cut();
        assert_eq!((ask(&mut stream, "two\n", LONG), cut.connections()), (None, 0));
        assert!(ask(&mut connect(&cut), "three\n", LONG).is_some());
        cut.refuse();
        assert_eq!(ask(&mut connect(&cut), "four\n", LONG), None);
        cut.go_on();
        cut.re_target(target);
        assert!(ask(&mut connect(&cut), "five\n", LONG).is_some());
    }
}
