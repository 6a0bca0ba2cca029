//! A fan-out that panics sends its sessions away, and goes on.

use std::{rc::Rc, sync::Arc, time::Duration};

use super::{Stage, broadcast};
use crate::{
    broadcast::{
        FanOut, Outlets, Reach, Recipients, RoomId,
        fanout::sessions::Lost,
        messages::{Attach, FanOutBroadcast, ForFanOut, Mail, Subscribe, Tell},
        testing::PLAIN,
    },
    connection::{Direct, DirectOutlet},
    domain::MemberId,
    metrics::Metrics,
    parts::{AreYouThere, Parts},
};

/// The outlet of a session that is broken.
struct Broken;

impl DirectOutlet for Broken {
    fn deliver(&self, _: &[bytes::Bytes], _: usize, _: bool) -> Direct {
        panic!("as it was told");
    }

    fn note_mail(&self) {}
}

fn said(room: RoomId, text: &str) -> ForFanOut {
    let broadcast = Arc::new(broadcast(Recipients::Room, &[(text, Reach::All)]));
    ForFanOut::Broadcast(FanOutBroadcast { room, broadcast })
}

#[actix_web::test]
async fn after_a_panic_every_session_is_sent_away_once_and_what_waited_is_dropped() {
    let (mut stage, room) = (Stage::new(), RoomId::next());
    let (direct, by_mail) = (stage.listener(&[room]), stage.listener_by_mail(&[room]));
    stage.say(room, "a");
    stage.fanout.begin_again(Lost::default());
    assert!(!stage.fanout.has_work());
    for listener in [&direct, &by_mail] {
        assert_eq!((listener.heard(), listener.mail().await), (vec![], vec!["Restart".to_owned()]));
    }
    let late = stage.listener(&[room]);
    stage.say(room, "b");
    stage.fanout.deliver_all();
    assert_eq!((late.heard(), direct.mail().await.len()), (vec!["b".to_owned()], 0));
}

#[actix_web::test]
async fn a_session_that_was_being_attached_is_sent_away() {
    let (mut stage, room) = (Stage::new(), RoomId::next());
    let known = stage.listener(&[room]);
    let seat = stage.fanout.seat(known.member).expect("it is attached");
    let (other, outlet) = (MemberId::of(99), Rc::clone(&known.outlet));
    stage.outlets.add(other, outlet);
    let attach = ForFanOut::Attach(Attach { member: other, seat });
    stage.fanout.begin_again(Lost::of(&attach));
    assert_eq!(known.mail().await, ["Restart", "Restart"], "one for each member");
    assert!(stage.outlets.take(other).is_none(), "its outlet is not kept");
}

#[actix_web::test]
async fn mail_behind_a_panic_is_handled_and_the_part_is_well() {
    let (parts, outlets, room) = (Arc::<Parts>::default(), Outlets::default(), RoomId::next());
    let fanout =
        FanOut::start(&parts, "fan-out".into(), Duration::ZERO, outlets.clone(), Arc::<Metrics>::default());
    // Its sessions live on, whatever the fan-out does.
    let mut stage = Stage::new();
    let sessions = [1, 2, 3].map(|_| stage.listener(&[]));
    let attach = |number: usize| {
        let member = MemberId::of(number as u64 + 100);
        let seat = stage.fanout.seat(sessions[number].member).expect("it is attached");
        [
            ForFanOut::Attach(Attach { member, seat }),
            ForFanOut::Subscribe(Subscribe { member, room, encoding: PLAIN }),
        ]
    };
    outlets.add(MemberId::of(101), Rc::new(Broken));
    // News come behind the lines that wait, whose delivery panics.
    let news = ForFanOut::Tell(Tell { member: MemberId::of(100), news: Box::new("news") });
    let before = [attach(0), attach(1)].into_iter().flatten().chain([said(room, "a"), news]);
    let behind = attach(2).into_iter().chain([said(room, "b")]);
    fanout.do_send(Mail(before.chain(behind).collect()));
    for _ in 0..3 {
        fanout.address().send(AreYouThere).await.expect("it goes on");
    }
    assert_eq!(parts.restarts(), [("fan-out".to_owned(), 1)]);
    assert_eq!(parts.depths(), [("fan-out".to_owned(), 0)]);
    assert_eq!(sessions[0].mail().await, ["a", "Restart"]);
    assert_eq!(sessions[1].mail().await, ["Restart"]);
    assert_eq!(sessions[2].mail().await, ["b"]);
}
