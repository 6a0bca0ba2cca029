//! All that goes to one session keeps its order, by whichever way it goes.

use super::{Listener, Stage};
use crate::{
    broadcast::{
        RoomId,
        messages::{Detach, Subscribe, Unsubscribe},
        testing::PLAIN,
    },
    connection::Direct,
};

#[actix_web::test]
async fn lines_go_by_the_mailbox_while_something_is_in_it() {
    let (mut stage, room) = (Stage::new(), RoomId::next());
    let listener = stage.listener(&[room]);
    listener.outlet.says.set(Direct::BehindMail);
    for text in ["a", "b"] {
        stage.say(room, text);
        stage.fanout.deliver_all();
    }
    assert_eq!((listener.mail().await, listener.outlet.mails.get()), (vec!["a".into(), "b".into()], 2));
    assert_eq!(listener.backlog.bytes(), 2 * "..a".len(), "they wait for the client");
    listener.outlet.says.set(Direct::Taken);
    stage.say(room, "c");
    stage.fanout.deliver_all();
    assert_eq!((listener.heard(), listener.mail().await), (vec!["c".to_owned()], vec![]));
}

#[actix_web::test]
async fn news_comes_behind_what_was_broadcast_before_and_before_what_comes_later() {
    let (mut stage, room) = (Stage::new(), RoomId::next());
    let (direct, by_mail) = (stage.listener(&[room]), stage.listener_by_mail(&[room]));
    stage.say(room, "before");
    for listener in [&direct, &by_mail] {
        stage.tell(listener, "news");
    }
    assert_eq!((direct.heard(), direct.outlet.mails.get()), (vec!["before".to_owned()], 1));
    stage.say(room, "after");
    stage.fanout.deliver_all();
    assert_eq!(by_mail.mail().await, ["before", "news", "after"]);
    assert_eq!(direct.mail().await, ["news"]);
}

#[actix_web::test]
async fn a_session_gets_what_came_while_it_was_subscribed_and_nothing_else() {
    let (mut stage, room) = (Stage::new(), RoomId::next());
    let stays = stage.listener(&[room]);
    let comes = stage.listener(&[]);
    let subscribe = |listener: &Listener| Subscribe { member: listener.member, room, encoding: PLAIN };
    stage.say(room, "too early");
    stage.fanout.subscribe(subscribe(&comes));
    stage.fanout.subscribe(subscribe(&comes));
    stage.say(room, "for both");
    stage.fanout.unsubscribe(Unsubscribe { member: comes.member, room });
    stage.say(room, "too late");
    stage.fanout.deliver_all();
    assert_eq!(comes.heard(), ["for both"]);
    assert_eq!(stays.heard(), ["too early", "for both", "too late"]);
}

#[actix_web::test]
async fn a_session_that_is_detached_gets_nothing_more_and_the_others_all() {
    let (mut stage, room) = (Stage::new(), RoomId::next());
    let [first, second, third] = [0, 1, 2].map(|_| stage.listener(&[room]));
    stage.say(room, "a");
    stage.fanout.detach(Detach { member: first.member });
    stage.fanout.detach(Detach { member: first.member });
    stage.tell(&first, "news");
    stage.say(room, "b");
    stage.fanout.deliver_all();
    assert_eq!((first.heard(), first.mail().await), (vec![], vec![]));
    stage.fanout.unsubscribe(Unsubscribe { member: third.member, room });
    stage.say(room, "c");
    stage.fanout.deliver_all();
    assert_eq!((second.heard().join(" "), third.heard().join(" ")), ("a b c".into(), "a b".into()));
}

#[actix_web::test]
async fn the_dismissal_of_all_comes_behind_what_was_said() {
    let (mut stage, room) = (Stage::new(), RoomId::next());
    let (direct, by_mail) = (stage.listener(&[room]), stage.listener_by_mail(&[room]));
    stage.say(room, "a");
    stage.fanout.dismiss_all();
    assert_eq!((direct.heard(), direct.mail().await), (vec!["a".to_owned()], vec!["Restart".to_owned()]));
    assert_eq!(by_mail.mail().await, ["a", "Restart"]);
}
