//! An engine of Socket.IO behind its door, in an application of actix-web's own server, without namespaces.

use std::{rc::Rc, sync::Arc};

use actix_web::{App, HttpServer, rt};
use bytes::Bytes;
use bytestring::ByteString;
use echoroom::{
    app::embed::Budget,
    socketio::{Carried, Door, Ending, Engine, EngineSettings, Policy, SessionHandle, configure_door},
};
use tokio::sync::{Mutex, mpsc};

use crate::helpers::{TestServer, soon};

pub const POLLING: &str = "/socket.io/?EIO=4&transport=polling";
pub const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

/// A server, its engine, and what its sessions tell.
pub struct Embedded {
    pub server: TestServer,
    pub engine: Arc<Engine>,
    told: Mutex<mpsc::UnboundedReceiver<String>>,
}

/// Tells of a session, and sends its messages back.
struct Recorder {
    tell: mpsc::UnboundedSender<String>,
    begin: fn(&SessionHandle) -> String,
}

impl Recorder {
    fn tell(&self, what: String) {
        // The test may be over.
        let _ = self.tell.send(what);
    }
}

impl Carried for Recorder {
    fn opened(&mut self, handle: &SessionHandle) {
        self.tell((self.begin)(handle));
    }

    fn upgraded(&mut self, handle: &SessionHandle) {
        self.tell(format!("upgraded to {}", handle.transport()));
    }

    fn text(&mut self, text: ByteString, handle: &SessionHandle) {
        handle.packet(format!("4{text}"));
    }

    fn binary(&mut self, bytes: Bytes, handle: &SessionHandle) {
        handle.binary(bytes);
    }

    fn closed(&mut self, why: &Ending) {
        self.tell(format!("closed: {}", why.socketio_reason()));
    }
}

impl Embedded {
    pub fn start(settings: EngineSettings, policy: Policy) -> Self {
        Self::telling(settings, policy, |handle| format!("opened by {}", handle.transport()))
    }

    /// Each session tells this when it has begun.
    pub fn telling(settings: EngineSettings, policy: Policy, begin: fn(&SessionHandle) -> String) -> Self {
        settings.check().expect("settings");
        let engine = Engine::new(settings, Arc::default(), Budget::new(64 << 20), Arc::default());
        let (of_workers, (tell, told)) = (Arc::clone(&engine), mpsc::unbounded_channel());
        let server = HttpServer::new(move || {
            let tell = tell.clone();
            let begin = move || -> Box<dyn Carried> { Box::new(Recorder { tell: tell.clone(), begin }) };
            let door = Door::new(Arc::clone(&of_workers), begin);
            let door = door.with_policy(policy.clone()).with_state(Rc::new("of the worker"));
            App::new().configure(|cfg| configure_door(cfg, "/socket.io", door))
        });
        let server = server.h1_allow_half_closed(false).workers(1).disable_signals();
        let server = server.bind(("127.0.0.1", 0)).expect("a port");
        let address = server.addrs()[0];
        rt::spawn(server.run());
        Self { server: TestServer::elsewhere(&format!("http://{address}")), engine, told: Mutex::new(told) }
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
