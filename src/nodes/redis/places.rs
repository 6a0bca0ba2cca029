//! Finds the servers that have partitions, again and again with pauses between.

use std::{
    pin::Pin,
    time::{Duration, Instant},
};

use actix_web::rt;

use super::{cluster::Owners, connecting::NotConnected};
use crate::{config::RedisUrl, redis_client::pauses::Pauses};

/// First pause between two attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

type Looking = Pin<Box<dyn Future<Output = Result<Owners, NotConnected>>>>;

/// Where servers are looked for.
pub(super) struct Places {
    /// The address of the settings.
    url: RedisUrl,
    /// Servers of the Redis Cluster; `None` if the address is that of a single Redis.
    cluster: Option<Vec<RedisUrl>>,
    /// Is asked first the next time.
    hint: Option<RedisUrl>,
    looking: Option<Looking>,
    /// How often was looked, so that another server is asked first each time.
    looks: usize,
    pauses: Pauses,
}

impl Places {
    /// Looks for the Redis at `url`, or for the masters of the Redis Cluster that has these servers, without a pause
    /// before the first attempt.
    pub(super) fn new(url: RedisUrl, cluster: Option<Vec<RedisUrl>>) -> Self {
        let pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut places = Self { url, cluster, hint: None, looking: None, looks: 0, pauses };
        places.look();
        places
    }

    /// Looks for servers after a pause, unless it does already.
    pub(super) fn look(&mut self) {
        if self.looking.is_some() {
            return;
        }
        let (pause, candidates) = (self.pauses.next(Instant::now()), self.candidates());
        let url = self.cluster.is_none().then(|| self.url.clone());
        self.looking = Some(Box::pin(async move {
            rt::time::sleep(pause).await;
            match url {
                Some(url) => Ok(Owners::one(url)),
                None => ask(&candidates).await,
            }
        }));
    }

    /// Whom to ask, in this order.
    fn candidates(&mut self) -> Vec<RedisUrl> {
        let mut known = self.cluster.clone().unwrap_or_default();
        self.looks = self.looks.wrapping_add(1);
        let len = known.len().max(1);
        known.rotate_left(self.looks % len);
        self.hint.take().into_iter().chain(known).chain([self.url.clone()]).collect()
    }

    /// A server that knows better is asked first the next time.
    pub(super) fn ask_first(&mut self, url: RedisUrl) {
        self.hint = Some(url);
    }

    /// The servers that have partitions, when they are found.
    ///
    /// # Errors
    /// No server of the Redis Cluster tells.
    pub(super) async fn found(&mut self) -> Result<Owners, NotConnected> {
        let Some(looking) = &mut self.looking else {
            return std::future::pending().await;
        };
        let found = looking.as_mut().await;
        self.looking = None;
        if let (Ok(owners), Some(known)) = (&found, &mut self.cluster) {
            known.clone_from(&owners.servers);
        }
        found
    }
}

/// Asks one server after the other for the slots of the cluster.
pub(super) async fn ask(servers: &[RedisUrl]) -> Result<Owners, NotConnected> {
    let mut why = NotConnected::NoOwner;
    for url in servers {
        match Owners::ask(url).await {
            Ok(owners) if owners.masters.is_empty() => {}
            Ok(owners) => return Ok(owners),
            Err(error) => why = error,
        }
    }
    Err(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attempt_asks_all_servers_and_another_one_first_unless_one_knows_better() {
        let url = |port: u16| -> RedisUrl { format!("redis://cache:{port}").parse().expect("an address") };
        let mut places = Places::new(url(1), Some(vec![url(1), url(2), url(3)]));
        let ports = |places: &mut Places| -> Vec<_> {
            places.candidates().iter().map(|url| url.to_string()[14..15].to_owned()).collect()
        };
        assert_eq!(ports(&mut places).concat(), "3121");
        assert_eq!(ports(&mut places).concat(), "1231");
        places.ask_first(url(7));
        assert_eq!(ports(&mut places).concat(), "72311");
        assert_eq!(ports(&mut places).concat(), "3121", "once");
    }
}
