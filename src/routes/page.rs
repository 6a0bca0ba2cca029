//! What the page asks the server before it speaks: its limits, and which rooms there are.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::{gzip, in_words};
use crate::{
    chat::ListRooms,
    config::Switch,
    protocol::{
        chat::{CODES, HISTORY_LIMIT},
        close,
        retry::Retry,
    },
    session::Worker,
};

/// The body of `/limits`. Sizes are bytes.
#[derive(Debug, Serialize)]
struct Limits<'a> {
    max_message_size: usize,
    max_payload: usize,
    max_image_size: usize,
    max_image_side: usize,
    max_image_pixels: usize,
    max_avatar_size: usize,
    max_avatar_side: usize,
    history_page: u64,
    room_list: bool,
    lessons: bool,
    relay: bool,
    socketio_path: &'a str,
    /// Whether `sendImage` takes `to`. An earlier server would show the picture to the room.
    private_images: bool,
    ping_interval_ms: u128,
    ping_timeout_ms: u128,
    retry: Retries,
}

/// When a client may send again what was refused, by the code of the error, and come back, by the code of the close frame.
#[derive(Debug, Serialize)]
struct Retries {
    errors: BTreeMap<&'static str, Retry>,
    closes: BTreeMap<u16, Retry>,
}

impl Retries {
    fn all() -> Self {
        let errors = CODES.iter().map(|row| (row.word, row.retry)).collect();
        Self { errors, closes: close::retries().collect() }
    }
}

/// The body of `/rooms`.
#[derive(Debug, Serialize)]
struct Rooms<'a> {
    rooms: Vec<Room<'a>>,
    more: usize,
}

#[derive(Debug, Serialize)]
struct Room<'a> {
    room: &'a str,
    sessions: usize,
    members: usize,
}

/// `GET /limits`: the settings that a page must know.
pub async fn limits(req: HttpRequest, worker: web::Data<Worker>) -> HttpResponse {
    let settings = &worker.settings;
    let limits = Limits {
        max_message_size: settings.max_message_size.get(),
        max_payload: settings.max_payload.get(),
        max_image_size: settings.max_image_size().get(),
        max_image_side: settings.max_image_side.get(),
        max_image_pixels: settings.max_image_pixels.get(),
        max_avatar_size: settings.max_avatar_size().get(),
        max_avatar_side: settings.max_avatar_side.get(),
        history_page: HISTORY_LIMIT,
        room_list: settings.room_list == Switch::On,
        lessons: settings.lessons == Switch::On,
        relay: settings.relay == Switch::On,
        socketio_path: &settings.socketio_path,
        private_images: true,
        retry: Retries::all(),
        ping_interval_ms: settings.ping_interval.get().as_millis(),
        ping_timeout_ms: settings.ping_timeout.get().as_millis(),
    };
    json(&req, &worker, "no-cache", &limits)
}

/// `GET /rooms`: the rooms that somebody is in, the largest first; 404 if `--room-list` is off.
pub async fn rooms(req: HttpRequest, worker: web::Data<Worker>) -> HttpResponse {
    if worker.settings.room_list == Switch::Off {
        return in_words(HttpResponse::NotFound(), "Rooms are not listed here (--room-list off)");
    }
    let Ok(list) = worker.chat.send(ListRooms).await else {
        return in_words(HttpResponse::ServiceUnavailable(), "The chat server does not answer");
    };
    let rooms = list.rooms.iter().map(|listed| Room {
        room: listed.name.as_str(),
        sessions: listed.sessions,
        members: listed.users,
    });
    let body = Rooms { rooms: rooms.collect(), more: list.more };
    json(&req, &worker, "no-store", &body)
}

/// An answer in JSON, packed if it is large.
fn json(req: &HttpRequest, worker: &Worker, cache: &'static str, body: &impl Serialize) -> HttpResponse {
    let Ok(json) = serde_json::to_vec(body) else {
        return in_words(HttpResponse::InternalServerError(), "The answer cannot be written");
    };
    let mut response = HttpResponse::Ok();
    response.insert_header(("Cache-Control", cache)).content_type("application/json");
    gzip::answer(req, worker.settings.http_compression, response, json)
}
