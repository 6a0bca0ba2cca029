//! How a node asks to sweep.

use std::time::{Duration, Instant};

use crate::nodes::{
    commands::{Answer, Command, Swept},
    contract::Partitions,
    link::{CallId, Input, Link, Output, Setup, Share},
};

fn link() -> Link {
    Link::new(Setup {
        name: "n001".parse().expect("a name"),
        partitions: Partitions::ALL,
        lease: Duration::from_secs(15),
        tail_bytes: 1 << 20,
        random: Box::new(|| 7),
    })
}

/// Answers all calls; what each one that sweeps says that there is.
fn answer_all(link: &mut Link, now: Instant, input: Input) -> Vec<Swept> {
    let (mut out, mut swept) = (Vec::new(), Vec::new());
    link.handle(now, input, &mut out);
    while let Some(output) = out.pop() {
        let Output::Call(id, command) = output else { continue };
        let answer = match command {
            Command::Attach { .. } => Answer::Attached { wait: Duration::ZERO, number: 1 },
            Command::Alive { .. } => Answer::Alive { is_fenced: false, grave: None },
            Command::Sweep { all, .. } => {
                swept.push(all);
                Answer::Swept(Swept { rooms: 2, bytes: 10 })
            }
            _ => Answer::Done,
        };
        give(link, now, id, answer, &mut out);
    }
    swept
}

fn give(link: &mut Link, now: Instant, id: CallId, answer: Answer, out: &mut Vec<Output>) {
    link.handle(now, Input::Answered(id, Ok(answer)), out);
}

/// What the calls that sweep say in 70 seconds, each time for all partitions.
fn rounds_of(link: &mut Link) -> Vec<Vec<Swept>> {
    let (mut now, mut rounds) = (Instant::now(), Vec::new());
    assert_eq!(answer_all(link, now, Input::Up { server: "run".to_owned() }), []);
    let until = now + Duration::from_secs(70);
    while let Some(next) = link.next_wake().filter(|next| *next < until) {
        now = next;
        let swept = answer_all(link, now, Input::Wake);
        rounds.extend((!swept.is_empty()).then_some(swept));
    }
    rounds
}

#[test]
fn a_node_asks_to_sweep_all_partitions_with_what_there_was_in_all_of_them_the_last_time() {
    let rounds = rounds_of(&mut link());
    assert_eq!(rounds, [vec![Swept::default(); 64], vec![Swept { rooms: 128, bytes: 640 }; 64]]);
}

#[test]
fn what_other_links_of_the_node_have_counts_too() {
    let mut link = link();
    let swept = Swept { rooms: 10, bytes: 100 };
    link.handle(Instant::now(), Input::Others(Share { rooms: 1, swept }), &mut Vec::new());
    assert_eq!(rounds_of(&mut link), [vec![swept; 64], vec![Swept { rooms: 138, bytes: 740 }; 64]]);
    let own = Share { rooms: 0, swept: Swept { rooms: 128, bytes: 640 } };
    assert_eq!(link.share(), own, "without what the others have");
}
