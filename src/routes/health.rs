//! `GET /health`: the state of the server.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use actix_web::{HttpResponse, rt::time::timeout, web};
use futures_util::future::join;
use serde::Serialize;

use crate::{
    chat::Summary,
    journal::{Damage, JournalError, sqlite},
    nodes::redis::link_thread::Status,
    session::Worker,
};

/// Timeout for the replies of the shared parts, which are asked all at once. One that does not reply in time
/// counts as unwell.
const PATIENCE: Duration = Duration::from_secs(1);

/// The body of the response.
#[derive(Debug, Serialize)]
struct Health {
    /// `ok`, `full`, or the fault.
    status: Cow<'static, str>,
    version: &'static str,
    uptime_seconds: u64,
    /// Open sessions at all doors.
    sessions: usize,
    /// The shared parts that do not reply.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    silent: Vec<String>,
    /// `ok`, or the journal's fault; missing if the chat server does not reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<String>,
    /// The Redis in which rooms are shared with other nodes; missing without `--redis`.
    #[serde(skip_serializing_if = "Option::is_none")]
    redis: Option<Redis>,
    /// Rooms with members; missing if the chat server does not reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    rooms: Option<usize>,
    /// Names in `usage` of the full bounds: one more client is rejected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    full: Vec<&'static str>,
    /// The usage of each bound of the settings.
    usage: BTreeMap<&'static str, Share>,
}

/// The Redis in which rooms are shared.
#[derive(Debug, Serialize)]
struct Redis {
    /// The name of this node.
    node: String,
    /// Whether it can be reached.
    up: bool,
    /// What it promises for a message that was acked, or why it cannot be reached.
    words: String,
}

/// The usage of one bound: a number, or bytes.
#[derive(Debug, Serialize)]
struct Share {
    used: u64,
    bound: u64,
}

/// 200 if the server is well, even if it is full: open sessions are served. 503 if a shared part does not reply
/// or has died, messages cannot be kept, the journal is damaged, or the server is stopping.
pub(crate) async fn health(worker: web::Data<Worker>) -> HttpResponse {
    let (summary, silent) = join(summary(&worker), worker.parts.silent(PATIENCE)).await;
    let usage = worker.metrics.usage();
    let full: Vec<_> = usage.iter().filter(|usage| usage.is_full()).map(|usage| usage.what).collect();
    let dead = worker.parts.dead();
    let status: Cow<'static, str> = match &summary {
        _ if !dead.is_empty() => format!("{} has died", dead.join(", ")).into(),
        _ if silent.len() == 1 => format!("{} does not answer", silent[0]).into(),
        _ if !silent.is_empty() => format!("{} do not answer", silent.join(", ")).into(),
        Some(_) if worker.admission.is_draining() => "draining".into(),
        Some(Summary { journal_fault: Some(JournalError::Unavailable(_)), .. }) => {
            "the journal is not available".into()
        }
        Some(Summary { journal_fault: Some(JournalError::Damaged(_)), .. })
        | Some(Summary { journal_damage: Some(_), .. }) => "the journal is damaged".into(),
        Some(_) if !full.is_empty() => "full".into(),
        Some(_) => "ok".into(),
        None => "a shard of the chat does not answer".into(),
    };
    let is_well = status == "ok" || status == "full";
    let is_writer_silent = silent.iter().any(|part| part == sqlite::WRITER);
    let health = Health {
        status,
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: worker.metrics.uptime().as_secs(),
        sessions: worker.admission.sessions(),
        silent,
        redis: redis(&worker),
        rooms: summary.as_ref().map(|summary| summary.rooms),
        journal: summary.map(|summary| journal(summary, is_writer_silent)),
        full,
        usage: usage
            .iter()
            .map(|usage| (usage.what, Share { used: usage.used, bound: usage.bound }))
            .collect(),
    };
    let mut response = if is_well { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.insert_header(("Cache-Control", "no-store")).json(health)
}

/// The Redis of a worker's node.
fn redis(worker: &Worker) -> Option<Redis> {
    let (link, node) = (worker.link.as_ref()?, worker.settings.nodes.node?);
    let Status { is_up, words, .. } = link.status();
    Some(Redis { node: node.to_string(), up: is_up, words })
}

/// `ok`, or the journal's fault.
fn journal(Summary { journal_fault, journal_damage, .. }: Summary, is_writer_silent: bool) -> String {
    if is_writer_silent {
        return "the journal's writer does not answer".to_owned();
    }
    match (journal_fault, journal_damage) {
        (Some(fault), _) => fault.to_string(),
        (None, Some(Damage { first, found })) => {
            format!("the journal is damaged, which was met {found} times, first: {first}")
        }
        (None, None) => "ok".to_owned(),
    }
}

/// The summary of the chat server, if it replies in time.
async fn summary(worker: &Worker) -> Option<Summary> {
    timeout(PATIENCE, worker.chat.summary()).await.ok()?.ok()
}
