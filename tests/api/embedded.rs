//! An engine of Socket.IO behind its door, in an application of actix-web's own server, without namespaces.

use actix_web::{App, HttpServer, rt};
use echoroom::socketio::{Builder, EngineHandler, EngineServer, EngineSocket, Message, Reason};
use tokio::sync::{Mutex, mpsc};

use crate::helpers::{TestServer, soon};

pub const POLLING: &str = "/socket.io/?EIO=4&transport=polling";
pub const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

/// A server of Engine.IO, and what its sessions tell.
pub struct Embedded {
    pub server: TestServer,
    pub io: EngineServer,
    told: Mutex<mpsc::UnboundedReceiver<String>>,
}

/// Tells of a session, and sends its messages back.
struct Recorder {
    tell: mpsc::UnboundedSender<String>,
    begin: fn(&EngineSocket<'_>) -> String,
}

impl Recorder {
    fn tell(&self, what: String) {
        // The test may be over.
        let _ = self.tell.send(what);
    }
}

impl EngineHandler for Recorder {
    fn opened(&self, socket: &EngineSocket<'_>) {
        self.tell((self.begin)(socket));
    }

    fn upgraded(&self, socket: &EngineSocket<'_>) {
        self.tell(format!("upgraded to {}", socket.transport()));
    }

    fn message(&self, socket: &EngineSocket<'_>, message: Message) {
        socket.send(message);
    }

    fn closed(&self, _: &EngineSocket<'_>, reason: &Reason) {
        self.tell(format!("closed: {reason}"));
    }
}

impl Embedded {
    pub fn start(builder: Builder) -> Self {
        Self::telling(builder, |socket| format!("opened by {}", socket.transport()))
    }

    /// Each session tells this when it has begun.
    pub fn telling(builder: Builder, begin: fn(&EngineSocket<'_>) -> String) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        let io = builder.build_engine(Recorder { tell, begin }).expect("settings");
        let of_workers = io.clone();
        let server = HttpServer::new(move || App::new().configure(of_workers.routes()));
        let server = server.h1_allow_half_closed(false).workers(1).disable_signals();
        let server = server.bind(("127.0.0.1", 0)).expect("a port");
        let address = server.addrs()[0];
        rt::spawn(server.run());
        Self { server: TestServer::elsewhere(&format!("http://{address}")), io, told: Mutex::new(told) }
    }

    /// What a session tells next.
    pub async fn told(&self) -> String {
        soon("a session tells", self.told.lock().await.recv()).await.expect("the server runs")
    }

    /// The head, in lower case, and the body of the answer to a GET.
    pub async fn get(&self, path: &str, headers: &str) -> (String, String) {
        let answer = self.server.get_raw(path, headers).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (format!("{}\r\n", head.to_lowercase()), body.to_owned())
    }

    /// The head of the answer to a WebSocket handshake, in lower case.
    pub async fn shake_hands(&self, path: &str, headers: &str) -> String {
        self.server.connect_tcp().await.handshake_with(path, headers).await.to_lowercase()
    }
}

/// The status of an answer.
pub fn status(head: &str) -> &str {
    head.split(' ').nth(1).expect("a status")
}

/// The JSON of an open packet, which begins a payload.
pub fn open_packet(payload: &str) -> serde_json::Value {
    let packet = payload.split('\u{1E}').next().unwrap_or_default();
    serde_json::from_str(packet.strip_prefix('0').expect("an open packet")).expect("JSON")
}
