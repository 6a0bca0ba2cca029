//! Servers that are killed at any moment under load: whatever they acked is there in the next one.
//!
//! `HOSTILE_KILLS=40` kills forty servers instead of ten.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::process::Signal;
use serde_json::json;

use crate::{
    disk::Disk,
    program::Program,
    talker::{Acked, Talker, check},
};

const TALKERS: usize = 12;

/// Enough for batches that are staged.
const MANY_ROOMS: usize = 24;

/// A server with nothing acked for so long is stuck.
const STUCK: Duration = Duration::from_secs(60);

fn start(disk: &Disk) -> Program {
    let mut command = disk.command();
    // Nothing of what is compared is let go.
    command.args(["--rate", "0", "--history", "1000000", "--history-bytes", "1g"]);
    Program::spawn(command)
}

/// A user who has logged in to a room.
fn login(server: SocketAddr, name: &str, room: usize) -> Talker {
    Talker::login_with(server, &json!({"username": name, "room": format!("room {room}")}))
}

/// What was acked in each room.
type AckedIn = BTreeMap<usize, Vec<Acked>>;

/// All talk at once until the server is killed, which it is once it has acked so many messages. Adds what was acked.
fn talk_until_killed(
    disk: &Disk,
    round: usize,
    acks: usize,
    talkers: usize,
    rooms: usize,
    all: &mut AckedIn,
) {
    let mut program = start(disk);
    let (count, all) = (AtomicUsize::new(0), Mutex::new(all));
    let (address, all_are_in) = (program.address, Barrier::new(talkers + 1));
    thread::scope(|scope| {
        for number in 0..talkers {
            let (count, all, all_are_in) = (&count, &all, &all_are_in);
            scope.spawn(move || {
                let room = number % rooms;
                let mut talker = login(address, &format!("t{number}"), room);
                all_are_in.wait();
                let mut acked = Vec::new();
                for message in 0.. {
                    match talker.try_say(&format!("{round} {number} {message}")) {
                        Some(message) => acked.push(message),
                        None => break,
                    }
                    count.fetch_add(1, Ordering::SeqCst);
                }
                all.lock().expect("no talker panicked").entry(room).or_default().extend(acked);
            });
        }
        all_are_in.wait();
        let mut waited = Duration::ZERO;
        while count.load(Ordering::SeqCst) < acks {
            assert!(waited < STUCK, "{} of {acks} messages are acked", count.load(Ordering::SeqCst));
            thread::sleep(Duration::from_millis(1));
            waited += Duration::from_millis(1);
        }
        program.signal(Signal::KILL);
    });
    assert_eq!(program.exit_code(), None, "it was killed");
}

/// Kills a server again and again while so many talk in so many rooms.
fn kill_while_they_talk(talkers: usize, rooms: usize) {
    let rounds =
        std::env::var("HOSTILE_KILLS").map_or(10, |rounds| rounds.parse().expect("a number of kills"));
    let (disk, mut acked) = (Disk::new(), AckedIn::new());
    for round in 0..rounds {
        // From the first message to well under way.
        talk_until_killed(&disk, round, round * 61 % 400, talkers, rooms, &mut acked);
        let program = start(&disk);
        for (room, acked) in &acked {
            check(&login(program.address, "reader", *room).history(), acked, &format!("kill {round}"));
        }
    }
    let count = acked.values().map(Vec::len).sum::<usize>();
    assert!(count > rounds * 50, "{count} messages were acked");
    eprintln!("{rounds} kills, {count} messages were acked in {rooms} rooms and are there");
}

#[test]
fn nothing_that_was_acked_is_lost_whenever_a_server_is_killed() {
    kill_while_they_talk(TALKERS, 1);
}

#[test]
fn nothing_that_was_acked_in_many_rooms_is_lost_whenever_a_server_is_killed() {
    kill_while_they_talk(MANY_ROOMS, MANY_ROOMS);
}
