//! Servers that are killed at any moment under load: whatever they acked is there in the next one.
//!
//! `HOSTILE_KILLS=40` kills forty servers instead of ten.

use std::{
    sync::{
        Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    disk::Disk,
    program::Program,
    talker::{Acked, Talker, check},
};

const TALKERS: usize = 12;

/// A server with nothing acked for so long is stuck.
const STUCK: Duration = Duration::from_secs(60);

fn start(disk: &Disk) -> Program {
    let mut command = disk.command();
    // Nothing of what is compared is let go.
    command.args(["--rate", "0", "--history", "1000000", "--history-bytes", "1g"]);
    Program::spawn(command)
}

/// All talk at once until the server is killed, which it is once it has acked so many messages.
fn talk_until_killed(disk: &Disk, round: usize, acks: usize) -> Vec<Acked> {
    let mut program = start(disk);
    let (count, all) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let (address, all_are_in) = (program.address, Barrier::new(TALKERS + 1));
    thread::scope(|scope| {
        for number in 0..TALKERS {
            let (count, all, all_are_in) = (&count, &all, &all_are_in);
            scope.spawn(move || {
                let mut talker = Talker::login(address, &format!("t{number}"));
                all_are_in.wait();
                let mut acked = Vec::new();
                for message in 0.. {
                    match talker.try_say(&format!("{round} {number} {message}")) {
                        Some(message) => acked.push(message),
                        None => break,
                    }
                    count.fetch_add(1, Ordering::SeqCst);
                }
                all.lock().expect("no talker panicked").extend(acked);
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
    all.into_inner().expect("no talker panicked")
}

#[test]
fn nothing_that_was_acked_is_lost_whenever_a_server_is_killed() {
    let rounds =
        std::env::var("HOSTILE_KILLS").map_or(10, |rounds| rounds.parse().expect("a number of kills"));
    let disk = Disk::new();
    let mut acked: Vec<Acked> = Vec::new();
    for round in 0..rounds {
        // From the first message to well under way.
        acked.extend(talk_until_killed(&disk, round, round * 61 % 400));
        let program = start(&disk);
        check(&Talker::login(program.address, "reader").history(), &acked, &format!("kill {round}"));
    }
    assert!(acked.len() > rounds * 50, "{} messages were acked", acked.len());
    eprintln!("{rounds} kills, {} messages were acked and are there", acked.len());
}
