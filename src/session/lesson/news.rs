//! News: about every two seconds something happens, at irregular moments, equal for all pages. A page polls
//! for what has happened since, or has a connection and is told when it happens.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::rt;
use serde::Serialize;

use super::{Lessons, Line, tell};

/// Each piece of news has a slot of this length, and happens somewhere in it.
const SLOT: Duration = Duration::from_millis(2_000);

/// The most pieces of news in one answer: the latest.
const MOST: u64 = 50;

/// One piece of news.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct News {
    /// 1, 2, 3 … since the server started.
    pub number: u64,
    /// When it happened, in milliseconds since 1970.
    pub at: u64,
    /// A short text for the page.
    pub text: String,
    /// When it was pushed, by the clock of `at`; missing in answers to polls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<u64>,
}

/// The answer to a poll.
#[derive(Debug, Serialize)]
pub(crate) struct Since {
    /// The news since the number in the request; empty if there was none.
    pub news: Vec<News>,
    /// The number of the latest news.
    pub last: u64,
    /// The server's clock, in milliseconds since 1970.
    pub now: u64,
}

/// The latest news after number `after`, and none without it.
pub(crate) fn since(lessons: &Lessons, after: Option<u64>) -> Since {
    let elapsed = lessons.began.0.elapsed();
    let last = last_at(elapsed);
    let first =
        after.map_or(last + 1, |after| after.saturating_add(1).max((last + 1).saturating_sub(MOST)).max(1));
    let news = (first..=last).map(|number| happened(lessons, number)).collect();
    Since { news, last, now: millis(lessons.began.1 + elapsed) }
}

/// Sends the page each piece of news when it happens.
pub(crate) async fn push(lessons: &Lessons, mut line: Line) {
    let mut number = last_at(lessons.began.0.elapsed()) + 1;
    loop {
        let wait = moment_of(number).saturating_sub(lessons.began.0.elapsed());
        tokio::select! {
            () = rt::time::sleep(wait) => {
                let now = Some(millis(lessons.began.1 + lessons.began.0.elapsed()));
                let news = News { now, ..happened(lessons, number) };
                tell(&line.outbound, &news);
                number += 1;
            }
            said = line.next() => if said.is_none() { return },
        }
    }
}

fn happened(lessons: &Lessons, number: u64) -> News {
    let at = millis(lessons.began.1 + moment_of(number));
    News { number, at, text: format!("News {number}"), now: None }
}

/// When piece `number` happens, counted from the start.
fn moment_of(number: u64) -> Duration {
    SLOT.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX))
        + Duration::from_millis(scatter(number) % 1_900)
}

/// The number of the latest news after `elapsed`; 0 if there is none.
fn last_at(elapsed: Duration) -> u64 {
    let slot = u64::try_from(elapsed.as_millis() / SLOT.as_millis()).unwrap_or(u64::MAX);
    if moment_of(slot) <= elapsed { slot } else { slot.saturating_sub(1) }
}

/// Maps numbers to numbers that look random: the finishing steps of `SplitMix64`.
fn scatter(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_happen_one_after_the_other_each_in_its_slot() {
        for number in 1..10_000 {
            let moment = moment_of(number);
            assert!(moment < moment_of(number + 1));
            assert_eq!(last_at(moment), number);
            assert_eq!(last_at(moment - Duration::from_millis(1)), number - 1);
        }
    }

    #[test]
    fn who_asks_gets_what_came_after_and_no_more_than_the_latest() {
        let mut lessons = Lessons::new(1, crate::config::PerAddress::for_all(0));
        let known = std::sync::Arc::get_mut(&mut lessons).expect("the only one");
        known.began.0 = known.began.0.checked_sub(Duration::from_secs(1_000)).expect("a clock");
        assert!(since(&lessons, None).news.is_empty());
        let last = since(&lessons, None).last;
        let numbers =
            |after| since(&lessons, Some(after)).news.iter().map(|news| news.number).collect::<Vec<_>>();
        assert_eq!(numbers(last - 2), [last - 1, last]);
        assert_eq!(numbers(last), [0; 0]);
        assert_eq!(numbers(u64::MAX), [0; 0]);
        assert_eq!(numbers(0).len(), 50);
    }
}
