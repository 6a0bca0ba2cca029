//! Several nodes: the link to the Redis in which they share their rooms.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::rt;
use log::{info, warn};

use super::StartError;
use crate::{
    chat::{Shards, Sharing},
    config::{NodeName, Settings},
    nodes::{
        Bounds,
        contract::{Order, Partitions},
        link::{Link, Setup},
        redis::{connecting::Options, link_thread::RedisLink, start},
    },
    parts::Parts,
};

/// How often it is looked whether Redis is away.
const LOOK: Duration = Duration::from_millis(250);

/// How often the sizes of rooms are told.
const BETWEEN_SIZES: Duration = Duration::from_secs(1);

/// How this node shares its rooms; `None` without `--redis`.
pub(super) fn sharing(settings: &Settings) -> Result<Option<Sharing>, StartError> {
    if settings.nodes.redis.is_none() {
        return Ok(None);
    }
    let node = match settings.nodes.node {
        Some(name) => name,
        None => NodeName::random().map_err(StartError::NoRandomNumbers)?,
    };
    Ok(Some(Sharing { node, seed: random()? }))
}

/// Checks the Redis of the settings, and starts the link to it, which tells `chat` what it hears.
pub(super) fn start(
    settings: &Settings,
    sharing: Sharing,
    chat: Shards,
    parts: &Arc<Parts>,
) -> Result<Option<RedisLink>, StartError> {
    let Some(options) = Options::of(&settings.nodes) else {
        return Ok(None);
    };
    // What the Redis promises is in the log with each connection.
    let cluster = start::check(&options, sharing.node)?.cluster;
    let kind = if cluster.is_some() { "Redis Cluster" } else { "Redis" };
    info!("this is node {} on the {kind} at {}", sharing.node, options.url);
    // The first one shows whether the system has random numbers; it has them from then on.
    random()?;
    let link_of = |partitions| {
        Link::new(Setup {
            name: sharing.node,
            partitions,
            lease: settings.nodes.node_lease(),
            tail_bytes: settings.journal.tail_bytes.get(),
            random: Box::new(|| random().unwrap_or_default()),
        })
    };
    let link = match cluster {
        Some(cluster) => RedisLink::on_cluster(parts, cluster, bounds(settings), link_of, chat),
        None => RedisLink::start(parts, options, bounds(settings), link_of(Partitions::ALL), chat),
    };
    link.map(Some).map_err(StartError::NoThread)
}

/// Tells the other nodes every second how many sessions are in rooms here.
pub(super) fn tell_sizes(link: RedisLink, chat: Shards) {
    rt::spawn(async move {
        // A shard that does not answer has ended, and the server with it.
        while let Ok(sizes) = chat.room_sizes().await {
            link.order(Order::Sizes(sizes));
            rt::time::sleep(BETWEEN_SIZES).await;
        }
    });
}

/// Closes all sessions whenever Redis has been away for so long, so that their clients come to nodes that reach it.
pub(super) fn close_when_isolated(link: RedisLink, chat: Shards, after: Duration) {
    rt::spawn(async move {
        let (mut away_since, mut is_told) = (None, false);
        loop {
            rt::time::sleep(LOOK).await;
            if link.status().is_up {
                (away_since, is_told) = (None, false);
                continue;
            }
            let since = *away_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= after {
                // Later, those that have come nevertheless.
                if !std::mem::replace(&mut is_told, true) {
                    warn!("Redis has been away for --isolation-timeout: all sessions are closed");
                }
                chat.send_all_away().await;
                away_since = None;
            }
        }
    });
}

fn random() -> Result<u64, StartError> {
    getrandom::u64().map_err(StartError::NoRandomNumbers)
}

/// What is kept in Redis.
fn bounds(settings: &Settings) -> Bounds {
    Bounds {
        lease: settings.nodes.node_lease(),
        window: settings.nodes.redis_window(),
        history: settings.journal.history.get() as u64,
        history_bytes: settings.journal.history_bytes.get() as u64,
        name_hold: settings.login.name_hold.get(),
        name_reservation: settings.login.name_reservation.get(),
        max_held_names: settings.login.max_held_names.get(),
        history_age: settings.journal.history_age.get(),
        max_rooms: settings.rooms.max_rooms.get() as u64,
        max_bytes: settings.journal.max_data_size.get() as u64,
        avatar_bytes: settings.events.avatar_bytes.get() as u64,
        ..Bounds::default()
    }
}
