//! Rounds that follow each other at once, and what one costs Redis: `NODES_ROUNDS=40000 cargo test --release --test nodes
//! rounds_that_follow -- --nocapture` prints that.

use std::{fs, time::Instant};

use echoroom::testing::nodes::*;
use redis::Connection;

use crate::{
    books::{append, attach, keyed, node, room, round},
    redis_server::Redis,
};

/// Rooms that have a round under way at a time.
const ROOMS: usize = 8;

/// The number of rounds: few, or as many as a measurement needs.
fn round_count() -> u64 {
    std::env::var("NODES_ROUNDS").map_or(1600, |count| count.parse().expect("a number of rounds"))
}

/// CPU time of a process, in seconds.
fn cpu(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("Linux");
    let fields = stat.rsplit_once(')').expect("a name").1.split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    ticks as f64 / 100.0
}

/// A node that hears all rooms, until Redis is gone.
fn listen(mut feed: Connection, rooms: &[RoomName]) {
    for room in rooms {
        let subscribe = redis::cmd("SSUBSCRIBE").arg(channel_of(room)).get_packed_command();
        feed.send_packed_command(&subscribe).expect("sent");
        feed.recv_response().expect("a confirmation");
    }
    std::thread::spawn(move || while feed.recv_response().is_ok() {});
}

fn rounds(rooms: &[RoomName], batch: usize, number: u64) -> Vec<Command> {
    let text = "x".repeat(100);
    let of_room = |(place, room): (usize, &RoomName)| {
        let keys: Vec<_> = (0..batch as u64)
            .map(|index| (u128::from(number) << 64 | u128::from(index) << 8 | place as u128).to_le_bytes())
            .collect();
        // The node knows all: nothing is looked through.
        let round = round(room, node(0), number, None, &vec![text.as_str(); batch]);
        append(Append { keys: keyed(&keys), ..round })
    };
    rooms.iter().enumerate().map(of_room).collect()
}

#[test]
#[allow(clippy::print_stdout, reason = "the result")]
fn rounds_that_follow_each_other_at_once_have_offsets_without_a_gap() {
    for batch in [1, 16, 256] {
        let server = Redis::with_functions();
        let rooms: Vec<_> = (0..ROOMS).map(|number| room(&format!("room {number}"))).collect();
        let mut calls = server.connect();
        let bounds = Bounds { history: 1000, ..Bounds::default() };
        (0..2).for_each(|_| listen(server.connect(), &rooms));
        for room in &rooms {
            call(&attach(room, node(0)), &bounds).exec(&mut calls).expect("attached");
        }
        let mut known = None;
        let (before, started) = (cpu(server.pid()), Instant::now());
        let turns = round_count() / ROOMS as u64 / if batch > 16 { 8 } else { 1 };
        for number in 1..=turns {
            let mut pipeline = redis::pipe();
            for mut command in rounds(&rooms, batch, number) {
                if let (Command::Append(round), Some(epoch)) = (&mut command, known) {
                    round.known = Some((epoch, (number - 1) * batch as u64));
                    round.nonce = 7;
                }
                pipeline.add_command(call(&command, &bounds));
            }
            let firsts: Vec<u64> = pipeline.query(&mut calls).expect("appended");
            assert_eq!(firsts, [(number - 1) * batch as u64 + 1; ROOMS]);
            known = Some(EpochId { random: 7, number: 1 });
        }
        let rounds = (turns * ROOMS as u64) as f64;
        let micros = (cpu(server.pid()) - before) * 1e6 / rounds;
        println!(
            "{batch}: {micros:.1} us of Redis a round, {:.0} rounds/s",
            rounds / started.elapsed().as_secs_f64()
        );
    }
}
