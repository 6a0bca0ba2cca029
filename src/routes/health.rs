//! `GET /health`: is the server well?

use std::time::Duration;

use actix_web::{HttpResponse, rt::time::timeout, web};
use serde::Serialize;

use crate::{chat::Summarize, session::Worker};

/// How long the chat server may take to answer before the server counts as unwell.
const PATIENCE: Duration = Duration::from_secs(2);

/// The body of the answer.
#[derive(Debug, Serialize)]
struct Health {
    /// `ok`, or what is wrong.
    status: &'static str,
    version: &'static str,
    uptime_seconds: u64,
    /// Sessions open at every door.
    sessions: usize,
    /// Rooms with somebody in them; missing if the chat server does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    rooms: Option<usize>,
}

/// 200 if the chat server answers, 503 if it does not.
pub async fn health(worker: web::Data<Worker>) -> HttpResponse {
    let summary = timeout(PATIENCE, worker.chat.send(Summarize)).await.ok().and_then(Result::ok);
    let health = Health {
        status: if summary.is_some() { "ok" } else { "the chat server does not answer" },
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: worker.metrics.uptime().as_secs(),
        sessions: worker.metrics.sessions(),
        rooms: summary.map(|summary| summary.rooms),
    };
    let mut response =
        if summary.is_some() { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.insert_header(("Cache-Control", "no-store")).json(health)
}
