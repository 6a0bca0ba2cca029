//! What sessions and pages read of Redis past the link.

use futures_util::future::try_join_all;
use redis::{Cmd, Value};

use super::{
    link_thread::RedisLink,
    listing::{list, list_of},
    pages::{page, page_of, picture, picture_of},
    questions::Question,
};
use crate::{
    domain::{Picture, PictureId, RoomName},
    journal::{JournalError, Page, Pending, Range, Records},
    nodes::{
        Partition,
        contract::{Link, Order, RoomSizes},
    },
};

/// Asks past the link about a partition.
fn ask<T: Send + 'static>(
    link: &RedisLink,
    partition: Partition,
    requests: impl IntoIterator<Item = Cmd>,
    read: impl FnOnce(Vec<Value>) -> Result<T, JournalError> + Send + 'static,
) -> Pending<T> {
    let (question, answer) = Question::new(partition, requests, read);
    link.ask(question);
    answer
}

impl Link for RedisLink {
    fn order(&self, order: Order) {
        Self::order(self, order);
    }

    fn list_rooms(&self, most: usize, asked: Vec<RoomName>) -> Pending<RoomSizes> {
        let is_wanted =
            |partition: &Partition| most > 0 || asked.iter().any(|room| Partition::of(room) == *partition);
        let one =
            |partition| ask(self, partition, [list(partition, most, &asked)], |replies| Ok(only(replies)));
        // A question for each partition: they may be on several servers.
        let replies = try_join_all(Partition::all().filter(is_wanted).map(one));
        Box::pin(async move { Ok(list_of(most, replies.await?)?) })
    }
}

impl Records for RedisLink {
    fn read(&self, room: RoomName, range: Range) -> Pending<Page> {
        ask(self, Partition::of(&room), [page(&room, range)], move |replies| page_of(range, only(replies))?)
    }

    fn picture(&self, id: PictureId) -> Pending<Option<Picture>> {
        ask(self, Partition::of_picture(&id), [picture(&id)], move |replies| picture_of(&id, only(replies)))
    }
}

/// The answer to one request.
fn only(replies: Vec<Value>) -> Value {
    replies.into_iter().next().unwrap_or(Value::Nil)
}
