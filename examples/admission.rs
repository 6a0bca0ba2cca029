//! Clients are known by a session cookie, which an HTTP route sets and an asynchronous look-up checks.
//!
//! `cargo run --example admission` serves `http://127.0.0.1:3000`:
//!
//! ```text
//! curl -i -d name=Ada http://127.0.0.1:3000/login        # Set-Cookie: session=...
//! ```
//!
//! A client with this cookie is admitted to Socket.IO, and another one is refused with a reason and data. In a browser the
//! cookie comes along by itself; in Node it is a header:
//!
//! ```js
//! const socket = io('http://127.0.0.1:3000', { extraHeaders: { cookie: 'session=...' } });
//! socket.on('connect_error', (error) => console.log(error.message, error.data));
//! await socket.emitWithAck('whoami');                   // { name: 'Ada', logins: 1 }
//! ```

use std::{
    collections::HashMap,
    env, io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix_web::{
    App, HttpResponse, HttpServer, cookie::Cookie, error::ErrorInternalServerError, rt::time::sleep, web,
};
use echoroom::socketio::{Ack, Handshake, Refusal, Server, Socket};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The name of the cookie.
const SESSION: &str = "session";

/// What is known of a user. It becomes the data of the user's sockets.
#[derive(Clone, Serialize)]
struct User {
    name: String,
    logins: u32,
}

/// Where users are looked up by their sessions. It stands for a database: an answer takes some time. (A real one would forget
/// sessions, too.)
#[derive(Default)]
struct Store(Mutex<HashMap<String, User>>);

impl Store {
    async fn find(&self, session: &str) -> Option<User> {
        sleep(Duration::from_millis(50)).await;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(session).cloned()
    }

    async fn add(&self, session: String, name: String) {
        sleep(Duration::from_millis(50)).await;
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let logins =
            1 + users.values().filter(|user| user.name == name).map(|user| user.logins).max().unwrap_or(0);
        users.insert(session, User { name, logins });
    }
}

/// The form of the login. A real one has a password.
#[derive(Deserialize)]
struct Login {
    name: String,
}

/// Begins a session: the cookie has 128 random bits, so it cannot be guessed.
async fn login(store: web::Data<Store>, form: web::Form<Login>) -> actix_web::Result<HttpResponse> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(ErrorInternalServerError)?;
    let session = format!("{:032x}", u128::from_ne_bytes(random));
    store.add(session.clone(), form.into_inner().name).await;
    let cookie = Cookie::build(SESSION, session).path("/").http_only(true).finish();
    Ok(HttpResponse::Ok().cookie(cookie).body("logged in\n"))
}

/// Looks up the user of a client.
async fn user_of(store: &Store, handshake: &Handshake) -> Result<User, Refusal> {
    let Some(session) = handshake.cookie(SESSION) else {
        return Err(Refusal::with_data("not logged in", json!({"login": "/login"})));
    };
    let user = store.find(session).await;
    user.ok_or_else(|| Refusal::with_data("the session has ended", json!({"login": "/login"})))
}

#[actix_web::main]
async fn main() -> io::Result<()> {
    env_logger::init();
    let port = env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(3000);
    let store = Arc::new(Store::default());
    let users = web::Data::from(Arc::clone(&store));
    let io = Server::builder().build();
    io.namespace("/")
        .admit(async move |handshake: &Handshake| user_of(&store, handshake).await)
        .on("whoami", async |socket: Socket<User>, ack: Ack| ack.send(socket.data()));
    HttpServer::new(move || {
        App::new().app_data(users.clone()).route("/login", web::post().to(login)).configure(io.routes())
    })
    .bind(("127.0.0.1", port))?
    .run()
    .await
}
