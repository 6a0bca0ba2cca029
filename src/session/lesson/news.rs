//! News: about every two seconds something happens, at irregular moments, equal for all pages, whichever of several servers
//! they ask. A page polls for what has happened since, or has a connection and is told when it happens.

use std::time::Duration;

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
    /// 1, 2, 3 … since 1970.
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
    let now = lessons.clock();
    let last = last_at(now);
    let first =
        after.map_or(last + 1, |after| after.saturating_add(1).max((last + 1).saturating_sub(MOST)).max(1));
    let news = (first..=last).map(happened).collect();
    Since { news, last, now: millis(now) }
}

/// Sends the page each piece of news when it happens.
pub(crate) async fn push(lessons: &Lessons, mut line: Line) {
    let mut number = last_at(lessons.clock()) + 1;
    loop {
        let wait = moment_of(number).saturating_sub(lessons.clock());
        tokio::select! {
            () = rt::time::sleep(wait) => {
                let news = News { now: Some(millis(lessons.clock())), ..happened(number) };
                tell(&line.outbound, &news);
                number += 1;
            }
            said = line.next() => if said.is_none() { return },
        }
    }
}

fn happened(number: u64) -> News {
    let at = millis(moment_of(number));
    News { number, at, text: format!("News {number}"), now: None }
}

/// When piece `number` happens, counted from 1970.
fn moment_of(number: u64) -> Duration {
    SLOT.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX))
        + Duration::from_millis(scatter(number) % 1_900)
}

/// The number of the latest news at `now`; 0 if there is none.
fn last_at(now: Duration) -> u64 {
    let slot = u64::try_from(now.as_millis() / SLOT.as_millis()).unwrap_or(u64::MAX);
    if moment_of(slot) <= now { slot } else { slot.saturating_sub(1) }
}

/// Maps numbers to numbers that look random: the finishing steps of `SplitMix64`.
fn scatter(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
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
    fn servers_that_start_at_different_times_have_the_news_in_common() {
        let [one, mut other] = [(); 2].map(|()| Lessons::new(1, crate::config::PerAddress::for_all(0)));
        let earlier = std::sync::Arc::get_mut(&mut other).expect("the only one");
        let time = Duration::from_secs(1_000);
        earlier.began = (earlier.began.0.checked_sub(time).expect("a clock"), earlier.began.1 - time);
        let last = since(&one, None).last;
        let at = |lessons: &Lessons| {
            let news = since(lessons, Some(last - 3)).news.into_iter();
            news.map(|news| (news.number, news.at)).take(3).collect::<Vec<_>>()
        };
        assert_eq!(at(&one).len(), 3);
        assert_eq!(at(&one), at(&other));
    }

    #[test]
    fn who_asks_gets_what_came_after_and_no_more_than_the_latest() {
        let lessons = Lessons::new(1, crate::config::PerAddress::for_all(0));
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
