//! Requests of the page before its first login: the limits, and the list of rooms.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use crate::{
    chat::{AskedRoom, ListedRoom},
    config::Switch,
    domain::RoomName,
    protocol::{
        chat::{CODES, HISTORY_LIMIT},
        close,
        retry::Retry,
    },
    session::Worker,
    web::{gzip, in_words},
};

/// Maximum number of rooms in one query: the rooms that the page stores for its user, and the lobby.
const MAX_ASKED_ROOMS: usize = 21;

/// The body of `/limits`. Sizes in bytes.
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
    /// Whether `sendImage` accepts `to`. An earlier server would show the picture to the room.
    private_images: bool,
    ping_interval_ms: u128,
    ping_timeout_ms: u128,
    retry: Retries,
}

/// When a client may repeat a rejected request, by error code, and reconnect, by close code.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<Vec<Asked<'a>>>,
}

#[derive(Debug, Serialize)]
struct Room<'a> {
    room: &'a str,
    sessions: usize,
    members: usize,
}

impl<'a> From<&'a ListedRoom> for Room<'a> {
    fn from(listed: &'a ListedRoom) -> Self {
        Self { room: listed.name.as_str(), sessions: listed.sessions, members: listed.users }
    }
}

/// A room of the query. Its position is missing if the server does not know it.
#[derive(Debug, Serialize)]
struct Asked<'a> {
    #[serde(flatten)]
    room: Room<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
}

impl<'a> From<&'a AskedRoom> for Asked<'a> {
    fn from(AskedRoom { room, position }: &'a AskedRoom) -> Self {
        Self {
            room: room.into(),
            epoch: position.map(|position| position.epoch.to_string()),
            offset: position.map(|position| position.offset),
        }
    }
}

/// `GET /limits`: the settings that a page needs.
pub(crate) async fn limits(req: HttpRequest, worker: web::Data<Worker>) -> HttpResponse {
    let settings = &worker.settings;
    let limits = Limits {
        max_message_size: settings.limits.max_message_size.get(),
        max_payload: settings.events.max_payload.get(),
        max_image_size: settings.events.max_image_size().get(),
        max_image_side: settings.events.max_image_side.get(),
        max_image_pixels: settings.events.max_image_pixels.get(),
        max_avatar_size: settings.events.max_avatar_size().get(),
        max_avatar_side: settings.events.max_avatar_side.get(),
        history_page: HISTORY_LIMIT,
        room_list: settings.rooms.room_list == Switch::On,
        lessons: settings.lessons.switch == Switch::On,
        relay: settings.socketio.relay == Switch::On,
        socketio_path: &settings.socketio.socketio_path,
        private_images: true,
        retry: Retries::all(),
        ping_interval_ms: settings.heartbeat.ping_interval.get().as_millis(),
        ping_timeout_ms: settings.heartbeat.ping_timeout.get().as_millis(),
    };
    json(&req, &worker, "no-cache", &limits)
}

/// `GET /rooms`: the rooms that have sessions, the largest first; 404 if `--room-list` is off. `?room=NAME`,
/// up to `MAX_ASKED_ROOMS` times, adds the positions of those rooms.
pub(crate) async fn rooms(req: HttpRequest, worker: web::Data<Worker>) -> HttpResponse {
    if worker.settings.rooms.room_list == Switch::Off {
        return in_words(HttpResponse::NotFound(), "Rooms are not listed here (--room-list off)");
    }
    let asked = match asked_rooms(&req) {
        Ok(asked) => asked,
        Err(why) => return in_words(HttpResponse::BadRequest(), why),
    };
    let has_asked = !asked.is_empty();
    let Ok(list) = worker.chat.list_rooms(asked).await else {
        return in_words(HttpResponse::ServiceUnavailable(), "The chat server does not answer");
    };
    let body = Rooms {
        rooms: list.rooms.iter().map(Room::from).collect(),
        more: list.more,
        asked: has_asked.then(|| list.asked.iter().map(Asked::from).collect()),
    };
    json(&req, &worker, "no-store", &body)
}

/// A response in JSON, compressed if it is large.
fn json(req: &HttpRequest, worker: &Worker, cache: &'static str, body: &impl Serialize) -> HttpResponse {
    let Ok(json) = serde_json::to_vec(body) else {
        return in_words(HttpResponse::InternalServerError(), "The answer cannot be written");
    };
    let mut response = HttpResponse::Ok();
    response.insert_header(("Cache-Control", cache)).content_type("application/json");
    gzip::answer(req, worker.settings.connections.http_compression, response, json)
}

/// The rooms in the query.
fn asked_rooms(req: &HttpRequest) -> Result<Vec<RoomName>, String> {
    let query = web::Query::<Vec<(String, String)>>::from_query(req.query_string());
    let query = query.map_err(|error| format!("The query cannot be read: {error}"))?.into_inner();
    let names = query.iter().filter(|(key, _)| key == "room");
    let rooms: Vec<_> = names
        .map(|(_, name)| RoomName::parse(name))
        .collect::<Result<_, _>>()
        .map_err(|error| format!("room: {error}"))?;
    if rooms.len() > MAX_ASKED_ROOMS {
        return Err(format!("room: at most {MAX_ASKED_ROOMS} rooms can be asked for at once"));
    }
    Ok(rooms)
}
