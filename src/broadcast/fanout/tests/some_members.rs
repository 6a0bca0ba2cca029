//! A broadcast for some members goes to no other one, and its sender learns which of them got it.

use std::sync::{Arc, Mutex};

use super::{BOUND, Stage, broadcast};
use crate::{
    broadcast::{Handed, Reach, Recipients, RoomId, messages::FanOutBroadcast},
    connection::Direct,
    domain::MemberId,
};

#[derive(Clone, Debug, Default)]
struct Noted(Arc<Mutex<Vec<MemberId>>>);

impl Handed for Noted {
    fn note(&self, member: MemberId) {
        self.0.lock().expect("no test has panicked").push(member);
    }
}

#[actix_web::test]
async fn the_sessions_that_got_it_are_noted_and_those_that_are_gone_or_sent_away_are_not() {
    let (mut stage, room) = (Stage::new(), RoomId::next());
    let (direct, by_mail) = (stage.listener(&[room]), stage.listener_by_mail(&[room]));
    let (gone, slow, other) = (stage.listener(&[room]), stage.listener(&[room]), stage.listener(&[room]));
    gone.outlet.says.set(Direct::Gone);
    slow.backlog.add(BOUND + 1);
    let elsewhere = MemberId::of(99);
    let recipients = [direct.member, by_mail.member, gone.member, slow.member, elsewhere].into();
    let noted = Noted::default();
    let private = broadcast(Recipients::Only(recipients), &[("private", Reach::All)]);
    let broadcast = Arc::new(private.with_handed(Some(Box::new(noted.clone()))));
    stage.say(room, "before");
    stage.fanout.add(FanOutBroadcast { room, broadcast });
    stage.say(room, "after");
    stage.fanout.deliver_all();
    assert_eq!(*noted.0.lock().expect("no test has panicked"), [direct.member, by_mail.member]);
    assert_eq!(direct.heard(), ["before", "private", "after"]);
    assert_eq!(by_mail.mail().await, ["before", "private", "after"]);
    assert_eq!(
        (other.heard().join(" "), slow.mail().await),
        ("before after".into(), vec!["SlowConsumer".into()])
    );
}
