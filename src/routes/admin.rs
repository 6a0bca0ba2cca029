//! Requests of the server's owner at run time. Commands on the server's machine send them, with the key from
//! the data folder; see `echoroom forget`.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::AUTHORIZATION,
    web::{self, ServiceConfig},
};
use log::info;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::{
    domain::RoomName,
    logging::Shown,
    session::Worker,
    web::{in_words, methods},
};

/// The query of `/admin/forget`.
#[derive(Debug, Deserialize)]
struct RoomQuery {
    room: String,
}

/// The query of `/admin/proof`.
#[derive(Debug, Deserialize)]
struct ProofQuery {
    number: String,
}

/// Number of digits in [`ProofQuery::number`].
const NUMBER_LEN: usize = 32;

/// Registers `GET /admin/proof?number=DIGITS` and `POST /admin/forget?room=NAME`.
pub(crate) fn configure(cfg: &mut ServiceConfig) {
    let proof = web::resource("/admin/proof").route(web::get().to(prove));
    cfg.service(proof.default_service(methods::others("GET, OPTIONS")));
    let address = web::resource("/admin/forget").route(web::post().to(forget));
    cfg.service(address.default_service(methods::others("POST, OPTIONS")));
}

/// The proof for `number`: a hash that needs the secret.
pub(crate) fn proof(secret: &str, number: &str) -> String {
    let hash =
        Sha256::new().chain_update("echoroom proof").chain_update(secret).chain_update(number).finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Proves that this server has the key in its data folder, before a command sends that key; 404 without a
/// key.
async fn prove(query: web::Query<ProofQuery>, worker: web::Data<Worker>) -> HttpResponse {
    let number = &query.number;
    if number.len() != NUMBER_LEN || !number.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let sentence = format_args!("number: {NUMBER_LEN} hexadecimal digits are expected");
        return in_words(HttpResponse::BadRequest(), sentence);
    }
    match worker.owner_key.get() {
        Some(key) => HttpResponse::Ok().content_type("text/plain").body(proof(key, number)),
        None => in_words(HttpResponse::NotFound(), "this server has no key"),
    }
}

/// Forgets a room. 204 when its messages are deleted from the journal; 404 if it has none; 403 without the key; 503
/// if the journal cannot be written.
async fn forget(req: HttpRequest, query: web::Query<RoomQuery>, worker: web::Data<Worker>) -> HttpResponse {
    if !is_owner(&req, worker.owner_key.get().map(String::as_str)) {
        return in_words(HttpResponse::Forbidden(), "this needs the key in the server's data folder");
    }
    let room = match RoomName::parse(&query.room) {
        Ok(room) => room,
        Err(error) => return in_words(HttpResponse::BadRequest(), format_args!("room: {error}")),
    };
    let shown = room.clone();
    match worker.chat.forget(room).await {
        Ok(Ok(false)) => {
            let room = Shown(shown.as_str());
            in_words(HttpResponse::NotFound(), format_args!("there is no message of a room {room:?}"))
        }
        Ok(Ok(true)) => {
            info!("the messages of room {:?} were forgotten, as the owner asked", Shown(shown.as_str()));
            HttpResponse::NoContent().finish()
        }
        Ok(Err(error)) => in_words(HttpResponse::ServiceUnavailable(), error),
        Err(_) => in_words(HttpResponse::ServiceUnavailable(), "the chat server does not answer"),
    }
}

/// Whether a request has the key. The comparison takes constant time for keys of the right length.
fn is_owner(req: &HttpRequest, key: Option<&str>) -> bool {
    let given =
        req.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let (Some(key), Some(given)) = (key, given) else {
        return false;
    };
    let differences = key.bytes().zip(given.bytes()).fold(0, |found, (a, b)| found | (a ^ b));
    key.len() == given.len() && differences == 0
}
